"""The look that all plots share: size, colours, and SVG that is the same every time."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from markupsafe import escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

#: Width of every figure in points. A phone shows it about one to one, a desktop enlarges it.
WIDTH: Final = 380.0

#: Sizes of text in points.
TEXT: Final = 12.5
SMALL: Final = 12.0

#: Colours on white paper, and the CSS variable that a page may replace each with. The colours of data are from Okabe
#: and Ito (https://jfly.uni-koeln.de/color/), which people with any kind of colour vision can tell apart.
INK: Final = "#1b2027"
MUTED: Final = "#5b6570"
RULE: Final = "#d8dde3"
PAPER: Final = "#ffffff"
ACCENT: Final = "#0072b2"
BAD: Final = "#d55e00"
GOOD: Final = "#009e73"
SERIES: Final = (ACCENT, "#e69f00", "#56b4e9", "#cc79a7", GOOD, "#8a93a0")

_VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    **{color: f"--series-{number}" for number, color in enumerate(SERIES)},
    BAD: "--bad",
}

_RC: Any = {
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TEXT,
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "svg.hashsalt": "hil",  # the same figure is the same file
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a "$"
    **{f"{axis}tick.color": RULE for axis in "xy"},
    **{f"{axis}tick.labelcolor": MUTED for axis in "xy"},
    **{f"{axis}tick.labelsize": SMALL for axis in "xy"},
}

INCH: Final = 72.0
_SCREEN_DPI = 144
_PATCH = 12.0
_LEGEND_GAP = 14.0

#: Height of a line of a legend in points.
LEGEND_LINE: Final = 17.0


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style; what the notebook has set is left as it was."""
    with mpl.rc_context(_RC):
        yield


def blank(height: float, *, left: float, right: float, top: float, bottom: float) -> tuple[Figure, Axes]:
    """Return a figure of `WIDTH` x `height` points with one plot in it, and margins in points around it."""
    figure = Figure(figsize=(WIDTH / INCH, height / INCH), dpi=_SCREEN_DPI, facecolor=PAPER)
    FigureCanvasSVG(figure)
    box = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    axes.set_facecolor("none")
    return figure, axes


def legend_lines(names: Sequence[str]) -> list[list[int]]:
    """Return which names stand in which line of a legend: as many as fit into the width of a figure."""
    lines: list[list[int]] = [[]]
    at = 0.0
    for number, name in enumerate(names):
        width = _PATCH + text_width(name, SMALL)
        if lines[-1] and at + width > WIDTH:
            lines.append([])
            at = 0.0
        lines[-1].append(number)
        at += width + _LEGEND_GAP
    return lines


def legend(figure: Figure, entries: Sequence[tuple[str, str]]) -> None:
    """Write the names of colours at the top of a figure, each behind a patch of it, `LEGEND_LINE` points a line."""
    height = figure.get_figheight() * INCH
    for line, members in enumerate(legend_lines([name for name, _ in entries])):
        at, y = 0.0, 8 + LEGEND_LINE * line
        for name, color in (entries[number] for number in members):
            corner = (at / WIDTH, 1 - (y + 4) / height)
            patch = Rectangle(corner, 8 / WIDTH, 8 / height, transform=figure.transFigure, color=color, lw=0)
            figure.add_artist(patch)
            x = (at + _PATCH) / WIDTH
            figure.text(x, 1 - y / height, name, fontsize=SMALL, color=MUTED, va="center_baseline")
            at += _PATCH + text_width(name, SMALL) + _LEGEND_GAP


def text_width(text: str, size: float) -> float:
    """Return how wide a line of text is, in points, in the font that the plots are laid out with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box of about its width
        font = FontProperties(["DejaVu Sans"], size=size)
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def shorten(text: str, size: float, width: float) -> str:
    """Return a text, cut and with an ellipsis if it is wider than so many points."""
    if text_width(text, size) <= width:
        return text
    kept = len(text)
    while kept > 1 and text_width(f"{text[:kept]}…", size) > width:
        kept -= 1
    return f"{text[:kept]}…"


def svg(figure: Figure, *, prefix: str = "", title: str | None = None) -> str:
    """Return a figure as SVG for a page: no size of its own, no background, colours from CSS variables.

    The same figure gives the same text every time: there is no date in it and no random name.

    Args:
        figure: made by `harness.report.plots`.
        prefix: put before every id, so that several figures can share a page.
        title: what it shows, for who can't see it.
    """
    text = _export(figure, transparent=True)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}", text)
    for color, variable in _VARIABLES.items():
        text = re.sub(f"(?<=: ){color}", f"var({variable}, {color})", text, flags=re.IGNORECASE)
    opening, _, drawing = text.partition(">")
    box = opening[opening.index("viewBox=") :].split('"')[1]
    label = f"<title>{escape(title)}</title>" if title else ""
    opening = f'<svg class="plot" role="img" viewBox="{box}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return opening + label + drawing.strip()


def svg_file(figure: Figure) -> str:
    """Return a figure as an SVG file on white paper, the same text every time."""
    return _export(figure, transparent=False)


def _export(figure: Figure, *, transparent: bool) -> str:
    out = io.StringIO()
    with style(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reader's font draws the text, not the one of this machine
        figure.savefig(out, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
