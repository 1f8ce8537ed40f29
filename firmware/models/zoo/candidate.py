"""Makes one candidate of an architecture search (`hil search`), or the validation inputs that judge it.

    python -m zoo.candidate fashion_mnist --validation work/fashion_mnist_validation.npz
    python -m zoo.candidate fashion_mnist --params '{"first": 4, ...}' --stage train --out candidate.tflite

A task that can be searched has `candidate(params)` in its task.py: the layers, and how many rows and columns of the
data become one.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from zoo import export
from zoo.network import build, start
from zoo.resize import Resize
from zoo.task import load_task, split_training
from zoo.training import Plan, fit

if TYPE_CHECKING:
    from zoo.task import Split, Task

HERE = Path(__file__).parents[1]
JUDGES = 1_000  # validation inputs that are sent to the board


def make(task: Task, training: Split, params: dict[str, int], *, stage: str, epochs: int) -> bytes:
    """Return a candidate as a full-int8 .tflite file; with stage "cost" its weights are random."""
    layers, shrink = importlib.import_module(f"{task.name}.task").candidate(params)
    data, held = split_training(task, training)
    rows, columns, channels = task.shape
    resize = None if shrink == 1 else Resize("area", rows // shrink, columns // shrink)
    shape = task.shape if resize is None else (resize.height, resize.width, channels)
    start(task.seed)
    model = build(task, shape, layers)
    if stage == "train":
        fit(model, task, data, held, Plan(epochs, task.rate, resize))
    representative = data.x[: task.representative]
    return export.int8(model, representative if resize is None else resize(representative))


def write_validation(task: Task, training: Split, path: Path) -> None:
    """Write the first of the inputs that training never sees."""
    _, held = split_training(task, training)
    judges = held.take(slice(JUDGES))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{task.suite_array: judges.raw, "labels": judges.y})
    part.replace(path)


def main() -> None:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a folder beside this one that has candidates, for example fashion_mnist")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="what `make data` fetched")
    parser.add_argument("--validation", type=Path, help="write the validation inputs there")
    parser.add_argument("--params", type=json.loads, help="the candidate's choices, as JSON")
    parser.add_argument("--stage", choices=("cost", "train"), default="train", help="cost: with random weights")
    parser.add_argument("--epochs", type=int, default=6, help="few, since candidates are only ranked")
    parser.add_argument("--out", type=Path, help="the .tflite file")
    args = parser.parse_args()
    task = load_task(args.task)
    training = task.load(args.data, "train")
    if args.validation:
        write_validation(task, training, args.validation)
    if args.params:
        if args.out is None:
            parser.error("--params needs --out")
        args.out.write_bytes(make(task, training, args.params, stage=args.stage, epochs=args.epochs))


if __name__ == "__main__":
    main()
