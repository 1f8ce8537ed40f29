"""What a reader returns, and what all of them check in the same way."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

#: The values of a suite may take so many bytes: a compressed file of a few KB can hold gigabytes of zeros.
MOST_BYTES: Final = 2**31

#: A reader that takes longer says how far it is, on stderr: first after so many seconds, then every so many.
_FIRST_S, _EVERY_S = 2.0, 10.0


@dataclass(frozen=True)
class Arrays:
    """What was read.

    Attributes:
        values: a row for each input, [N, ...].
        labels: the class of each where files are sorted by class, int64 [N]; or what else came with them, [N, ...].
        classes: names of the classes that `labels`, or `values` that were texts, count; () where there are none.
        step: real value of one step of `values`.
    """

    values: NDArray[Any]
    labels: NDArray[Any] | None = None
    classes: tuple[str, ...] = ()
    step: float = 1.0


def class_indices(
    names: Sequence[str], classes: tuple[str, ...], where: Sequence[object]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the index of each class, and the classes: those given, else the sorted names.

    Args:
        names: the class of each input.
        classes: of the suite; () where it has none.
        where: where each stands, for the error.

    Raises:
        ConfigError: a name is none of the classes; names the first place.
    """
    known = classes or tuple(sorted(set(names)))
    index = {name: number for number, name in enumerate(known)}
    for name, place in zip(names, where, strict=True):
        if name not in index:
            raise ConfigError(f'{place}: "{name}" is none of the suite\'s classes{did_you_mean(name, known)}')
    return np.array([index[name] for name in names], np.int64), known


def require_room(count: int, shape: Sequence[int], dtype: Any, what: object) -> None:
    """Refuse inputs that take more memory than any suite should.

    Raises:
        ConfigError: `count` inputs of that shape and type have more than `MOST_BYTES`.
    """
    size = count * int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if size > MOST_BYTES:
        each = " x ".join(map(str, shape))
        raise ConfigError(
            f"{what}: {count:,} inputs of {each} values take {size:,} bytes, and at most {MOST_BYTES:,} are read; use "
            "fewer"
        )


def counted(things: Sequence[Any], what: object) -> Iterator[Any]:
    """Yield things; what takes more than two seconds tells stderr how far it is."""
    shown = time.monotonic() + _FIRST_S - _EVERY_S
    for done, thing in enumerate(things):
        if time.monotonic() - shown > _EVERY_S:
            print(f"Reading {what}: {done:,} of {len(things):,}", file=sys.stderr, flush=True)  # noqa: T201
            shown = time.monotonic()
        yield thing
