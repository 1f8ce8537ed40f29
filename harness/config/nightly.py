"""What is run every night: nightly.yaml."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from harness.config.document import Model, read_document
from harness.errors import ConfigError, ReservationError, StoreError
from harness.text.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECONDS = re.compile(r"[1-9][0-9]{0,6}s")

Text = Annotated[str, Field(min_length=1)]


class Nightly(Model):
    """What is run every night, and what is done with it.

    `suites` are files, or folders whose suites are all run; `devices` are devices, kinds, tags or `all`.
    `each` runs every case on every board; else the boards of a kind share the cases.
    `backend`, `samples` and `power` are those of pytest.
    `budget` is how long the measuring may take; a case that wouldn't fit any more isn't begun.
    `fetch` is a program that brings the newest images, run in the folder of this file before anything is planned.
    `check` tests each board before it is used, with an image whose answers are known.
    `baseline` and `fail_on` are those of `hil compare`; without `fail_on` a difference that is real and for the worse
    is shown and doesn't fail the night.
    `keep_raw_days` is how long samples, power windows and logs are kept; the cases are kept for ever.
    """

    suites: Annotated[tuple[Path, ...], Field(min_length=1)] = (Path("suites"),)
    devices: Annotated[tuple[Text, ...], Field(min_length=1)] = ("all",)
    each: bool = False
    backend: Literal["auto", "hardware", "renode", "virtual"] = "auto"
    samples: Annotated[int, Field(ge=1)] | None = None
    power: Literal["auto", "off", "required"] = "auto"
    budget: timedelta = timedelta(hours=8)
    fetch: tuple[str, ...] | None = None
    fetch_timeout: timedelta = timedelta(minutes=30)
    check: bool = True
    baseline: Text | None = "history:7"
    fail_on: Text | None = None
    keep_raw_days: Annotated[int, Field(ge=1)] = 30

    @field_validator("budget", "fetch_timeout", mode="before")
    @classmethod
    def _read_time(cls, value: object) -> object:
        if isinstance(value, timedelta):
            return value
        if isinstance(value, str) and _SECONDS.fullmatch(value):
            return timedelta(seconds=int(value.removesuffix("s")))
        if not isinstance(value, str):
            raise ValueError(f"{value} has no unit; write it as 90m, 2h, 1h30m or 1d")  # noqa: TRY004 (pydantic's way)
        try:
            return parse_duration(value)
        except ReservationError as error:
            raise ValueError(str(error)) from error

    @field_validator("suites", "devices", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("fetch", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(shlex.split(value)) if isinstance(value, str) else value


def load_nightly(path: Path, parsers: Mapping[str, Callable[[str], object]]) -> Nightly:
    """Read nightly.yaml. Its paths are those of the folder that it is in.

    Args:
        path: the file.
        parsers: by key, what will read the text of `baseline` and of `fail_on` when the night has ended. They are
            called once here, so that what they refuse is refused before anything is measured.

    Raises:
        ConfigError: it is missing or wrong; names file, line and key.
    """
    document = read_document(path)
    nightly = document.build(Nightly, document.data)
    if nightly.fail_on is not None and nightly.baseline is None:
        raise document.error(("fail_on",), "needs a baseline: worse than what?")
    for key, parse in parsers.items():
        value = getattr(nightly, key)
        try:
            if value is not None:
                parse(value)
        except (ConfigError, StoreError) as error:
            raise document.error((key,), str(error)) from error
    folder = path.parent
    return nightly.model_copy(update={"suites": tuple(folder / suite for suite in nightly.suites)})
