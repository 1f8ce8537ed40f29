"""How weights lie in flash, so that the fast kernels read them in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Columns of the fast int8 kernels hold four inputs as (x0, x2), (x1, x3): what SXTB16 makes of a word.
QUAD = (0, 2, 1, 3)


def pair_rows(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return int8 weights as the fast int8 kernels read them: two output channels in the halfwords of a row.

    A halfword is 256 x odd + even (see matmul_s8.h).

    Args:
        weights: [channels, runs, length]; each run (a row of the kernel) is filled up with zeros to a multiple of four.

    Returns:
        The bytes, [ceil(channels / 2), runs x ceil(length / 4) x 8], little-endian.

    Raises:
        OverflowError: a weight is -128 where 256 x odd + even wouldn't fit 16 bits.
    """
    channels, runs, length = weights.shape
    wide = np.zeros((channels + channels % 2, runs, -(-length // 4) * 4), np.int32)
    wide[:channels, :, :length] = weights
    ordered = wide.reshape(len(wide), -1, 4)[:, :, QUAD].reshape(len(wide), -1)
    mixed = 256 * ordered[1::2] + ordered[0::2]
    if mixed.min(initial=0) < -(1 << 15):
        raise OverflowError("a weight of -128 has a negative neighbour")
    return np.ascontiguousarray(mixed, "<i2").view(np.int8)


def groups_of_eight(weights: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return weights [channels, depth] for the float kernels: [ceil(channels / 8), depth, 8], filled up with zeros."""
    channels, depth = weights.shape
    padded = np.zeros((-(-channels // 8) * 8, depth), weights.dtype)
    padded[:channels] = weights
    return np.ascontiguousarray(padded.reshape(-1, 8, depth).transpose(0, 2, 1))
