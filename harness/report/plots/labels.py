"""Where to write the names of points so that none hides another."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle in points, from its lower left to its upper right corner."""

    left: float
    bottom: float
    right: float
    top: float


class Label(NamedTuple):
    """A label that was placed.

    Attributes:
        box: the rectangle that it covers.
        align: left, right or center: which part of it is fixed, whatever font it is drawn with.
        leader: whether it is so far from its point that a line should lead there.
    """

    box: Box
    align: str
    leader: bool


_NEAR = 7.0
_RADII = (_NEAR, 15.0, 24.0, 34.0, 46.0, 60.0, 76.0, 95.0, 115.0)
_ANGLES = (0, 180, 45, 135, 315, 225, 90, 270, 20, 160, 340, 200)
_POINT_RADIUS = 4.5
_STEP = 8.0
_ROUNDS = 3

# What a label's place costs, per square point that it hides or per point that it is away.
_OTHER_LABEL, _OTHER_POINT, _OWN_POINT, _LINE, _OUTSIDE, _AWAY, _RANK = 8.0, 3.0, 1.0, 0.6, 500.0, 1.5, 0.8


def place(
    points: Sequence[Point], sizes: Sequence[Point], frame: Box, lines: Iterable[tuple[Point, Point]] = ()
) -> list[Label]:
    """Place a label for each point: near it, inside the frame, on no other label, point or line if there is room.

    The crowded points choose first, then everyone may choose again twice.

    Args:
        points: where the points are, in points.
        sizes: width and height of the labels, in points.
        frame: they should stay inside.
        lines: what they should not cross, as pairs of ends.
    """
    radius = _POINT_RADIUS
    marks = np.array([(x - radius, y - radius, x + radius, y + radius) for x, y in points])
    dots = np.array([dot for ends in lines for dot in _dots(*ends)]).reshape(-1, 4)
    candidates = [_candidates(point, size) for point, size in zip(points, sizes, strict=True)]
    boxes = [np.array([label.box for label in mine]) for mine in candidates]
    away = np.repeat(np.array(_RADII) - _NEAR, len(_ANGLES)) * _AWAY
    rank = np.tile(np.arange(len(_ANGLES)), len(_RADII)) * _RANK
    fixed = []
    for i, mine in enumerate(boxes):
        weight = np.full(len(points), _OTHER_POINT)
        weight[i] = _OWN_POINT
        hidden = _overlaps(mine, marks) @ weight + _LINE * _overlaps(mine, dots).sum(axis=1)
        outside = np.maximum(frame[:2] - mine[:, :2], 0) + np.maximum(mine[:, 2:] - frame[2:], 0)
        fixed.append(away + rank + hidden + _OUTSIDE * outside.sum(axis=1))
    chosen: dict[int, int] = {}
    nearest = [
        min((math.dist(one, other) for j, other in enumerate(points) if j != i), default=0.0)
        for i, one in enumerate(points)
    ]
    for i in sorted(range(len(points)), key=nearest.__getitem__) * _ROUNDS:
        others = np.array([boxes[j][k] for j, k in chosen.items() if j != i]).reshape(-1, 4)
        chosen[i] = int(np.argmin(fixed[i] + _OTHER_LABEL * _overlaps(boxes[i], others).sum(axis=1)))
    return [candidates[i][chosen[i]] for i in range(len(points))]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions close to those wanted, at least `gap` apart and, if they all fit, between `low` and `high`."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    at = [wanted[i] for i in order]
    for _ in range(200):
        moved = False
        for i in range(len(at) - 1):
            short = gap - (at[i + 1] - at[i])
            if short > 1e-6:
                at[i], at[i + 1], moved = at[i] - short / 2, at[i + 1] + short / 2, True
        if at and at[0] < low:
            at[0], moved = low, True
        if at and at[-1] > high:
            at[-1], moved = high, True
        if not moved:
            break
    return [position for _, position in sorted(zip(order, at, strict=True))]


def _candidates(point: Point, size: Point) -> list[Label]:
    """Return the places around a point, the nearest first, in the order of `_RADII` and `_ANGLES`."""
    (x, y), (width, height) = point, size
    found = []
    for radius in _RADII:
        for angle in _ANGLES:
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            at_x, at_y = x + radius * dx, y + radius * dy
            align = "left" if dx > 0.3 else "right" if dx < -0.3 else "center"
            left = {"left": at_x, "right": at_x - width, "center": at_x - width / 2}[align]
            bottom = at_y - height / 2 + dy * height / 2
            found.append(Label(Box(left, bottom, left + width, bottom + height), align, leader=radius > _NEAR))
    return found


def _overlaps(some: Any, others: Any) -> Any:
    """Return the area that each of some boxes (shape [N, 4]) shares with each of others ([M, 4]): shape [N, M]."""
    a, b = some[:, None, :], others[None, :, :]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    return np.maximum(sides, 0).prod(axis=-1)


def _dots(start: Point, end: Point) -> Iterable[tuple[float, float, float, float]]:
    """Cut a line into small boxes."""
    steps = max(1, int(math.dist(start, end) / _STEP))
    ends = [tuple(a + (b - a) * (n / steps) for a, b in zip(start, end, strict=True)) for n in range(steps + 1)]
    for (ax, ay), (bx, by) in pairwise(ends):
        yield min(ax, bx) - 1, min(ay, by) - 1, max(ax, bx) + 1, max(ay, by) + 1
