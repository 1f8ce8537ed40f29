"""Activations of 16 bits, and weights of 4, beside the 8 bits that every operator takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.build import lower_int4, lower_int16, lower_recurrent, lower_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from harness.build.step import Node

    Lower = Callable[[Node], Any]

INT16: Mapping[str, Lower] = {
    **dict.fromkeys(("ADD", "MUL", "SUB"), lower_int16.binary),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), lower_int16.pool),
    **dict.fromkeys(("LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH"), lower_int16.unary),
    **dict.fromkeys(("PAD", "PADV2"), lower_shape.pad),
    "CONV_2D": lower_int16.convolution,
    "DEPTHWISE_CONV_2D": lower_int16.depthwise,
    "FULLY_CONNECTED": lower_int16.fully_connected,
    "MEAN": lower_int16.mean,
    "SOFTMAX": lower_int16.softmax,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lower_recurrent.lstm,
}

INT4: Mapping[str, Lower] = {
    "CONV_2D": lower_int4.convolution,
    "DEPTHWISE_CONV_2D": lower_int4.depthwise,
    "FULLY_CONNECTED": lower_int4.fully_connected,
}


def of_any_width(name: str, lower: Mapping[str, Lower]) -> dict[str, Lower]:
    """Return how an operator is lowered by its types, int16 to int16 and int8 with int4 weights included."""
    table = {**lower, **({"int16 to int16": INT16[name]} if name in INT16 else {})}
    if name in INT4:
        int8, int4 = lower["int8 to int8"], INT4[name]
        table["int8 to int8"] = lambda node: (int4 if node.second.dtype == "int4" else int8)(node)
    return table
