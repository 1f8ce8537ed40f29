"""Writes a planned model as C."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from harness.build.card import card_json
from harness.build.layer_table import layer_table_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from harness.build.graph import Graph
    from harness.build.plan import Plan
    from harness.build.requantize import Channel
    from harness.build.step import Array, Step

_WIDTH = 112
_CTYPES = {"int8": "int8_t", "float32": "float"}


def emit_c(graph: Graph, plan: Plan, *, board: str, name: str) -> dict[str, str]:
    """Return the text of model.c and model_config.h by file name.

    The same model always gives the same text: it holds no date and no path.

    Args:
        graph: the model, as read from its file.
        plan: its kernel calls and arena.
        board: name of the board's kind, for the model card.
        name: the model's name, for the card.
    """
    card = card_json(graph, plan, board=board, name=name)
    return {"model.c": _source(graph, plan, card), "model_config.h": _header(graph, plan)}


def _header(graph: Graph, plan: Plan) -> str:
    return (
        f"/* Made by harness.build from {graph.source}. */\n"
        "#ifndef MODEL_CONFIG_H\n#define MODEL_CONFIG_H\n\n"
        f"#define HIL_INPUT_BYTES {graph.input.bytes}u\n"
        f"#define HIL_OUTPUT_BYTES {graph.output.bytes}u\n"
        f"#define HIL_ARENA_BYTES {plan.arena_bytes}u\n\n"
        "#endif\n"
    )


def _source(graph: Graph, plan: Plan, card: str) -> str:
    title = (
        f"/* Made by harness.build from {graph.source}\n"
        f" * SHA-256 {graph.sha256}\n"
        f" * {plan.macs} multiply-accumulates, {plan.parameters} parameters. "
        "-DHIL_PLAIN_C calls the plain C kernels. */\n"
    )
    parts = [
        title,
        '#include "hil_engine.h"\n#include "hil_model.h"\n#include "model_config.h"\n',
        "#include <math.h>\n#include <stddef.h>\n",
        "#ifdef HIL_PLAIN_C\n#define KERNEL(name) name##_plain\n#else\n#define KERNEL(name) name\n#endif\n",
        'static uint8_t arena[HIL_ARENA_BYTES] __attribute__((section(".arena"), aligned(16)));\n',
        _card(card),
        _layer_table(graph, plan),
    ]
    constants, structs = _constants(plan)
    parts += constants
    parts.append(_setup(graph, plan))
    parts.append(_invoke(plan, structs))
    return "\n".join(parts)


def _card(card: str) -> str:
    attributes = '__attribute__((section(".hil_card"), used, nonstring))'
    return (
        f"extern const char hil_card[{len(card)}];\nconst char hil_card[{len(card)}] {attributes} =\n{_text(card)};\n"
    )


def _layer_table(graph: Graph, plan: Plan) -> str:
    fast, plain = layer_table_json(graph, plan), layer_table_json(graph, plan, plain=True)
    attributes = '__attribute__((section(".hil_layers"), used, nonstring))'
    head = "/* For the host, which reads it from the ELF; the board's linker script keeps it out of flash. */\n"
    definitions = [
        f"static const char hil_layers[{len(text)}] {attributes} =\n{_text(text)};\n" for text in (fast, plain)
    ]
    if fast == plain:
        return head + definitions[0]
    return f"{head}#ifdef HIL_PLAIN_C\n{definitions[1]}#else\n{definitions[0]}#endif\n"


def _text(text: str) -> str:
    """Return the lines of a C string literal."""
    return "\n".join(f"    {json.dumps(text[at : at + 96])}" for at in range(0, len(text), 96))


def _array(position: int, array: Array) -> str:
    fast = _definition(position, array, array.values)
    if array.plain is None:
        return fast
    return f"#ifdef HIL_PLAIN_C\n{_definition(position, array, array.plain)}#else\n{fast}#endif\n"


def _definition(position: int, array: Array, values: NDArray[np.generic] | tuple[Channel, ...]) -> str:
    name = f"{array.name}{position}"
    if isinstance(values, tuple):
        rows = (f"{{{c.bias}, {c.multiplier}, {c.round}, {c.shift}}}" for c in values)
        return f"static const struct hil_channel {name}[{len(values)}] = {{\n{_wrap(rows)}}};\n"
    ctype = _CTYPES[values.dtype.name]
    words = (_number(value) for value in values.ravel().tolist())
    return f"static const {ctype} {name}[{values.size}] __attribute__((aligned(4))) = {{\n{_wrap(words)}}};\n"


def _number(value: float) -> str:
    """Return a C literal; nine digits bring a float32 back exactly."""
    if isinstance(value, int):
        return str(value)
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"


def _wrap(words: Iterable[str]) -> str:
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line]) + "\n"


def _constants(plan: Plan) -> tuple[list[str], list[str]]:
    """Return the definitions of all constants, each once, and the name of each step's struct."""
    texts: list[str] = []
    arrays: dict[int, str] = {}
    structs: dict[tuple[str, str], str] = {}
    names = []
    for position, step in enumerate(plan.steps):
        for array in step.arrays:
            if id(array) not in arrays:
                arrays[id(array)] = f"{array.name}{position}"
                texts.append(_array(position, array))
        body = _struct_body(step, {array.name: arrays[id(array)] for array in step.arrays})
        key = (step.struct, body)
        if key not in structs:
            structs[key] = f"layer{position}"
            title = f"/* {step.operator.index}: {step.operator.kind} */"
            texts.append(f"{title}\nstatic const struct {step.struct} layer{position} = {{\n{body}}};\n")
        names.append(structs[key])
    return texts, names


def _struct_body(step: Step, arrays: dict[str, str]) -> str:
    window = {} if step.window is None else {"window": step.window.initializer()}
    return "".join(f"    .{name} = {value},\n" for name, value in {**window, **step.fields, **arrays}.items())


def _setup(graph: Graph, plan: Plan) -> str:
    return (
        "int hil_model_setup(struct hil_model *model)\n{\n"
        "    model->card = hil_card;\n"
        "    model->card_bytes = sizeof hil_card;\n"
        f"    model->input = arena + {plan.offsets[graph.input.index]};\n"
        "    model->input_bytes = HIL_INPUT_BYTES;\n"
        f"    model->output = arena + {plan.offsets[graph.output.index]};\n"
        "    model->output_bytes = HIL_OUTPUT_BYTES;\n"
        "    return 0;\n}\n"
    )


def _invoke(plan: Plan, structs: list[str]) -> str:
    calls = "".join(
        f"{_call(plan, position, struct)}    if (mark)\n        mark({plan.steps[position].layer});\n"
        for position, struct in enumerate(structs)
    )
    if not calls:  # a model that only renames its input
        calls = "    (void)mark;\n"
    return (
        "/* `mark` is known where this is inlined: what measures layers costs an ordinary inference nothing. */\n"
        "static inline __attribute__((always_inline)) int run(void (*mark)(uint32_t layer))\n"
        f"{{\n{calls}    return 0;\n}}\n\n"
        "int hil_model_invoke(void)\n{\n    return run(NULL);\n}\n\n"
        "int hil_model_profile(void (*mark)(uint32_t layer))\n{\n    return run(mark);\n}\n"
    )


def _call(plan: Plan, position: int, struct: str) -> str:
    step = plan.steps[position]
    kernel = f"KERNEL({step.kernel})" if step.has_plain else step.kernel
    xs = [f"(const {_CTYPES[x.dtype]} *)(const void *)(arena + {plan.offsets[x.index]})" for x in step.inputs]
    y = f"({_CTYPES[step.output.dtype]} *)(void *)(arena + {plan.offsets[step.output.index]})"
    scratch = [] if step.scratch_bytes is None else [f"arena + {plan.scratch[position]}"]
    return f"    {kernel}({', '.join([f'&{struct}', *xs, y, *scratch])});\n"
