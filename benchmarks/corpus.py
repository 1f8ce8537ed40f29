"""Which of a folder's .tflite files compile, why the others don't, and whether the engine computes the same.

    python benchmarks/corpus.py FOLDER [--instructions]

Prints a line for each model: arena, state, how many of the outputs of some made-up inputs are equal to the reference
interpreter's (one sequence of steps for a model with state), with the greatest difference where they aren't; then the
refusals, each reason with the number of models. The C is compiled for this computer; --instructions compiles it for a
Cortex-M4, too, and counts those of one inference. Needs gcc, arm-none-eabi-gcc, tflite-micro and ai-edge-litert.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the kernels as machine code of the host, and in Unicorn

from engine.targets import CortexModel, HostModel, compile_kernels, compiler, cortex_flags, host_flags
from harness.build import Graph, parse_tflite, plan_memory
from harness.build.check import candidates, integers
from harness.build.interpreters import NoInterpreterError, open_interpreter, order_for
from harness.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.interpreters import Interpreter


def main() -> int:
    """Print the table; 1 if a model computes something else."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instructions", action="store_true", help="count those of one inference")
    options = parser.parse_args()
    reasons: Counter[str] = Counter()
    built = wrong = total = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "host").mkdir()
        host = compile_kernels(compiler("gcc"), host_flags(), work / "host")
        cortex = None
        if options.instructions:
            (work / "cortex").mkdir()
            cortex = compile_kernels(compiler("arm-none-eabi-gcc"), cortex_flags(), work / "cortex")
        for path in sorted(options.folder.rglob("*.tflite")):
            total += 1
            try:
                graph = parse_tflite(path)
                plan = plan_memory(graph)
            except ConfigError as error:
                reasons.update({_reason(line) for line in _reasons(str(error), path)})
                print(f"{path.stem}: refused", flush=True)
                continue
            built += 1
            found, differs = _compared(path, graph, work / f"{total}", host)
            wrong += differs
            counted = "" if cortex is None else f", {_instructions(graph, work / f'{total}c', cortex):,} instructions"
            state = f", state {plan.state_bytes:,} B" if plan.state_bytes else ""
            print(f"{path.stem}: arena {plan.arena_bytes:,} B{state}{counted}, {found}", flush=True)
    print(f"{built} of {total} build, {wrong} of them differ")
    for reason, count in reasons.most_common():
        print(f"{count:4} {reason}")
    return 1 if wrong else 0


def _reasons(text: str, path: Path) -> list[str]:
    lines = text.splitlines()
    return lines[1:] if len(lines) > 1 else [lines[0].removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")]


def _reason(line: str) -> str:
    """Leave out what is particular to one model."""
    kind = re.search(r"operators? [^(]*(\([A-Z0-9_]+\): .*?)\. Needed", line)
    return kind[1] if kind else re.sub(r"\d[\d,.]*", "N", line.strip())


def _compared(path: Path, graph: Graph, work: Path, kernels: Path) -> tuple[str, bool]:
    """Return how a model compares with an interpreter, in words, and whether it differs by more than is allowed."""
    try:
        interpreter = open_interpreter(path, order_for(integers=integers(graph)))
    except NoInterpreterError as error:
        return f"not compared: {error}", False
    model = HostModel(graph, work, kernels)
    steps = list(zip(*starmap(candidates, enumerate(interpreter.inputs)), strict=True))
    equal, worst, differs, alike = 0, 0.0, False, set()
    for step in steps:
        got = model(*(array.reshape(t.shape) for array, t in zip(step, graph.inputs, strict=True)))
        pairs = list(zip(got if isinstance(got, list) else [got], interpreter.infer(step), strict=True))
        differences = [_difference(interpreter, *pair) for pair in pairs]
        equal += all(difference == 0 for difference, _ in differences)
        worst = max(worst, *(difference for difference, _ in differences))
        differs |= any(difference > allowed for difference, allowed in differences)
        alike.add(pairs[0][1].tobytes())
    how = (
        f"{equal} of {len(steps)} equal"
        if equal == len(steps)
        else f"{equal} of {len(steps)} equal, within {worst:.2g}"
    )
    same = " (all alike)" if len(alike) == 1 else ""
    return f"{how}{same}, {interpreter.kind}{' DIFFERS' if differs else ''}", differs


def _difference(interpreter: Interpreter, got: NDArray[np.generic], want: NDArray[np.generic]) -> tuple[float, float]:
    """Return the greatest difference between outputs, and what is allowed of it."""
    distance = np.abs(got.ravel().astype(np.float64) - want.astype(np.float64))
    return float(np.nan_to_num(distance, nan=np.inf).max()), interpreter.allowed(want)


def _instructions(graph: Graph, work: Path, kernels: Path) -> int:
    model = CortexModel(graph, work, kernels)
    model(*(np.zeros(tensor.shape, tensor.dtype) for tensor in graph.inputs))
    return model.instructions


if __name__ == "__main__":
    sys.exit(main())
