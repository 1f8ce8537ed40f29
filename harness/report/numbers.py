"""Numbers as people read them: with a true minus on pages, in ASCII (`plain_...`) on terminals."""

from __future__ import annotations

from typing import Final

MINUS: Final = "\N{MINUS SIGN}"

#: Up to so many samples one decimal of a percentage is all that they can tell apart.
_ONE_DECIMAL_SAMPLES = 1000


def count(value: float) -> str:
    """Return a whole number with commas; one decimal if it is none (a median between two)."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.1f}"


def short(value: float) -> str:
    """Return a number in three digits or fewer with k, M or G, for axes: 1.5 M."""
    size, unit = abs(value), ""
    for name in ("k", "M", "G"):
        if size < 1000:
            break
        size, unit = size / 1000, name
    return f"{MINUS if value < 0 else ''}{size:.3g} {unit}".rstrip()


def tick(value: float) -> str:
    """Return the number at a tick of an axis of changes: +2.5, 0."""
    return "0" if abs(value) < 1e-9 else f"{'+' if value > 0 else MINUS}{abs(value):g}"


def kib(size_bytes: float) -> str:
    """Return a size in KiB (1,024 bytes) with three digits: 35.5 KiB. Small ones stay in bytes."""
    if size_bytes < 1024:
        return f"{count(size_bytes)} B"
    value = size_bytes / 1024
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} KiB"


def percent(share: float, samples: int | None = None) -> str:
    """Return a share of 1 in percent, with no more decimals than the samples can tell apart."""
    return f"{100 * share:.{_decimals(samples)}f} %"


def percents(low: float, high: float, samples: int) -> str:
    """Return an interval of a share in percent, with as many decimals as `percent`."""
    return f"{100 * low:.{_decimals(samples)}f} to {100 * high:.{_decimals(samples)}f} %"


def figure(value: float) -> str:
    """Return a figure of any size in four digits: 0.9312, 12.08, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def score(value: float, unit: str, samples: int | None = None) -> str:
    """Return a score: a share in percent, anything else in its unit."""
    return percent(value, samples) if unit == "share" else f"{figure(value)} {unit}".rstrip()


def scores(low: float, high: float, unit: str, samples: int) -> str:
    """Return an interval of a score as `score`, the unit once."""
    return percents(low, high, samples) if unit == "share" else f"{figure(low)} to {figure(high)} {unit}".rstrip()


def _decimals(samples: int | None) -> int:
    return 1 if samples is None or samples <= _ONE_DECIMAL_SAMPLES else 2


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign, with a true minus: +1.0, \N{MINUS SIGN}0.5, 0.0."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def change(ratio: float) -> str:
    """Return a ratio as a change in percent: \N{MINUS SIGN}34.4 %, +0.03 %. A smaller one is <0.01 %."""
    percents = 100 * (ratio - 1)
    if not percents:
        return "0 %"
    if abs(percents) < 0.01:
        return "<0.01 %"
    return f"{signed(percents, 1 if abs(percents) >= 1 else 2)} %"


def span(low: float, high: float) -> str:
    """Return two numbers with their signs and as many decimals, up to three, as it takes to tell them apart."""
    for digits in (1, 2, 3):
        ends = signed(low, digits), signed(high, digits)
        if ends[0] != ends[1]:
            break
    return f"{ends[0]} to {ends[1]}"


def plain_change(scale: str, unit: str, value: float) -> str:
    """Return a change as a metric of that scale and unit is compared: +2.00 %, -1.00 points, +4 (in `unit`)."""
    if scale == "ratio":
        return f"{100 * (value - 1):+.2f} %"
    if unit == "share":
        return f"{100 * value:+.2f} points"
    return f"{value:+,.0f}" if unit == "bytes" else f"{value:+.3g}"


def plain_span(scale: str, unit: str, low: float, high: float) -> str:
    """Return an interval of changes as `plain_change`, the unit once: +1.50 to +2.50 %."""
    first, last = (plain_change(scale, unit, end) for end in (low, high))
    return f"{first.removesuffix(' %').removesuffix(' points')} to {last}"


def with_unit(scale: str, unit: str, value: float) -> str:
    """Return a change as `plain_change`, and bytes with their name."""
    return plain_change(scale, unit, value) + (
        f" {unit}" if scale == "difference" and unit not in ("share", "") else ""
    )


def margin(scale: str, unit: str, least: float) -> str:
    """Return a least difference of interest: 1 %, 0.5 points, 64 bytes."""
    if scale == "ratio":
        return f"{100 * least:g} %"
    if unit == "share":
        return f"{100 * least:g} point{'' if 100 * least == 1 else 's'}"
    return f"{least:,.0f} {unit}" if unit == "bytes" else f"{least:.3g} {unit}".rstrip()
