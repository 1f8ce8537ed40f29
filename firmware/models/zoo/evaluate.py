"""Prints the accuracy of a task's models on validation and test inputs, computed on the host.

    python -m zoo.evaluate shoulder_exercises --data data

A line per file: right answers on validation, on the test set with the 95 % interval, and on the inputs that the suite
sends to a board; against the baseline, how many test inputs were gained and lost, and the p of the exact McNemar test.
Then a line per file: its size, its size deflated by zlib, and the share of its weights that are 0.
"""

from __future__ import annotations

import argparse
import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from zoo.counting import area_under_roc, interval, mean_of_groups, sign_test
from zoo.host import input_shape, outputs, share_of_zeros
from zoo.resize import Resize
from zoo.task import load_task, split_training

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from zoo.task import Split, Task

HERE = Path(__file__).parents[1]

#: What is printed of answers that are neither right nor wrong.
MEANS = {"value": "mean absolute error", "input": "ROC AUC over recordings"}

#: What each technique is held against, as in the suites.
BASELINES = {
    "int8": "float32",
    "int8_qat": "int8",
    "int8_weights": "float32",
    "int16x8": "int8",
    "int4": "int8",
    "channel_pruned_int8": "int8",
    "sparse_int8": "int8",
    "student_int8": "int8",
    "student_distilled_int8": "student_int8",
    "small_input_int8": "int8",
    "searched_int8": "int8",
    "redistributed_int8": "int8",
}


def judged(task: Task, model: Path, data: Split) -> NDArray[np.float64]:
    """Return what each answer is worth, after bringing the inputs to the model's size.

    A class or a yes or no: 1 if it is right; over steps it is yes if any of them says so. A value: how far it is off. A
    rebuilt input: the mean square of its error.
    """
    x = data.x
    answers = outputs(model, resized(task, model, x))
    if task.answer == "input":
        return np.asarray(((answers - x.reshape(len(x), -1)) ** 2).mean(axis=1))
    if task.answer == "value":
        return np.abs(answers[:, 0] - data.y)
    said = answers.argmax(axis=1) if task.answer == "class" else answers.max(axis=1) >= 0.5
    return (said == data.y).astype(np.float64)


def resized(task: Task, model: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return inputs of the model's size."""
    _, height, width, _ = input_shape(model)
    if task.resize is not None:
        return task.resize(x)
    if (height, width) != task.shape[:2] and task.answer != "stream":
        return Resize("area", height, width)(x)
    return x


def check_suite(task: Task, test: Split, folder: Path) -> None:
    """Stop unless the suite's file holds the first test inputs and their labels.

    Raises:
        SystemExit: it doesn't.
    """
    path = folder / task.suite_file
    with np.load(path) as file:
        raw, labels = file[task.suite_array][: task.suite_inputs], file["labels"][: task.suite_inputs]
    same = np.array_equal(raw, test.raw[: len(raw)]) and np.array_equal(labels, test.y[: len(labels)])
    if len(raw) != task.suite_inputs or not same:
        message = f"{path} doesn't hold the first {task.suite_inputs} test inputs. Run python -m zoo.suite_data."
        raise SystemExit(message)


def main() -> None:
    """Print a line per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a folder beside this one, for example shoulder_exercises")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="what `make data` fetched")
    parser.add_argument("--models", type=Path, help="folder of the .tflite files; default: the task's")
    parser.add_argument("--only", nargs="+", help="techniques; default: all of the task's")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder that keeps the answers of each file")
    parser.add_argument("--suites", type=Path, default=HERE.parents[1] / "suites" / "data", help="the suites' inputs")
    args = parser.parse_args()
    task = load_task(args.task)
    _, held = split_training(task, task.load(args.data, "train"))
    test = task.load(args.data, "test")
    check_suite(task, test, args.suites)
    folder = args.models or HERE / task.name
    answers: dict[str, NDArray[np.bool_]] = {}
    variants = args.only or task.variants
    if task.answer in MEANS:
        print(f"{MEANS[task.answer]:<24} {'validation':>12} {'test':>14}")
    else:
        print(f"{'variant':<24} {'validation':>12} {'test':>14} {'95 %':>15} {'suite':>11}  against the baseline")
    for variant in variants:
        model = folder / f"{task.name}_{variant}.tflite"
        kept, tested = _remembered(args.work, task, model, held, test)
        if task.answer in MEANS:
            print(
                f"{variant:<24} {mean_worth(task, kept, held):>12.4f} {mean_worth(task, tested, test):>14.4f}",
                flush=True,
            )
        else:
            answers[variant] = tested == 1
            print(_line(variant, kept == 1, answers, task.suite_inputs), flush=True)
    print(f"{'variant':<24} {'bytes':>7} {'deflated':>9} {'weights of 0':>13}  SHA-256")
    for variant in variants:
        content = (folder / f"{task.name}_{variant}.tflite").read_bytes()
        packed, digest = len(zlib.compress(content, 9)), hashlib.sha256(content).hexdigest()
        print(f"{variant:<24} {len(content):>7} {packed:>9} {100 * share_of_zeros(content):>11.1f} %  {digest}")


def _remembered(
    work: Path, task: Task, model: Path, held: Split, test: Split
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the answers to validation and test inputs are worth, from an earlier run if it is the same file."""
    path = work / f"answers_{hashlib.sha256(model.read_bytes()).hexdigest()}.npz"
    if not path.is_file():
        work.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, held=judged(task, model, held), test=judged(task, model, test))
        part.replace(path)
    with np.load(path) as file:
        return file["held"], file["test"]


def mean_worth(task: Task, worth: NDArray[np.float64], data: Split) -> float:
    """Return the mean error, or how well the recordings' mean errors tell the unknown ones from the known.

    Of answers that are right or wrong: the accuracy.
    """
    if task.answer != "input" or data.groups is None:
        return float(worth.mean())
    unknown = mean_of_groups(data.y.astype(np.float64), data.groups) > 0
    return area_under_roc(mean_of_groups(worth, data.groups), unknown)


def _line(variant: str, kept: NDArray[np.bool_], answers: dict[str, NDArray[np.bool_]], suite: int) -> str:
    good = answers[variant]
    low, high = interval(int(good.sum()), len(good))
    shown = (
        f"{variant:<24} {kept.sum():>5} of {len(kept):<4} {good.sum():>6} of {len(good):<5} "
        f"{100 * low:>6.1f} to {100 * high:<5.1f} {good[:suite].sum():>5} of {suite}"
    )
    other = answers.get(BASELINES.get(variant, ""))
    if other is None:
        return shown
    gained, lost = int((good & ~other).sum()), int((other & ~good).sum())
    return f"{shown}  +{gained} -{lost} against {BASELINES[variant]}, p = {sign_test(gained, lost):.2g}"


if __name__ == "__main__":
    main()
