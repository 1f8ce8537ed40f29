"""From the operators of TFLite Micro's signal library (audio front ends) to kernel calls."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.signal_state import history, stacked
from harness.build.step import Alias, Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.graph import Tensor
    from harness.build.step import Node, Step

_SHORT = {"int16": "s16", "int32": "s32", "float32": "f32"}
_LEAST_FFT, _MOST_FFT = 4, 1 << 14
_LARGEST = (1 << 31) - 1
_SEGMENTS = 128  # of the logarithm's table
_GAINS = 125  # of PCAN: a value for 0, 1 and 2, and three for each power of two, one place unused


def _fits(node: Node, holds: bool, found: str) -> None:  # noqa: FBT001 (a statement on the operator)
    """Refuse a form that TFLite Micro's own operators never have.

    Raises:
        ConfigError: it doesn't hold.
    """
    if not holds:
        raise node.refused(found, "the form in which TFLite Micro's signal library writes it")


def _shapes(node: Node) -> str:
    shapes = [str(list(t.shape)) for t in node.tensors if t is not None and t.index not in node.graph.state]
    return f"{', '.join(shapes)} to {', '.join(str(list(t.shape)) for t in node.outputs)}"


def _kept(node: Node, count: int) -> tuple[Tensor, ...]:
    """Return the tensors that stand behind the operator's inputs; see signal_state.py."""
    kept = tuple(node.graph.tensors[index] for index in node.operator.inputs[1:])
    _fits(node, len(kept) == count and all(t.index in node.graph.state for t in kept), f"options {_options(node)}")
    return kept


def _options(node: Node) -> str:
    return ", ".join(f"{name} = {value}" for name, value in node.operator.options.items())


def _constant(node: Node, position: int, elements: int, *, positions: bool = False) -> NDArray[np.generic]:
    """Return int16 constants, so many or more; `positions` and sizes aren't negative."""
    tensor = node.graph.tensors[node.operator.inputs[position]]
    if tensor.data is None or tensor.dtype != "int16":
        raise node.refused(f"input {position} is {tensor.dtype}, computed or not", "constant int16")
    _fits(node, tensor.elements >= elements, f"{tensor.elements} constants in input {position}")
    _fits(node, not positions or bool((tensor.data.astype(int) >= 0).all()), f"negative numbers in input {position}")
    return np.ascontiguousarray(tensor.data.ravel())


def _computed(node: Node, position: int, dtype: str, elements: int) -> Tensor:
    tensor = node.graph.tensors[node.operator.inputs[position]]
    if tensor.data is not None or tensor.dtype != dtype:
        raise node.refused(f"input {position} is {tensor.dtype}, or constant", f"computed {dtype}")
    _fits(node, tensor.elements == elements, f"{tensor.elements} values in input {position}")
    return tensor


def window(node: Node) -> Step:
    """Return the call of a window: a product with constants, shifted and saturated."""
    weights, shift = _constant(node, 1, 1), node.option("shift")
    rows = node.x.elements // len(weights)
    whole = rows * len(weights) == node.x.elements == node.y.elements and 0 <= shift < 31
    _fits(node, whole, f"shapes {_shapes(node)}, shift {shift}")
    fields = {"rows": rows, "size": len(weights), "shift": shift}
    array = Array("weights", weights)
    return node.step("hil_signal_window", "hil_signal_window", fields, array, in_place=True, order="values")


def auto_scale(node: Node) -> tuple[Step, ...]:
    """Return the call that finds by how many bits samples can be shifted, and the one that shifts them."""
    bits, count = node.outputs[1], {"count": node.x.elements}
    _fits(node, node.x.elements == node.y.elements and bits.elements == 1, f"shapes {_shapes(node)}")
    found = replace(node, y=bits).step("hil_signal_scale_bits", "hil_signal_count", count)
    scaled = node.step("hil_signal_scale", "hil_signal_count", count, in_place=True, order="values")
    return found, replace(scaled, inputs=(node.x, bits))


def _twiddles(angles: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Return cosine and sine of each angle, in as many bits behind the point as the type has."""
    pairs = [part for angle in angles.tolist() for part in (math.cos(angle), math.sin(angle))]
    if dtype == "float32":
        return np.array(pairs, np.float32)
    most = np.iinfo(dtype).max
    return np.array([math.floor(0.5 + most * part) for part in pairs], dtype)


def fft(node: Node) -> Step:
    """Return the call of an FFT of the last dimension, of real values, or of one back to them."""
    length, back = node.option("fft_length"), node.kind == "SignalIrfft"
    if not _LEAST_FFT <= length <= _MOST_FFT or length & (length - 1):
        raise node.refused(f"an FFT over {length}", f"a power of two from {_LEAST_FFT} to {_MOST_FFT}")
    real, spectrum = (node.y, node.x) if back else (node.x, node.y)
    given = real.shape[-1] if real.shape else 0
    rows = real.elements // max(given, 1)
    whole = spectrum.elements == rows * (length + 2) and (given == length if back else 0 < given <= length)
    _fits(node, whole, f"shapes {_shapes(node)}, fft_length {length}")
    count, sign = length // 2, 1 if back else -1
    around = sign * 2 * math.pi * np.arange(count) / count
    half = sign * math.pi * ((np.arange(count // 2) + 1.0) / count + 0.5)
    return node.step(
        f"hil_{'irfft' if back else 'rfft'}_{_SHORT[node.x.dtype]}",
        "hil_fft",
        {"rows": rows, "given": given, "length": length},
        Array("twiddles", _twiddles(around, node.x.dtype)),
        Array("to_real", _twiddles(half, node.x.dtype)),
        has_plain=node.x.dtype == "int16",
    )


def energy(node: Node) -> Step:
    """Return the call that squares a spectrum."""
    begin, end = node.option("start_index"), node.option("end_index")
    count = node.y.elements
    whole = node.x.elements == 2 * count and 0 <= begin <= end <= count
    _fits(node, whole, f"shapes {_shapes(node)}, {_options(node)}")
    fields = {"count": count, "begin": begin, "end": end}
    return node.step("hil_signal_energy", "hil_signal_energy", fields)


def filter_bank(node: Node) -> Step:
    """Return the call that sums energies over channels; no band may reach beyond the bins or the weights."""
    channels = node.option("num_channels")
    weights, unweights = (_constant(node, position, 1) for position in (1, 2))
    _fits(node, channels == node.y.elements, f"shapes {_shapes(node)}, num_channels {channels}")
    starts, weight_starts, widths = (_constant(node, position, channels + 1, positions=True) for position in (3, 4, 5))
    ends = [first.astype(int) + widths.astype(int) for first in (starts, weight_starts)]
    inside = ends[0].max() <= node.x.elements and ends[1].max() <= min(len(weights), len(unweights))
    _fits(node, bool(inside), "bands beyond the spectrum or the weights")
    names = ("weights", "unweights", "starts", "weight_starts", "widths")
    arrays = [Array(n, v) for n, v in zip(names, (weights, unweights, starts, weight_starts, widths), strict=True)]
    return node.step("hil_filter_bank", "hil_filter_bank", {"channels": channels}, *arrays)


def square_root(node: Node) -> Step:
    """Return the call of a root, which is shifted back by the bits that the samples were scaled by."""
    bits = _computed(node, 1, "int32", 1)
    _fits(node, node.x.elements == node.y.elements, f"shapes {_shapes(node)}")
    step = node.step("hil_filter_bank_square_root", "hil_signal_count", {"count": node.x.elements})
    return replace(step, inputs=(node.x, bits))


def spectral_subtraction(node: Node) -> tuple[Step | Alias, ...]:
    """Return the call that follows the noise, which lies in the state, and the one that takes it off the signal."""
    (noise,), (y, estimate) = _kept(node, 1), node.outputs
    options, channels = node.operator.options, node.option("num_channels")
    shifts = options["smoothing_bits"], options["spectral_subtraction_bits"]
    whole = channels == node.x.elements == y.elements == estimate.elements and estimate.dtype == "uint32"
    whole = whole and 0 <= shifts[0] < 32 and 0 <= shifts[1] < 64
    _fits(node, whole, f"shapes {_shapes(node)}, {_options(node)}")

    def both(even: str, odd: str) -> str:
        return f"{{{options[even] & 0xFFFFFFFF}u, {options[odd] & 0xFFFFFFFF}u}}"

    fields = {
        "channels": channels,
        "smoothing": both("smoothing", "alternate_smoothing"),
        "kept": both("one_minus_smoothing", "alternate_one_minus_smoothing"),
        "clamps": int(bool(options["clamping"])),
        "smoothing_bits": shifts[0],
        "bits": shifts[1],
        "least": f"{options['min_signal_remaining'] & 0xFFFFFFFF}u",
    }
    follow = replace(node, y=noise).step("hil_noise_estimate", "hil_noise", fields)
    subtract = node.step("hil_noise_subtract", "hil_noise", fields, order="values")
    return follow, Alias(estimate, noise), replace(subtract, inputs=(node.x, noise), in_place=True)


def pcan(node: Node) -> Step:
    """Return the call of the gain that follows the noise of each channel."""
    noise, shift = _computed(node, 1, "uint32", node.x.elements), node.option("snr_shift")
    _fits(node, node.x.elements == node.y.elements and 0 <= shift < 64, f"shapes {_shapes(node)}, snr_shift {shift}")
    gains = Array("gains", _constant(node, 2, _GAINS))
    step = node.step("hil_pcan", "hil_pcan", {"channels": node.x.elements, "shift": shift}, gains)
    return replace(step, inputs=(node.x, noise), in_place=True, order="values")


def logarithm_table() -> NDArray[np.uint16]:
    """Return log2(1 + x) - x for x from 0 to 1 in steps of 1 / 128, of 16 bits behind the point."""
    x = np.arange(_SEGMENTS + 1) / _SEGMENTS
    return np.rint((np.log2(1 + x) - x) * (1 << 16)).astype(np.uint16)


def logarithm(node: Node) -> Step:
    """Return the call of a natural logarithm."""
    shift, scale = node.option("input_correction_bits"), node.option("output_scale")
    whole = node.x.elements == node.y.elements and 0 <= shift < 32
    _fits(node, whole, f"shapes {_shapes(node)}, {_options(node)}")
    fields = {"count": node.x.elements, "scale": f"{scale & 0xFFFFFFFF}u", "shift": shift}
    return node.step("hil_signal_log", "hil_signal_log", fields, Array("table", logarithm_table()))


def framer(node: Node) -> tuple[Step | Alias, ...]:
    """Return the call that cuts samples into frames that overlap, and whether they are whole."""
    options, kept = node.operator.options, _kept(node, 3)
    size, step = options["frame_size"], options["frame_step"]
    given = node.x.shape[-1] if node.x.shape else 0
    whole = 0 < step <= size and given > 0 and given % step == 0
    rows = node.x.elements // max(given, 1)
    whole = whole and node.y.elements == rows * (given // step) * size
    _fits(node, whole, f"shapes {_shapes(node)}, {_options(node)}")
    fields = {
        "rows": rows,
        "frames": given // step,
        "size": size,
        "step": step,
        "history": history(options),
        "needed": 0 if options["prefill"] else -(-size // step),
    }
    return _with_flag(node, node.step("hil_framer", "hil_framer", fields, kept=kept))


def stacker(node: Node) -> tuple[Step | Alias, ...]:
    """Return the call that puts frames of features beside each other, and whether there are enough of them."""
    options, kept = node.operator.options, _kept(node, 3)
    channels, frames = options["num_channels"], stacked(options)
    contexts = options["stacker_left_context"], options["stacker_right_context"]
    whole = min(contexts) >= 0 and 0 < options["stacker_step"] <= frames
    whole = whole and node.x.elements == channels and node.y.elements == frames * channels
    _fits(node, whole, f"shapes {_shapes(node)}, {_options(node)}")
    fields = {"channels": channels, "frames": frames, "repeated": contexts[0], "step": options["stacker_step"]}
    return _with_flag(node, node.step("hil_stacker", "hil_stacker", fields, kept=kept))


def _with_flag(node: Node, step: Step) -> tuple[Step | Alias, ...]:
    """Return a call, and that its second output is read where the state has it."""
    flag = node.outputs[1]
    _fits(node, flag.dtype == "bool" and flag.elements == 1, f"a flag of {flag.dtype} {list(flag.shape)}")
    return step, Alias(flag, step.kept[-1])


def delay(node: Node) -> Step:
    """Return the call that gives samples some inferences later."""
    length, kept = node.option("delay_length"), _kept(node, 1)
    size = node.x.shape[-1] if node.x.shape else 0
    _fits(node, node.x.elements == node.y.elements > 0 and length >= 0, f"shapes {_shapes(node)}, {_options(node)}")
    fields = {"rows": node.x.elements // size, "size": size, "delay": length}
    return node.step("hil_delay", "hil_delay", fields, kept=kept)


def overlap_add(node: Node) -> Step:
    """Return the call that adds frames where they overlap."""
    step, kept = node.option("frame_step"), _kept(node, 1)
    frames, size = node.x.shape[-2:] if len(node.x.shape) > 1 else (0, 0)
    rows = node.x.elements // max(frames * size, 1)
    whole = 0 < step <= size and node.y.elements == rows * frames * step
    _fits(node, whole, f"shapes {_shapes(node)}, {_options(node)}")
    fields = {"rows": rows, "frames": frames, "size": size, "step": step}
    return node.step(f"hil_overlap_add_{_SHORT[node.x.dtype]}", "hil_overlap_add", fields, kept=kept)
