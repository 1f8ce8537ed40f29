"""Writes the inputs of a task's suite: its first test inputs and their labels, the same bytes every time.

python -m zoo.suite_data shoulder_exercises --data data
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from zoo.task import load_task

HERE = Path(__file__).parents[1]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a folder beside this one, for example shoulder_exercises")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="what `make data` fetched")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "suites" / "data")
    args = parser.parse_args()
    task = load_task(args.task)
    test = task.load(args.data, "test").take(slice(task.suite_inputs))
    path = args.out / task.suite_file
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        arrays = {task.suite_array: test.raw, "labels": test.y}
        if test.groups is not None:
            arrays["groups"] = np.unique(test.groups, return_inverse=True)[1].astype(np.uint8)
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    part.replace(path)


if __name__ == "__main__":
    main()
