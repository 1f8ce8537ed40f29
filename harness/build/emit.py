"""Writes a planned model as C."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np

from harness.build.emit_state import state_c
from harness.build.sizes import layer_sizes
from harness.build.step import initializer
from harness.image.layer_table import MOST_LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.build.graph import Graph, Tensor
    from harness.build.plan import Plan
    from harness.build.step import Step, Values

_WIDTH = 112
_CTYPES = {
    **{name: f"{name}_t" for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")},
    **{name: f"hil_{name}" for name in ("int64", "uint64")},  # aligned to 4 bytes only
    "bool": "uint8_t",
    "float32": "float",
    "float64": "double",
}


#: What our engine is called in results.
ENGINE = "tinyml-hil"


def emit_c(graph: Graph, plan: Plan, *, board: str, name: str, engine: str = ENGINE) -> dict[str, str]:
    """Return the text of model.c and model_config.h by file name.

    The same model always gives the same text: it holds no date and no path.

    Args:
        graph: the model, as read from its file.
        plan: its kernel calls and arena.
        board: name of the board's kind, for the model card.
        name: the model's name, for the card.
        engine: what the kernels are called, for the card.
    """
    card = card_json(graph, plan, board=board, name=name, engine=engine)
    return {"model.c": _source(graph, plan, card), "model_config.h": _header(graph, plan)}


def card_json(graph: Graph, plan: Plan, *, board: str, name: str, engine: str = ENGINE) -> str:
    """Return the model card (docs/link-protocol.md) as JSON in ASCII, the same bytes for the same model."""
    card = {
        "card": 1,
        "board": board,
        "model": name,
        "engine": engine,
        **_tensors("input", graph.inputs),
        **_tensors("output", graph.outputs),
        "macs": plan.macs,
        "parameters": plan.parameters,
        "arena_bytes": plan.arena_bytes,
        "tflite_sha256": graph.sha256,
    }
    if plan.state_bytes:
        card["state_bytes"] = plan.state_bytes
    if plan.patches is not None:
        card["patches"] = dataclasses.asdict(plan.patches)
    if plan.pieces:
        card["pieces"] = [[piece.start, piece.bytes] for piece in plan.pieces]
    return json.dumps(card, separators=(",", ":"))


def _tensors(what: str, tensors: Sequence[Tensor]) -> dict[str, object]:
    """Return the card's entry for inputs or outputs; several have names, and one that says which if two are alike."""
    if len(tensors) == 1:
        return {what: _tensor(tensors[0])}
    names = [tensor.name or what for tensor in tensors]
    names = [name if names.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(names)]
    return {f"{what}s": [{"name": name, **_tensor(tensor)} for name, tensor in zip(names, tensors, strict=True)]}


def _tensor(tensor: Tensor) -> dict[str, object]:
    entry: dict[str, object] = {"shape": list(tensor.shape), "dtype": tensor.dtype}
    if tensor.dtype != "float32" and tensor.quantization is not None:
        entry |= {"scale": tensor.quantization.scale, "zero_point": tensor.quantization.zero}
    elif tensor.dtype not in ("float32", "int32"):  # numbers that stand for themselves
        entry |= {"scale": 1.0, "zero_point": 0}
    return entry


def layer_table_json(graph: Graph, plan: Plan, *, plain: bool = False) -> str:
    """Return what each layer is and does (docs/profile.md) as JSON in ASCII, the same bytes for the same model.

    With `plain` as built with -DHIL_PLAIN_C, whose kernels have other names and may have other constants.
    """
    names = ("layer", "operator", "kind", "kernel", "shape", "macs", "bytes_moved", "parameters")
    layers = [
        {"output" if name == "shape" else name: getattr(layer, name) for name in names}
        for layer in layer_sizes(graph, plan, plain=plain)
    ]
    return json.dumps({"version": 1, "layers": layers}, separators=(",", ":"))


def _header(graph: Graph, plan: Plan) -> str:
    return (
        f"/* Made by harness.build from {graph.source}. */\n"
        "#ifndef MODEL_CONFIG_H\n#define MODEL_CONFIG_H\n\n"
        f"#define HIL_INPUT_BYTES {plan.input_bytes or sum(tensor.bytes for tensor in graph.inputs)}u\n"
        f"#define HIL_OUTPUT_BYTES {sum(tensor.bytes for tensor in graph.outputs)}u\n"
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
    constants, structs = _constants(plan)
    parts = [
        title,
        '#include "hil_engine.h"\n#include "hil_model.h"\n#include "model_config.h"\n',
        "#include <math.h>\n#include <stddef.h>\n",
        "#ifdef HIL_PLAIN_C\n#define KERNEL(name) name##_plain\n#else\n#define KERNEL(name) name\n#endif\n",
        'static uint8_t arena[HIL_ARENA_BYTES] __attribute__((section(".arena"), aligned(16)));\n',
        f"extern const char hil_card[{len(card)}];\n{characters('const', 'hil_card', card)}",
        *([_layer_table(graph, plan)] if _profiled(plan) else []),
        *constants,
        *([state_c(graph, plan)] if plan.state_bytes else []),
        _setup(graph, plan),
        _invoke(plan, structs),
    ]
    return "\n".join(parts)


def _profiled(plan: Plan) -> bool:
    """Whether inferences can be measured by layer: a model that only renames its input has none, others too many."""
    return 0 < len({step.layer for step in plan.steps}) <= MOST_LAYERS


def _layer_table(graph: Graph, plan: Plan) -> str:
    fast, plain = (
        characters("static const", "hil_layers", layer_table_json(graph, plan, plain=plain)) for plain in (False, True)
    )
    head = "/* For the host, which reads it from the ELF; the board's linker script keeps it out of flash. */\n"
    return head + _either(fast, plain)


def _either(fast: str, plain: str) -> str:
    """Return C for the fast kernels, and for the plain ones where it differs."""
    return fast if fast == plain else f"#ifdef HIL_PLAIN_C\n{plain}#else\n{fast}#endif\n"


def characters(kind: str, name: str, text: str) -> str:
    """Return the C definition of a text in ASCII, in a section that is called after it; without trigraphs."""
    pieces = (json.dumps(text[at : at + 96]).replace("?", "\\?") for at in range(0, len(text), 96))
    lines = "\n".join(f"    {piece}" for piece in pieces)
    attributes = f'__attribute__((section(".{name}"), used, nonstring))'
    return f"{kind} char {name}[{len(text)}] {attributes} =\n{lines};\n"


def _definition(name: str, values: Values) -> str:
    if isinstance(values, tuple):
        rows = (f"{{{c.bias}, {c.multiplier}, {c.round}, {c.shift}}}" for c in values)
        return f"static const HIL_FLASH struct hil_channel {name}[{len(values)}] = {{\n{_wrap(rows)}}};\n"
    ctype = _CTYPES[values.dtype.name]
    words = (_number(value) for value in values.ravel().tolist())
    return f"static const HIL_FLASH {ctype} {name}[{values.size}] __attribute__((aligned(4))) = {{\n{_wrap(words)}}};\n"


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
                name = arrays[id(array)] = f"{array.name}{position}"
                texts.append(_either(*(_definition(name, array.of(plain=plain)) for plain in (False, True))))
        body = _struct_body(step, {array.name: arrays[id(array)] for array in step.arrays})
        key = (step.struct, body)
        if key not in structs:
            structs[key] = f"layer{position}"
            title = f"/* {step.operator.index}: {step.operator.kind} */"
            texts.append(f"{title}\nstatic const HIL_FLASH struct {step.struct} layer{position} = {{\n{body}}};\n")
        names.append(structs[key])
    return texts, names


def _struct_body(step: Step, arrays: dict[str, str]) -> str:
    window = {} if step.window is None else {"window": initializer(vars(step.window))}
    return "".join(f"    .{name} = {value},\n" for name, value in {**window, **step.fields, **arrays}.items())


def _setup(graph: Graph, plan: Plan) -> str:
    lists, lines = "", []
    for what, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        size = f"HIL_{what.upper()}_BYTES" if len(tensors) == 1 else f"{tensors[0].bytes}"
        lines += [f"{what} = {_place(plan, tensors[0])}", f"{what}_bytes = {size}"]
        if len(tensors) > 1:
            rows = "".join(f"    {{{_place(plan, tensor)}, {tensor.bytes}}},\n" for tensor in tensors[1:])
            lists += f"static const struct hil_tensor more_{what}s[] = {{\n{rows}    {{NULL, 0}},\n}};\n\n"
            lines.append(f"more_{what}s = more_{what}s")
    return (
        f"{lists}int hil_model_setup(struct hil_model *model)\n{{\n"
        "    model->card = (const HIL_FLASH char *)hil_card;\n"
        "    model->card_bytes = sizeof hil_card;\n"
        f"{''.join(f'    model->{line};{chr(10)}' for line in lines)}"
        "    return 0;\n}\n"
    )


def _place(plan: Plan, tensor: Tensor) -> str:
    """Return a C expression for where a tensor lies."""
    if tensor.index in plan.arrived:
        return f"hil_input + {plan.arrived[tensor.index]}"
    if tensor.index in plan.state:
        return f"state + {plan.state[tensor.index]}"
    return f"arena + {plan.offsets[tensor.index]}"


def _invoke(plan: Plan, structs: list[str]) -> str:
    mark = "    if (mark)\n        mark({});\n" if _profiled(plan) else ""
    calls = [
        _call(plan, position, struct) + mark.format(plan.steps[position].layer)
        for position, struct in enumerate(structs)
    ]
    body, reset = "".join(calls), ""
    if len(plan.pieces) > 1:
        reset = (
            "static uint32_t piece; /* of the input, which is there now */\n\n"
            "int hil_model_reset(void)\n{\n    piece = 0;\n    return 0;\n}\n\n"
        )
        body = _switch([piece.calls for piece in plan.pieces], calls)
    if not _profiled(plan):
        return f"{reset}int hil_model_invoke(void)\n{{\n{body}    return 0;\n}}\n"
    return (
        f"{reset}/* `mark` is known where this is inlined: what measures layers costs an ordinary inference nothing. */"
        "\n"
        "static inline __attribute__((always_inline)) int run(void (*mark)(uint32_t layer))\n"
        f"{{\n{body}    return 0;\n}}\n\n"
        "int hil_model_invoke(void)\n{\n    return run(NULL);\n}\n\n"
        "int hil_model_profile(void (*mark)(uint32_t layer))\n{\n    return run(mark);\n}\n"
    )


def _switch(counts: list[int], calls: list[str]) -> str:
    """Return C that makes the next so many calls each time that it is reached, and then begins anew."""
    cases, at = [], 0
    for index, count in enumerate(counts):
        label = f"case {index}u" if index < len(counts) - 1 else "default"
        next_piece = "piece++" if index < len(counts) - 1 else "piece = 0"
        cases.append(f"    {label}:\n{''.join(calls[at : at + count])}    {next_piece};\n    break;\n")
        at += count
    return f"    switch (piece) {{\n{''.join(cases)}    }}\n"


def _call(plan: Plan, position: int, struct: str) -> str:
    step = plan.steps[position]
    kernel = f"KERNEL({step.kernel})" if step.has_plain else step.kernel
    xs = [f"(const {_CTYPES[x.dtype]} *)(const void *)({_place(plan, x)})" for x in step.inputs]
    xs += [f"({_CTYPES[t.dtype]} *)(void *)({_place(plan, t)})" for t in step.kept]
    y = f"({_CTYPES[step.output.dtype]} *)(void *)({_place(plan, step.output)})"
    scratch = [] if step.scratch_bytes is None else [f"arena + {plan.scratch[position]}"]
    return f"    {kernel}({', '.join([f'&{struct}', *xs, y, *scratch])});\n"
