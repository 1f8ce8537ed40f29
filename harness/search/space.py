"""What is searched: the file that lists the choices, and the candidates that come of them."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (pydantic needs it at run time)
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PrivateAttr

from harness.config.board import Name  # noqa: TC001 (pydantic needs it at run time)
from harness.config.document import Model, read_document
from harness.config.inputs import Inputs, Labels  # noqa: TC001 (pydantic needs them at run time)
from harness.config.suite import Limits, check_limits_known
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Choice = str | int | float | bool
_PLACEHOLDERS = ("params", "out", "stage", "python")


class TestData(Model):
    """What the suite of the front is run on, once all is chosen."""

    inputs: Inputs
    labels: Labels


@dataclass(frozen=True)
class Candidate:
    """One point of the space."""

    params: Mapping[str, _Choice]

    @property
    def name(self) -> str:
        """A name that is the same whenever the choices are."""
        text = json.dumps(self.params, sort_keys=True)
        return f"c{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.params.items())


class Space(Model):
    """A search file; the paths in it are relative to its folder.

    Attributes:
        task: what the candidates are for.
        inputs: validation inputs. Test inputs would no longer be a test once they have chosen a model.
        labels: the class of each input.
        classes: names of the classes.
        space: the values that each parameter can have.
        make: command that writes a candidate as .tflite.
        timeout_s: seconds that the command may take.
        resize: how inputs come to a candidate's size.
        limits: budgets, by column of the results.
        test: inputs and labels that only front.yaml names.
    """

    task: Name
    inputs: Inputs
    labels: Labels
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    space: Annotated[dict[Name, Annotated[tuple[_Choice, ...], Field(min_length=1)]], Field(min_length=1)]
    make: Annotated[tuple[str, ...], Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0)] = 3600
    resize: Literal["area", "bilinear"] | None = None
    limits: Limits = Field(default_factory=dict)
    test: TestData | None = None
    _path: Path = PrivateAttr()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def size(self) -> int:
        """How many candidates there are."""
        return math.prod(len(values) for values in self.space.values())

    def candidates(self, most: int, seed: int) -> list[Candidate]:
        """Return all candidates, or `most` of them chosen at random, in the order of the space."""
        wanted = set(range(self.size))
        if self.size > most:
            wanted = set(random.Random(seed).sample(range(self.size), most))  # noqa: S311 (reproducible, not secret)
        points = enumerate(itertools.product(*self.space.values()))
        return [Candidate(dict(zip(self.space, values, strict=True))) for index, values in points if index in wanted]


def load_space(path: Path) -> Space:
    """Read a search file.

    Raises:
        ConfigError: it is missing or wrong; names file, line and key.
    """
    document = read_document(path)
    space = document.build(Space, document.data)
    check_limits_known(document, space.limits, ("limits",))
    for name, values in space.space.items():
        if len(set(values)) != len(values):
            raise document.error(("space", name), "a value stands twice")
    for index, word in enumerate(space.make):
        try:
            word.format(**dict.fromkeys(_PLACEHOLDERS, ""))
        except (KeyError, IndexError, ValueError):
            known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
            raise document.error(("make", index), f"{word!r}: known placeholders are {known}") from None
    for needed in ("{params}", "{out}"):
        if not any(needed in word for word in space.make):
            raise document.error(("make",), f"must say where {needed} goes")
    space._path = path  # noqa: SLF001 (not a key of the file)
    return space


def read_limit(text: str) -> tuple[str, float]:
    """Return a budget given as `ram_peak_bytes=20000`.

    Raises:
        ConfigError: it isn't of that form.
    """
    name, equals, value = text.partition("=")
    try:
        number = float(value.replace(",", "").replace("_", ""))
    except ValueError:
        number = math.nan
    if not (equals and name and math.isfinite(number)):
        raise ConfigError(f'"{text}" is no limit; write a column and its greatest value, like ram_peak_bytes=20000')
    return name, number
