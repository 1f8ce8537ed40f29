"""The pages, as bytes by their paths. All text in them is made harmless here, wherever it came from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.farm.site.gather import plain
from harness.text.escape import one_line, xml_text
from harness.text.times import show_time

if TYPE_CHECKING:
    from datetime import datetime

    from harness.farm.site.gather import Status

FIRST: Final = "index.html"
_REFRESH_S = 10
_LINE_CHARACTERS, _TEXT_CHARACTERS = 300, 20_000
#: Names that are file names on any system, and no two of them the same on one that doesn't tell A from a.
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,100}|[0-9]{8}T[0-9]{6}Z(-[a-z0-9]+)*")
_NOTHING_ELSE = "base-uri 'none'; form-action 'none'"


def pages(status: Status, *, refresh: bool = False) -> dict[str, bytes]:
    """Return what each file of the site holds, by its path within it.

    Args:
        status: what is to be shown.
        refresh: whether the first page, and that of a night that runs, ask for themselves again every 10 s; then each
            of them has a twin that doesn't.
    """
    at = status.at
    drawn = {"status.json": json.dumps(plain(status), indent=2).encode()}
    for still in (False, True) if refresh else (True,):
        again = 0 if still else _REFRESH_S
        twin = still and refresh
        drawn[_path("index", still=twin)] = _draw("overview", again, status=status, at=at, twin=twin)
        for night in status.nights:
            if night.finished and not still:
                continue
            path = _path(f"night/{_file_name(night.id)}", still=twin and not night.finished)
            drawn[path] = _draw("night", again, night=night, at=at)
    for board in status.boards:
        page = _draw("board", 0, board=board, unknown=status.untold, at=at)
        drawn[f"board/{_file_name(board.name)}.html"] = page
    reports = [(f"report/{_file_name(run.name)}.html", run.report) for run in status.runs]
    reports += [(f"night/{_file_name(night.id)}.report.html", night.report) for night in status.nights]
    drawn |= {path: _guarded(page) for path, page in reports if page is not None}
    return drawn


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("harness.farm.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    made.filters |= {"ago": _ago, "clock": _clock, "dated": _dated, "file": _link, "lines": _lines}
    style = files("harness.farm.site").joinpath("templates", "style.css").read_text("utf-8")
    policy = f"default-src 'none'; style-src 'sha256-{_digest(style)}'; img-src data:; {_NOTHING_ELSE}"
    made.globals |= {"style": Markup(style), "policy": Markup(policy)}  # noqa: S704 (ours)
    return made


def _draw(template: str, refresh: int, **content: Any) -> bytes:
    html = _environment().get_template(f"{template}.html").render(content, refresh=refresh)
    return html.encode("utf-8", "backslashreplace")


def _path(stem: str, *, still: bool) -> str:
    return f"{stem}{'.still' if still else ''}.html"


def _file_name(name: str) -> str:
    """Return what the file about something is called: its name, where no system and no server takes it amiss."""
    if _PLAIN.fullmatch(name):
        return name
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-")
    return f"{readable or 'page'}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _link(name: str) -> Markup:
    return Markup(quote(_file_name(name), safe=""))  # noqa: S704 (quoted)


def _guarded(report: bytes) -> bytes:
    """Return a report in which no script runs but our own, which sorts its tables, and which loads nothing.

    A page's policies add up, and the browser reads this one first.
    """
    script = files("harness.report").joinpath("templates", "sort.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{_digest(script)}'; "
        f"{_NOTHING_ELSE}"
    )
    head = f'<!doctype html>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    return head.encode() + report


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _harmless(value: Any) -> Any:
    """Return whatever a template writes as one printable line; that markup of ours is made of such lines."""
    if value is None or isinstance(value, Markup | int | float):
        return value
    shown = xml_text(one_line(str(value)))
    return shown if len(shown) <= _LINE_CHARACTERS else f"{shown[: _LINE_CHARACTERS - 3]}..."


def _lines(value: str) -> Markup:
    """Return printable text of several lines."""
    shown = "\n".join(xml_text(one.replace("\t", "    ").rstrip()) for one in value.split("\n"))
    return escape(shown if len(shown) <= _TEXT_CHARACTERS else f"{shown[:_TEXT_CHARACTERS]}...")


def _ago(when: datetime | None, at: datetime) -> str:
    """Say how long ago something was, or in how long it will be, in one unit."""
    if when is None:
        return "unknown"
    seconds = (at - when).total_seconds()
    size = abs(seconds)
    if size < 90:
        words = f"{size:.0f} s"
    elif size < 90 * 60:
        words = f"{size / 60:.0f} min"
    elif size < 36 * 3600:
        words = f"{size / 3600:.0f} h"
    else:
        words = f"{size / 86400:.0f} days"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _clock(when: datetime | None, at: datetime) -> str:
    """Return a time by the clock of this computer, with the day if it isn't today's."""
    if when is None:
        return "unknown"
    try:
        return show_time(when, at)
    except (OverflowError, ValueError, OSError):  # at an end of the calendar, where other zones have no such time
        return when.isoformat(sep=" ", timespec="minutes")


def _dated(when: datetime) -> str:
    """Return the time of a look with its day: a page can stay open until tomorrow."""
    return f"{when.astimezone():%a %d %b %Y %H:%M:%S %Z}"
