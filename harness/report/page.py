"""The report as one HTML file that needs nothing else, and in brief as GitHub flavoured Markdown for a CI job."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.boards_table import boards_table
from harness.report.content import heading, standing
from harness.report.side_by_side import MEANING
from harness.report.tables import image_table
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.content import Page, Section
    from harness.report.frame import Comparison
    from harness.report.groups import Group
    from harness.report.tables import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_MOST_ROWS = 12


def render_page(page: Page) -> str:
    """Return a report as one HTML file. It is the same text for the same results."""
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = files("harness.report").joinpath("templates")
    script, css = (folder.joinpath(name).read_text("utf-8") for name in ("sort.js", "page.css"))
    return environment.get_template("page.html").render(
        title=heading([section.group for section in page.sections]),
        sections=page.sections,
        images=image_table(page.images),
        runs=page.runs,
        history=page.history,
        boards=[(one, boards_table(one)) for one in page.boards],
        meaning=MEANING,
        caveats=page.caveats,
        badges=list({caveat.title: caveat for caveat, _ in page.caveats if caveat.tone != "note"}.values()),
        baseline=page.baseline,
        standing=standing(page.baseline) if page.baseline else "",
        left_out=page.left_out,
        css=Markup(css),  # noqa: S704 (ours)
        script=Markup(script),  # noqa: S704 (ours)
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def render_markdown(page: Page) -> str:
    """Return the summary: which variant to ship, the figures, and what to know before believing them."""
    lines = [f"## {escaped(heading([section.group for section in page.sections]))}", ""]
    lines += _boards(page)
    for section in page.sections:
        lines += _section(section, alone=len(page.sections) == 1)
    if page.baseline is not None:
        lines += _baseline(page.baseline)
    lines += _caveats(page)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, HTML, links, mentions or line breaks come of it."""
    text = " ".join(printable(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text).replace("@", "@\N{ZERO WIDTH SPACE}").replace("://", ":\N{ZERO WIDTH SPACE}//")


def _boards(page: Page) -> Iterable[str]:
    """Yield what techniques do on several boards, in words and as tables."""
    for one in page.boards:
        yield f"### {escaped(one.suite)}, the same variants on several boards"
        yield ""
        yield from (f"- {escaped(sentence)}" for sentence in one.lines[1:])
        yield ""
        yield from _table(boards_table(one))
    if page.boards:
        yield f"<sub>{escaped(MEANING)}</sub>"
        yield ""


def _section(section: Section, *, alone: bool) -> Iterable[str]:
    if not alone:
        yield f"### {escaped(section.title)}"
        yield ""
    yield f"**{escaped(section.pick.sentence)}**"
    yield ""
    yield from _table(section.choice)
    yield f"<sub>{escaped(section.place)} · {_inputs(section.group)}run {escaped(section.group.run.name)}</sub>"
    yield ""


def _inputs(group: Group) -> str:
    counts = group.complete["samples"]
    return f"{int(counts.min()):,} inputs per variant · " if len(counts) and counts.min() == counts.max() else ""


def _table(table: Table) -> Iterable[str]:
    yield "| " + " | ".join(escaped(name) for name, _ in table.columns) + " |"
    yield "|" + "|".join("---:" if number else "---" for _, number in table.columns) + "|"
    for name, *cells in table.rows:
        texts = [escaped(cell.text) + (f"<br>{escaped(cell.below)}" if cell.below else "") for cell in cells]
        yield f"| {escaped(name.text)} | " + " | ".join(texts) + " |"
    yield ""


def _baseline(comparison: Comparison) -> Iterable[str]:
    yield f"### Against {escaped(comparison.a)}"
    yield ""
    yield f"{standing(comparison)}."
    yield ""
    worse = [row for row in comparison.rows if row.verdict == "worse"]
    for row in worse[:_MOST_ROWS]:
        yield f"- {escaped(f'{row.b.suite}::{row.b.variant}')}: {escaped(row.name)} {escaped(row.reason)}"
    if len(worse) > _MOST_ROWS:
        yield f"- and {len(worse) - _MOST_ROWS} more"
    if worse:
        yield ""


def _caveats(page: Page) -> Iterable[str]:
    marks = {"failed": "CAUTION", "warning": "WARNING", "note": "NOTE"}
    for text in page.left_out:
        yield from ("> [!CAUTION]", f"> **Left out**: {escaped(text)}", "")
    for tone, mark in marks.items():
        texts = [
            f"> **{escaped(caveat.title)}**: {escaped(caveat.text)}{_where(where, page)}"
            for caveat, where in page.caveats
            if caveat.tone == tone
        ]
        if texts:
            yield f"> [!{mark}]"
            yield "\n>\n".join(texts)
            yield ""


def _where(sections: tuple[Section, ...], page: Page) -> str:
    if len(sections) == len(page.sections):
        return ""
    return f" ({', '.join(escaped(section.title) for section in sections)})"
