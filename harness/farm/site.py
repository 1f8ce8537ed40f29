"""The pages of `hil serve`: which address shows what, and how it is drawn. Nothing a board says becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.farm.seen import plain
from harness.locks.state import now
from harness.text.escape import xml_text
from harness.text.times import show_time

if TYPE_CHECKING:
    from datetime import datetime

    from harness.farm.watch import Watch

HTML, TEXT, JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"
_REFRESH_S = 10
_LONGEST_PATH = 1000
_NEVER = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY = f"default-src 'none'; style-src 'self'; img-src 'self' data:; {_NEVER}"


@dataclass(frozen=True)
class Reply:
    """What is sent: `policy` is its Content-Security-Policy."""

    status: int
    body: bytes
    kind: str = HTML
    policy: str = PAGE_POLICY
    headers: tuple[tuple[str, str], ...] = ()


class Site:
    """Draws pages.

    Args:
        watch: knows the farm.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._environment = Environment(
            loader=PackageLoader("harness.farm"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_printable,
        )
        self._environment.filters |= {"ago": _ago, "clock": _clock, "dated": _dated, "segment": _segment}
        self._style = files("harness.farm").joinpath("templates", "style.css").read_bytes()
        script = files("harness.report").joinpath("templates", "sort.js").read_bytes()
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        # In a sandbox a report has no origin: it can reach neither these pages nor the cookie. Only our script runs.
        self._report_policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; {_NEVER}; "
            "sandbox allow-scripts"
        )

    def answer(self, path: str, query: str) -> Reply:
        """Return what is at an address.

        Args:
            path: as the browser sent it, without the query.
            query: what came after the question mark.
        """
        segments = _segments(path)
        reply = self._fixed(segments, query) if len(segments) == 1 else self._named(segments, query)
        return reply or self.message(404, "Nothing here", "There is no such page, board, night or report.")

    def _fixed(self, segments: list[str], query: str) -> Reply | None:
        match segments:
            case [""]:
                refresh = 0 if query == "still" else _REFRESH_S
                return self._page("overview.html", status=self._watch.status(), refresh=refresh)
            case ["status.json"]:
                return Reply(200, json.dumps(plain(self._watch.status()), indent=2).encode(), JSON)
            case ["healthz"]:
                return Reply(200, b"ok\n", TEXT)
            case ["style.css"]:
                return Reply(200, self._style, "text/css; charset=utf-8")
        return None

    def _named(self, segments: list[str], query: str) -> Reply | None:
        match segments:
            case ["board", name] if (board := self._watch.board(name)) is not None:
                return self._page("board.html", board=board[0], history=board[1], at=now(), refresh=0)
            case ["night", name] if (night := self._watch.night(name)) is not None:
                refresh = 0 if query == "still" or night[0].finished else _REFRESH_S
                return self._page("night.html", night=night[0], cases=night[1], at=now(), refresh=refresh)
            case ["reports", name, ""]:
                return self._report(self._watch.report_of_run(name))
            case ["night", name, "report"]:
                return self._report(self._watch.report_of_night(name))
        return None

    def message(self, status: int, title: str, text: str) -> Reply:
        """Return a page that says one thing, with a link to the first page."""
        return self._page("message.html", status, title=title, text=text, refresh=0)

    def _report(self, body: bytes | None) -> Reply | None:
        return None if body is None else Reply(200, body, policy=self._report_policy)

    def _page(self, template: str, code: int = 200, **content: Any) -> Reply:
        html = self._environment.get_template(template).render(content)
        return Reply(code, html.encode("utf-8", "backslashreplace"))


def _segments(path: str) -> list[str]:
    """Return the names in a path, decoded one by one, so that no slash comes out of a code; none if it isn't one."""
    if not path.startswith("/") or len(path) > _LONGEST_PATH:
        return []
    return [os.fsdecode(unquote_to_bytes(part)) for part in path[1:].split("/")]


def _segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(os.fsencode(name), safe="")


def _printable(value: Any) -> Any:
    """Show what could harm the display as its code, in whatever a template writes."""
    if isinstance(value, Markup):
        return Markup(xml_text(value))  # noqa: S704 (it was markup before)
    return xml_text(value) if isinstance(value, str) else value


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
