"""Which inputs of a suite are used when not all of them are: some of every class, the same ones everywhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

#: Seed of everything random in a run; each case row carries it.
SEED: Final = 0


def stratified(
    labels: NDArray[np.int64], count: int, seed: int = SEED, groups: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Choose inputs so that each class has its share of them, and at least one as long as there are enough.

    The choice depends on the labels, the count and the seed only, not on a library's random numbers: every variant,
    board, process, retry and computer gets the same inputs. A smaller choice is part of every larger one.

    Args:
        labels: class index of each input, shape [N].
        count: how many inputs are wanted; all of them if there are no more.
        seed: of the order of the inputs within a class.
        groups: the group of each input, shape [N]: whole groups are chosen, of the class of their first input, until
            there are as many inputs as are wanted and one of each class.

    Returns:
        Indices of the chosen inputs, ascending, int64, shape [min(count, N)] or, with groups, longer.
    """
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    if groups is None:
        return np.sort(_in_order(labels, seed)[:count])
    _, firsts, places, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    order = _in_order(labels[firsts], seed)
    taken = np.cumsum(sizes[order])
    number = max(int(np.searchsorted(taken, count)) + 1, len(np.unique(labels[firsts])))
    return np.flatnonzero(np.isin(places, order[:number])).astype(np.int64)


def _in_order(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return all places in the order in which they are chosen: every beginning of it has each class's share."""
    order = _shuffled(len(labels), seed)
    ranks = np.empty(len(labels), dtype=np.int64)
    sizes = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        ranks[mine], sizes[mine] = np.arange(len(mine)), len(mine)
    # The first of each class come first; the others follow evenly.
    places = np.where(ranks == 0, -1.0, (ranks + 0.5) / sizes)
    return order[np.argsort(places[order], kind="stable")]


def class_counts(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return how often each class occurs that does, in the order of the classes."""
    return np.unique(labels, return_counts=True)[1].astype(np.int64)


def majority_share(labels: NDArray[Any]) -> float:
    """Return the share of the most frequent class among labels: what always answering it scores."""
    return int(class_counts(labels).max()) / len(labels)


def _shuffled(count: int, seed: int) -> NDArray[np.int64]:
    """Return 0 to count - 1 in an order that a hash gives: the same with every version of every library."""
    keys = [hashlib.sha256(f"{seed}/{index}".encode()).digest() for index in range(count)]
    return np.array(sorted(range(count), key=keys.__getitem__), dtype=np.int64)
