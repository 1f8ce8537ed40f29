"""Holds models that were made anew against the committed ones of the same name.

    python -m zoo.compare meat_fat

A line per file: equal byte for byte, or what both are worth on the test inputs, and how many of their answers to the
suite's inputs differ, and by how much at most.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from zoo.evaluate import MEANS, judged, mean_worth, resized
from zoo.host import outputs
from zoo.task import load_task

if TYPE_CHECKING:
    from zoo.task import Split, Task

HERE = Path(__file__).parents[1]


def main() -> None:
    """Print a line per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a folder beside this one, for example meat_fat")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="what `make data` fetched")
    parser.add_argument("--made", type=Path, default=HERE / "work" / "zoo", help="folder of the tasks' new files")
    args = parser.parse_args()
    task = load_task(args.task)
    test = task.load(args.data, "test")
    for made in sorted((args.made / task.name).glob("*.tflite")):
        committed = HERE / task.name / made.name
        print(f"{made.name}: {compared(task, made, committed, test)}", flush=True)


def compared(task: Task, made: Path, committed: Path, test: Split) -> str:
    """Return how two files compare, in words."""
    if not committed.is_file():
        return "there is no committed one"
    if made.read_bytes() == committed.read_bytes():
        return "equal byte for byte"
    what = MEANS.get(task.answer, "accuracy")
    new, old = (mean_worth(task, judged(task, model, test), test) for model in (made, committed))
    x = test.x[: task.suite_inputs]
    answers = [outputs(model, resized(task, model, x)) for model in (made, committed)]
    said = f"other bytes; {what} on test {new:.4f}, committed {old:.4f}"
    if answers[0].shape != answers[1].shape:
        return f"{said}; outputs of another shape"
    differing = int((answers[0] != answers[1]).any(axis=1).sum())
    most = np.abs(answers[0] - answers[1]).max()
    return f"{said}; {differing} of {len(x)} answers of the suite differ, by {most:.3g} at most"


if __name__ == "__main__":
    main()
