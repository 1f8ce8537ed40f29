"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.content import heading, standing
from harness.report.tables import image_table

if TYPE_CHECKING:
    from harness.report.content import Page


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
        caveats=page.caveats,
        badges=list({caveat.title: caveat for caveat, _ in page.caveats if caveat.tone != "note"}.values()),
        baseline=page.baseline,
        standing=standing(page.baseline) if page.baseline else "",
        left_out=page.left_out,
        css=Markup(css),  # noqa: S704 (ours)
        script=Markup(script),  # noqa: S704 (ours)
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
