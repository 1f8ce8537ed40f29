"""A calendar elsewhere: fetched with a time limit, kept, and its last copy used while it is away."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

from harness.config.state import now, stamp
from harness.errors import ConfigError, HilError, ReservationError
from harness.files.json_file import read_json, write_file, write_json
from harness.text.times import show_length, show_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: How old a copy may get before the calendar is asked again, and how long after a failure it isn't.
_FRESH = timedelta(minutes=1)
_CONNECT_S, _WHOLE_S = 10.0, 20.0
_LARGEST = 16 << 20


def shown_url(url: str) -> str:
    """Return a URL as messages have it: without its path, which for private calendars is the password."""
    return f"{urlsplit(url).scheme}://{urlsplit(url).hostname or '?'}/..."


def fetch_calendar(url: str, folder: Path, parse: Callable[[str, bytes], object]) -> tuple[bytes, str | None]:
    """Return what a calendar holds: fetched, or the last copy.

    Args:
        url: http, https or webcal.
        folder: for the copy; made if missing.
        parse: refuses what is no calendar; such an answer doesn't replace the copy.

    Returns:
        The content, and a warning if that is a copy because the calendar couldn't be fetched.

    Raises:
        ReservationError: it can't be fetched and there is no copy.
        ConfigError: the URL is of another sort.
    """
    if urlsplit(url).scheme not in ("http", "https", "webcal"):
        raise ConfigError(f"`farm: {{calendar: {shown_url(url)}}}` in devices.yaml is neither a file nor http or https")
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    path, about_path = folder / f"{name}.ics", folder / f"{name}.json"
    about = read_json(about_path) or {}
    fetched, tried, problem = _time(about.get("fetched")), _time(about.get("tried")), about.get("problem")
    copy = path.read_bytes() if fetched is not None and path.is_file() else None
    if copy is None or tried is None or not tried <= now() < tried + _FRESH:
        tried = now()
        try:
            content = _ask(url)
            parse(shown_url(url), content)
            copy, fetched, problem = content, tried, None
            with suppress(OSError):  # the next look fetches it again
                write_file(path, copy)
        except (OSError, HTTPException, ValueError, HilError) as error:
            problem = str(error)
        if copy is None or fetched is None:
            raise ReservationError(
                f"the calendar at {shown_url(url)} can't be fetched ({problem}), and no earlier copy is there, so "
                "nobody knows which boards are reserved"
            )
        with suppress(OSError):
            write_json(about_path, {"fetched": stamp(fetched), "tried": stamp(tried), "problem": problem})
    if problem is None or fetched is None:
        return copy, None
    return copy, (
        f"the calendar at {shown_url(url)} can't be fetched ({problem}); its copy of {show_time(fetched, now())} "
        f"counts, which is {show_length(now() - fetched)} old"
    )


def _ask(url: str) -> bytes:
    end, content = time.monotonic() + _WHOLE_S, bytearray()
    with urlopen(url.replace("webcal://", "https://", 1), timeout=_CONNECT_S) as answer:  # noqa: S310 (seen to be http)
        while chunk := answer.read1(1 << 16):
            content += chunk
            if len(content) > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST >> 20} MB")
            if time.monotonic() > end:
                raise TimeoutError(f"not all of it came within {_WHOLE_S:g} s")
    return bytes(content)


def _time(said: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return when if when is not None and when.tzinfo is not None else None
