"""`python -m harness.build MODEL.tflite --board nano33 --name NAME --out DIR`: a .tflite file to C."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.emit import emit_c
from harness.build.plan import plan_memory
from harness.build.tflite_file import parse_tflite
from harness.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.build.plan import Plan


def summary(plan: Plan) -> str:
    """Return what a model will take, as text: a line per layer, then the sums."""
    lines = [f"{'op':>3} {'operator':<18} {'kernel':<29} {'output':<18} {'MACs':>10} {'flash':>8} {'scratch':>8}"]
    lines += [
        f"{s.operator.index:>3} {s.operator.kind:<18} {s.kernel:<29} {'x'.join(map(str, s.output.shape)):<18} "
        f"{s.macs:>10} {s.flash_bytes:>8} {s.scratch_bytes or 0:>8}"
        for s in plan.steps
    ]
    lines.append(
        f"arena {plan.arena_bytes} B, constants in flash {plan.flash_bytes} B, {plan.macs} MACs, "
        f"{plan.parameters} parameters"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile one model; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.build", description="Compile a .tflite file to C.")
    parser.add_argument("model", type=Path, help="the .tflite file, float32 or full int8")
    parser.add_argument("--board", required=True, help="board kind, for the model card")
    parser.add_argument("--name", help="name of the model, for the card; default: the file's")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.c and model_config.h")
    args = parser.parse_args(arguments)
    try:
        graph = parse_tflite(args.model)
        plan = plan_memory(graph)
        files = emit_c(graph, plan, board=args.board, name=args.name or args.model.stem)
    except HilError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        part = args.out / f"{name}.part"
        part.write_text(text, encoding="ascii")
        part.replace(args.out / name)
    print(summary(plan))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
