"""Numbers as people read them."""

from __future__ import annotations

_THOUSAND = 1000
_KIB = 1024
_TINY_PERCENTS = 0.01
MINUS = "\N{MINUS SIGN}"

#: Up to so many samples one decimal of a percentage is all that they can tell apart.
_ONE_DECIMAL_SAMPLES = 1000


def count(value: float) -> str:
    """Return a whole number with commas; one decimal if it is none (a median between two)."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.1f}"


def short(value: float) -> str:
    """Return a number in three digits or fewer with k, M or G, for axes: 1.5 M."""
    size, unit = abs(value), ""
    for name in ("k", "M", "G"):
        if size < _THOUSAND:
            break
        size, unit = size / _THOUSAND, name
    digits = f"{size:.3g}"
    sign = MINUS if value < 0 else ""
    return f"{sign}{digits} {unit}".rstrip()


def kib(size_bytes: float) -> str:
    """Return a size in KiB (1,024 bytes) with three digits: 35.5 KiB. Small ones stay in bytes."""
    if size_bytes < _KIB:
        return f"{count(size_bytes)} B"
    value = size_bytes / _KIB
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} KiB"


def percent(share: float, samples: int | None = None) -> str:
    """Return a share of 1 in percent, with no more decimals than the samples can tell apart."""
    return f"{100 * share:.{decimals(samples)}f} %"


def decimals(samples: int | None) -> int:
    """Return how many decimals a percentage over so many samples deserves."""
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
    if abs(percents) < _TINY_PERCENTS:
        return f"<{_TINY_PERCENTS} %"
    return f"{signed(percents, 1 if abs(percents) >= 1 else 2)} %"


def span(low: float, high: float) -> str:
    """Return two numbers with their signs and as many decimals, up to three, as it takes to tell them apart."""
    for digits in (1, 2, 3):
        ends = signed(low, digits), signed(high, digits)
        if ends[0] != ends[1]:
            break
    return f"{ends[0]} to {ends[1]}"
