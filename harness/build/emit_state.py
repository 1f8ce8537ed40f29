"""Writes what a model remembers between inferences as C: its memory, and how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness.build.graph import Graph
    from harness.build.plan import Plan

_PER_LINE = 20


def state_c(graph: Graph, plan: Plan) -> str:
    """Return the memory of the variables, and hil_model_reset(), which gives each the values that it begins with."""
    constants, lines = [], []
    for root, values in graph.state.items():
        content, at = np.ascontiguousarray(values).tobytes(), plan.state[root]
        if len(set(content)) == 1:
            lines.append(f"    memset(state + {at}, {content[0]}, {len(content)});\n")
            continue
        rows = [content[n : n + _PER_LINE] for n in range(0, len(content), _PER_LINE)]
        text = "".join(f"    {', '.join(map(str, row))},\n" for row in rows)
        constants.append(f"static const uint8_t begin{root}[{len(content)}] = {{\n{text}}};\n\n")
        lines.append(f"    memcpy(state + {at}, begin{root}, sizeof begin{root});\n")
    return (
        "#include <string.h>\n\n"
        f"static uint8_t state[{plan.state_bytes}] __attribute__((aligned(16)));\n\n{''.join(constants)}"
        f"int hil_model_reset(void)\n{{\n{''.join(lines)}    return 0;\n}}\n"
    )
