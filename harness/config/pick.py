"""What a suite or a command line says of the variant to ship: how much worse than the best it may be, and a budget."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BeforeValidator

from harness.config.document import Model
from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a variant can be the cheapest in.
AXES: Final = ("ticks", "latency", "energy", "peak_ram", "flash")

_EXAMPLE: Final = "ram<=32k, flash<=128k, instructions<=2M, accuracy>=0.9"
_BOUND = re.compile(r"\s*([A-Za-z_]+)\s*(<=|>=)\s*(\d+\.?\d*(?:[eE]\d+)?|\.\d+)\s*([A-Za-z\u00b5%]*)\s*")
_SHARE = re.compile(r"\s*(\d+\.?\d*(?:[eE]-?\d+)?|\.\d+)\s*(%?)\s*")
_SIGNS = ("<=", ">=")

#: Units that a number may have, and their factors; memory counts in 1,024s. Where "" is missing, one has to be given.
_UNITS: Final[dict[str, dict[str, float]]] = {
    "bytes": {"": 1.0, "b": 1.0} | {f"{k}{b}": f for k, f in (("k", 1024), ("m", 1024**2)) for b in ("", "b", "ib")},
    "ticks": {"": 1, "k": 1e3, "m": 1e6, "g": 1e9},
    "us": {"us": 1, "\u00b5s": 1, "ms": 1e3, "s": 1e6},
    "uJ": {"uj": 1, "\u00b5j": 1, "mj": 1e3, "j": 1e6},
    "share": {"": 1, "%": 0.01},
}
#: Other names of ticks, and the counter that each is.
COUNTERS: Final = {"instructions": "instructions", "cycles": "cycles", "emulated_cycles": "emulated cycles"}
#: What a budget may bound: the metric, its unit, and which way it is better; None: either.
_BOUNDED: Final[dict[str, tuple[str, str, str | None]]] = {
    "accuracy": ("accuracy", "share", ">="),
    "score": ("score", "share", None),
    **dict.fromkeys(("ticks", *COUNTERS), ("ticks", "ticks", "<=")),
    "latency": ("latency", "us", "<="),
    "energy": ("energy", "uJ", "<="),
    **dict.fromkeys(("ram", "peak_ram"), ("peak_ram", "bytes", "<=")),
    "flash": ("flash", "bytes", "<="),
}


@dataclass(frozen=True)
class Bound:
    """One bound of a budget.

    Attributes:
        text: as it was written, without spaces.
        metric: name of what is bounded.
        value: in the metric's unit; the bound itself is kept.
        most: whether it is an upper bound.
        counter: instructions or cycles; None where that wasn't said, or it is no bound on ticks.
    """

    text: str
    metric: str
    value: float
    most: bool
    counter: str | None = None


@dataclass(frozen=True)
class Wish:
    """What a user asks of the variant to ship; what isn't said is as the suite says.

    Attributes:
        axis: what has to be cheap; None: the time of an inference, or the instructions where no time is known.
        tolerance: by how much the score may be worse than the best, in its unit.
        budget: what the variant has to keep to.
    """

    axis: str | None = None
    tolerance: float | None = None
    budget: tuple[Bound, ...] = ()

    @classmethod
    def read(cls, axis: str | None, tolerance: str | None, budget: str | None) -> Self:
        """Read what a command line says; None: nothing.

        Raises:
            ConfigError: one can't be understood.
        """
        if axis is not None and axis not in AXES:
            raise ConfigError(f'"{axis}" is no axis{did_you_mean(axis, AXES)}')
        return cls(
            axis,
            None if tolerance is None else parse_tolerance(tolerance),
            () if budget is None else parse_budget(budget),
        )


def parse_budget(text: str) -> tuple[Bound, ...]:
    """Read a budget like `ram<=32k, flash<=128k, instructions<=2M, accuracy>=0.9`.

    Raises:
        ConfigError: it can't be understood; says what is wrong and how to write it.
    """
    bounds = tuple(_bound(part) for part in text.split(",") if part.strip())
    if not bounds:
        raise ConfigError(f"the budget is empty; write it like {_EXAMPLE}")
    seen: set[tuple[str, str | None]] = set()
    for bound in bounds:
        if (bound.metric, bound.counter) in seen:
            raise ConfigError(f'the budget bounds {bound.metric} twice; "{bound.text}" is the second')
        seen.add((bound.metric, bound.counter))
    return bounds


def _bound(part: str) -> Bound:
    text = "".join(part.split())
    found = _BOUND.fullmatch(part)
    if found is None:
        raise ConfigError(f'"{text}" is no bound; write a figure, <= or >=, and a number, like {_EXAMPLE}')
    name, sign, number, unit = found.groups()
    if name not in _BOUNDED:
        raise ConfigError(f'"{text}": {name} can\'t be bounded{did_you_mean(name, _BOUNDED)}')
    metric, kind, better = _BOUNDED[name]
    if better not in (None, sign):
        raise ConfigError(f'"{text}" would refuse the better variants; write {name}{better}{number}{unit}')
    if unit.lower() not in _UNITS[kind]:
        raise ConfigError(f'"{text}": write {name}{sign}{number} with one of {", ".join(filter(None, _UNITS[kind]))}')
    value = float(number) * _UNITS[kind][unit.lower()]
    if name == "accuracy" and value > 1:
        raise ConfigError(f'"{text}" can never be kept; write {name}{sign}0.9, or 90%')
    return Bound(text, metric, value, sign == "<=", COUNTERS.get(name))


def parse_tolerance(value: object) -> float:
    """Read a tolerance, a number in the unit of the score: `0.01` or `1%`, which is one point of accuracy.

    Raises:
        ConfigError: it is no number, or below 0.
    """
    found = _SHARE.fullmatch(str(value))
    if found is None or isinstance(value, bool):
        raise ConfigError(f'"{value}" is no tolerance; write a number of at least 0, like 0.01 or 1%')
    return float(found[1]) * (0.01 if found[2] else 1.0)


def _tolerance(value: Any) -> float | None:
    if isinstance(value, dict):
        if len(value) != 1 or not set(value) <= {"accuracy", "score"}:
            raise ConfigError("is a number, or one for accuracy or score, like {accuracy: 0.01}")
        (value,) = value.values()
    return None if value is None else parse_tolerance(value)


def _budget(value: Any) -> str:
    """Return a suite's budget, a mapping or text, as text."""
    if isinstance(value, dict):
        value = ", ".join(f"{name}{_sign(str(name), str(bound))}{bound}" for name, bound in value.items())
    for bound in parse_budget(str(value)) if value != "" else ():
        if bound.metric == "ticks" and bound.counter is None:
            raise ConfigError(f'"{bound.text}": say what is counted: instructions or cycles')
    return str(value)


def _sign(name: str, bound: str) -> str:
    """Return the sign of a bound in a mapping that has none."""
    return "" if bound.startswith(_SIGNS) else _BOUNDED.get(name, ("", "", ""))[2] or "<="


def _said(read: Callable[[Any], Any]) -> BeforeValidator:
    def validate(value: Any) -> Any:
        try:
            return read(value)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(validate)


class PickKeys(Model):
    """The keys of a suite that say which variant to ship; `budget` is "" if there is none."""

    tolerance: Annotated[float | None, _said(_tolerance)] = None
    budget: Annotated[str, _said(_budget)] = ""
