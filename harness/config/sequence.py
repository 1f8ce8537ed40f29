"""The keys of a suite whose inputs are sequences of steps, or come with a period."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from harness.config.document import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config.document import Document

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class _Seconds(float):
    """What a text said."""


def _duration(given: Any) -> _Seconds:
    found = re.fullmatch(r"\s*([0-9.eE+-]+)\s*(us|ms|s)\s*", given) if isinstance(given, str) else None
    try:
        seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    except ValueError:
        seconds = 0.0
    if isinstance(given, _Seconds):  # of a suite that was read already
        return given
    if not 0 < seconds < 1e9:
        raise ValueError(f"{given!r} is no period: write a number above 0 and its unit, like 20 ms (us, ms or s)")
    return _Seconds(seconds)


Duration = Annotated[float, PlainValidator(_duration)]


class Sequence(Model):
    """How the outputs of the steps of an input become one answer.

    `last`: the last step's. `mean` and `max`: of each output over the steps. `any`: of each output, 1 if a step is
    above the threshold, else 0.
    """

    decide: Literal["any", "mean", "max", "last"]
    threshold: float | None = None

    @model_validator(mode="after")
    def _threshold_goes_with_any(self) -> Self:
        if (self.decide == "any") != (self.threshold is not None):
            raise ValueError('"threshold" goes with "decide: any", which needs it')
        return self


class Battery(Model):
    """A battery: its charge and the voltage at which it gives it."""

    mah: Annotated[float, Field(gt=0)]
    volts: Annotated[float, Field(gt=0)]

    @property
    def joules(self) -> float:
        """The energy in it."""
        return self.mah * 3.6 * self.volts


class StepKeys(Model):
    """Whether axis 1 of the inputs are the steps of a sequence; how often an inference is due, in seconds."""

    sequence: Sequence | None = None
    every: Duration | None = None
    battery: Battery | None = None


def check_steps(document: Document, given: Mapping[str, Any]) -> None:
    """Refuse keys that mean nothing without another one.

    Raises:
        ConfigError: names file, line and key.
    """
    for key, needed in (("lengths", "sequence"), ("battery", "every")):
        if given[key] is not None and given[needed] is None:
            raise document.error((key,), f'goes with "{needed}:", which the suite doesn\'t have')
