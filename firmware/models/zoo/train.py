"""Trains a task in each of its techniques and writes the .tflite files.

    python -m zoo.train shoulder_exercises --data data

CPU only and seeded: the same computer and packages give the same bytes. The test inputs are never read here. The files
go into work/zoo; zoo.compare holds them against the committed ones.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

from zoo.task import load_task, split_training
from zoo.techniques import TECHNIQUES, Workshop

HERE = Path(__file__).parents[1]


def main() -> None:
    """Train, export, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a folder beside this one, for example shoulder_exercises")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="what `make data` fetched")
    parser.add_argument("--out", type=Path, help="folder of the .tflite files; default: work/zoo/TASK")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder of the float32 weights")
    parser.add_argument("--only", nargs="+", choices=TECHNIQUES, help="techniques; default: all of the task's")
    args = parser.parse_args()
    task = load_task(args.task)
    everything = task.load(args.data, "train")
    data, held = split_training(task, everything)
    weights = args.work / f"{task.name}_float32.npz"
    shop = Workshop(task, data, held, data.x[: task.representative], weights)
    out = args.out or HERE / "work" / "zoo" / task.name
    out.mkdir(parents=True, exist_ok=True)
    for variant in args.only or task.variants:
        begun = time.monotonic()
        content = TECHNIQUES[variant](shop)
        path = out / f"{task.name}_{variant}.tflite"
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)
        digest = hashlib.sha256(content).hexdigest()
        print(f"{path.name}  {len(content)} bytes  {time.monotonic() - begun:.0f} s  {digest}", flush=True)


if __name__ == "__main__":
    main()
