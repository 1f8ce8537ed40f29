"""Inputs that are sequences: how many steps each has, and all steps one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.config.data import SuiteData
    from harness.config.inputs import Labels


def with_steps(data: SuiteData, said: Labels | None, folder: Path) -> SuiteData:
    """Return data whose inputs are sequences, axis 1 of the arrays.

    Args:
        data: the inputs, each array of shape [N, steps, ...].
        said: how many steps of each input count, as the suite says; None: all.
        folder: of the suite file.

    Raises:
        ConfigError: there is no axis of steps, arrays have other numbers of steps, or a length is none of 1 to that.
    """
    arrays = {key: part.raw for key, part in data.parts.items()}
    steps = {key: raw.shape[1] if raw.ndim > 1 else 0 for key, raw in arrays.items()}
    most = max(steps.values())
    for key, count in steps.items():
        what = f'inputs: tensor "{key}"' if key else "inputs"
        if count == 0:
            raise ConfigError(f"{what} of shape {arrays[key].shape} are no sequences: axis 1 are the steps, at least 1")
        if count != most:
            raise ConfigError(f"{what} has {count} steps, but another tensor has {most}: each step has all tensors")
    if said is None:
        return replace(data, lengths=np.full(len(data), most, np.int64))
    lengths, name = said.read(folder, ()).values, said.name
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise ConfigError(
            f"{name} must be a list of whole numbers, the number of steps of each input, not {lengths.dtype} of shape "
            f"{list(lengths.shape)}"
        )
    if len(lengths) != len(data):
        raise ConfigError(f"{name} has {len(lengths)} rows for {len(data)} inputs")
    wrong = np.flatnonzero((lengths < 1) | (lengths > most))
    if wrong.size:
        first = int(wrong[0])
        raise ConfigError(
            f"{name}: {int(lengths[first])} steps of sample {first} are none of 1 to {most}, which it has"
        )
    return replace(data, lengths=lengths.astype(np.int64))


def flat_steps(data: SuiteData) -> SuiteData:
    """Return data whose inputs are all steps that count, one after the other, without labels.

    Inputs that are no sequences are returned as they are.
    """
    if data.lengths is None:
        return data
    # The places are those of the steps, so that random ones differ from each other.
    bare = replace(data, labels=None, groups=None, indices=None, of=None, lengths=None, tensors=None)

    def flat(raw: NDArray[Any]) -> NDArray[Any]:
        counts = np.arange(raw.shape[1]) < np.asarray(data.lengths)[:, None]
        return np.asarray(raw[counts])

    parts = (data.tensors or {}).items()
    tensors = {key: replace(part, raw=flat(part.raw), indices=None, of=None) for key, part in parts}
    return replace(bare, raw=flat(data.raw), tensors=tensors or None)
