"""Random models of TFLite Micro's signal library, each with what is computed on the way as outputs.

Each returns its operators, input and outputs, and for an output that counts only sometimes the one that says when.
"""

from __future__ import annotations

import numpy as np

from engine.tflite_writer import Op, T, constant

INT16, INT32, FLOAT32 = 7, 2, 0  # TensorType, as the option T has it


def number(rng, low, high):
    return int(rng.integers(low, high + 1))


def int16(values):
    return constant(values, "int16")


def as_int32(y):
    """A tensor of a type that no card has, as one that it may have."""
    return Op("CAST", [y], T(y.shape, "int32"))


def front_end(rng):
    """From samples to the logarithms of channels, with everything on the way as an output."""
    length = 2 ** number(rng, 2, 9)
    size, rows = number(rng, 2, length), number(rng, 1, 3)
    bins = length // 2 + 1
    begin = number(rng, 0, bins - 2)
    end = number(rng, begin + 1, bins)
    channels = number(rng, 1, 12)
    shift = number(rng, 8, 13)
    x, windowed, first = T((rows, size), "int16"), T((rows, size), "int16"), T((1, size), "int16")
    row, scaled, bits = T((size,), "int16"), T((size,), "int16"), T((), "int32")
    spectrum, energy = T((2 * bins,), "int16"), T((bins,), "uint32")
    bank, root = T((channels,), "uint64"), T((channels,), "uint32")
    clean, noise, gained, logarithm = (
        *(T((channels,), "uint32") for _ in range(3)),
        T((channels,), "int16"),
    )
    widths = rng.integers(0, end - begin + 1, channels + 1)
    starts = begin + np.array([number(rng, 0, end - begin - width) for width in widths])
    at = np.concatenate([[0], np.cumsum(widths)[:-1]])
    weights = rng.integers(-4096, 4097, (2, max(int(widths.sum()), 1)))
    gains = rng.integers(-32768, 32768, 125)
    smoothing = {
        name: number(rng, 0, 1 << 14)
        for name in ("smoothing", "one_minus_smoothing", "alternate_smoothing", "alternate_one_minus_smoothing")
    }
    noises = {"clamping": bool(number(rng, 0, 1)), "min_signal_remaining": number(rng, 0, 1 << 14)}
    noises |= {"num_channels": channels, "smoothing_bits": number(rng, 0, 12), "spectral_subtraction_bits": 14}
    operators = [
        Op("SignalWindow", [x, int16(rng.integers(-(1 << 12), (1 << 12) + 1, size))], windowed, {"shift": shift}),
        Op("STRIDED_SLICE", [windowed, *(constant(n, "int32") for n in ([0, 0], [1, size], [1, 1]))], first,
           {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 0}),
        Op("RESHAPE", [first, constant([size], "int32")], row),
        Op("SignalFftAutoScale", [row], [scaled, bits]),
        Op("SignalRfft", [scaled], spectrum, {"T": INT16, "fft_length": length}),
        Op("SignalEnergy", [spectrum], energy, {"start_index": begin, "end_index": end}),
        Op("SignalFilterBank", [energy, *(int16(v) for v in (*weights, starts, at, widths))], bank,
           {"num_channels": channels}),
        Op("SignalFilterBankSquareRoot", [bank, bits], root),
        Op("SignalFilterBankSpectralSubtraction", [root], [clean, noise], {**smoothing, **noises}),
        Op("SignalPCAN", [clean, noise, int16(gains)], gained, {"snr_shift": number(rng, 0, 20)}),
        Op("SignalFilterBankLog", [gained], logarithm,
           {"input_correction_bits": number(rng, 0, 6), "output_scale": number(rng, 1, 1 << 12)}),
    ]  # fmt: skip
    seen = [as_int32(y) for y in (root, clean, noise, gained)]
    return [*operators, *seen], x, [windowed, scaled, bits, spectrum, *(op.output for op in seen), logarithm], {}


def frames(rng):
    """Samples in frames, there and back, later, and stacked; the number of an output that says whether one counts."""
    rows, step, count = number(rng, 1, 3), number(rng, 1, 9), number(rng, 1, 4)
    size, prefill, delay = number(rng, step, 4 * step), bool(number(rng, 0, 1)), number(rng, 1, 60)
    x = T((rows, count * step), "int16")
    cut, late, whole, late_whole = T((rows, count, size), "int16"), T(x.shape, "int16"), T((), "bool"), T((), "bool")
    joined, back, again, floats = (T(x.shape, "int16"), T(cut.shape, "float32"), T(x.shape, "float32"), T((), "bool"))
    later = T(cut.shape, "int16")
    left, right = number(rng, 0, 3), number(rng, 0, 3)
    flat, stacked = T((rows * count * step,), "int16"), T((rows * count * step * (left + right + 1),), "int16")
    framing = {"frame_size": size, "frame_step": step}
    operators = [
        Op("SignalDelay", [x], late, {"delay_length": delay}),
        Op("SignalFramer", [x], [cut, whole], {**framing, "prefill": True}),
        Op("SignalFramer", [late], [later, late_whole], {**framing, "prefill": prefill}),
        Op("SignalOverlapAdd", [cut], joined, {"T": INT16, "frame_step": step}),
        Op("CAST", [cut], back),
        Op("SignalOverlapAdd", [back], again, {"T": FLOAT32, "frame_step": step}),
        Op("RESHAPE", [x, constant(flat.shape, "int32")], flat),
        Op("SignalStacker", [flat], [stacked, floats],
           {"num_channels": flat.shape[0], "stacker_left_context": left, "stacker_right_context": right,
            "stacker_step": number(rng, 1, left + right + 1)}),
        *(flags := [as_int32(flag) for flag in (whole, late_whole, floats)]),
    ]  # fmt: skip
    outputs = [late, cut, joined, again, *(op.output for op in flags), later, stacked]
    return operators, x, outputs, {7: 5, 8: 6}


def transforms(rng):
    """FFTs there and back, several rows at once, in all three types."""
    length, rows = 2 ** number(rng, 2, 8), number(rng, 1, 3)
    given = number(rng, 1, length)
    x = T((rows, given), "int16")
    operators, outputs = [], []
    for dtype, tag in (("int16", INT16), ("int32", INT32), ("float32", FLOAT32)):
        values = x if dtype == "int16" else T(x.shape, dtype)
        if dtype != "int16":
            operators.append(Op("CAST", [x], values))
        if dtype == "int32":
            operators.append(
                Op(
                    "MUL",
                    [values, constant(1 << 16, "int32")],
                    values := T(x.shape, dtype),
                    {"FusedActivationFunction": 0},
                )
            )
        spectrum, back = T((rows, length + 2), dtype), T((rows, length), dtype)
        operators.append(Op("SignalRfft", [values], spectrum, {"T": tag, "fft_length": length}))
        operators.append(Op("SignalIrfft", [spectrum], back, {"T": tag, "fft_length": length}))
        outputs += [spectrum, back]
    return operators, x, outputs, {}


def samples(rng, shape):
    """Samples, quiet and loud, or the numbers at the ends."""
    scale = 2.0 ** number(rng, 0, 15)
    values = (
        np.clip(rng.normal(size=shape) * scale, -32768, 32767)
        if number(rng, 0, 3)
        else rng.choice([-32768, 32767], shape)
    )
    return values.astype(np.int16)
