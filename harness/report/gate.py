"""The regression gate: limits on how much worse a figure may get, held against a comparison."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from harness.config.pick import COUNTERS
from harness.errors import ConfigError
from harness.report.baseline import history_nights
from harness.report.frame import Policy
from harness.report.metrics import ALIASES, METRICS, USUAL, Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.frame import CaseId, Comparison, Row
    from harness.report.history import Series

Outcome = Literal["ok", "regression", "can't tell", "no data"]

#: What a job that runs `hil compare` sees. 1 and 5 mean what they do for pytest: failed, and nothing there to run.
EXIT_CODES: Final[dict[Outcome, int]] = {"ok": 0, "regression": 1, "no data": 5, "can't tell": 6}

_LIMIT = re.compile(r"\s*([A-Za-z_][\w-]*)\s*([<>])\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(%|)\s*")
_EXAMPLE = "latency>2%,peak_ram>0,accuracy<-0.5%"
_MARGIN = re.compile(r"\s*([A-Za-z_][\w-]*)\s*=\s*(\d+\.?\d*|\.\d+)\s*(%|)\s*")
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Limit:
    """How much a metric may change before it is a regression.

    Attributes:
        text: the limit as the user wrote it.
        metric: what is limited.
        value: the change: a share for "%" (accuracy: of 1, so that 0.01 is a point), else in the metric's unit.
        relative: whether it is a share of the baseline's value; of a score, unless that is a share itself.
        sign: whether more (>) or less (<) is worse; a score's limit is for suites in which that is so.
        counter: cycles or instructions, if only that counter is meant.
    """

    text: str
    metric: Metric
    value: float
    relative: bool
    counter: str | None = None
    sign: str = ""


@dataclass(frozen=True)
class Check:
    """One limit held against one row.

    Attributes:
        limit: None if it is about all of them: a case that only the baseline has.
        row: None if there is none to check: the metric or the case was not measured, or a drift is in no one row.
        outcome: what came of it.
        reason: a sentence.
        case: that it is about, also where a drift is in no one row; None if there is none.
    """

    limit: Limit | None
    row: Row | None
    outcome: Outcome
    reason: str
    case: CaseId | None = None


@dataclass(frozen=True)
class Gate:
    """What came of all limits. One regression makes it one; else one that can't be told makes it that."""

    outcome: Outcome
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """What a command ends with."""
        return EXIT_CODES[self.outcome]


def parse_limits(text: str) -> tuple[Limit, ...]:
    """Read limits like `latency>2%,peak_ram>0,accuracy<-0.5%`.

    A percentage is of the baseline's value, for accuracy in points. Without "%" a limit is in the metric's own unit.

    Raises:
        ConfigError: it can't be understood; says what is wrong and how to write it.
    """
    parts = [part for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigError(f"no limit is given; write them like {_EXAMPLE}")
    return tuple(_parse(part) for part in parts)


def _parse(part: str) -> Limit:
    found = _LIMIT.fullmatch(part)
    if found is None:
        raise ConfigError(f'"{part.strip()}" is no limit; write a metric, > or <, and a number, like {_EXAMPLE}')
    name, sign, number, percent = found.groups()
    metric = METRICS.get(ALIASES.get(name, name))
    if metric is None:
        known = ", ".join([*METRICS, *ALIASES])
        raise ConfigError(f'"{part.strip()}": {name} is no metric; there are {known}')
    worse = "<" if metric.more_is_better else ">"
    if sign != worse and metric.name != "score":  # which is worse, its suite says
        hint = f"{name}<-0.5%" if metric.more_is_better else f"{name}>{number.lstrip('+-')}{percent}"
        raise ConfigError(
            f'"{part.strip()}" would fail when {name} gets better; a limit on getting worse is written like {hint}'
        )
    if not percent and float(number) and metric.unit in ("ticks", "us", "uJ", "share"):
        raise ConfigError(f'"{part.strip()}": write a percentage, {name}{sign}{number}%')
    value = float(number) / 100 if percent else float(number)
    relative = metric.scale == "ratio" or (bool(percent) and (metric.unit == "bytes" or metric.name == "score"))
    return Limit(part.strip(), metric, value, relative, COUNTERS.get(name), sign)


def make_policy(limits: Sequence[Limit], margins: str | None, *, across_engines: bool = False) -> Policy:
    """Return how to decide: the usual metrics and those that have limits.

    Raises:
        ConfigError: a margin can't be understood.
    """
    metrics = dict.fromkeys((*USUAL, *(limit.metric.name for limit in limits)))
    chosen = parse_margins(margins) if margins else {}
    return Policy(metrics=tuple(dict.fromkeys((*metrics, *chosen))), margins=chosen, across_engines=across_engines)


def parse_margins(text: str) -> dict[str, float]:
    """Read least differences of interest like `ticks=0.5%,accuracy=1%,flash=512`.

    Raises:
        ConfigError: one can't be understood.
    """
    margins = {}
    for part in text.split(","):
        found = _MARGIN.fullmatch(part)
        name = ALIASES.get(found[1], found[1]) if found else ""
        metric = METRICS.get(name)
        if found is None or metric is None or bool(found[3]) == (metric.unit == "bytes"):
            raise ConfigError(
                f'"{part.strip()}" is no least difference; write them like ticks=0.5%,accuracy=1%,flash=512, for '
                f"{', '.join(METRICS)}"
            )
        margins[name] = float(found[2]) / (100 if found[3] else 1)
    return margins


#: What reads these keys of nightly.yaml, for `load_nightly`.
NIGHTLY_PARSERS: Final = {"baseline": history_nights, "fail_on": parse_limits}


def check_limits(comparison: Comparison, limits: Sequence[Limit], series: Sequence[Series] = ()) -> Gate:
    """Hold limits against every row of their metric, and against drifts in a history.

    A limit is exceeded if the whole interval that holds for all rows together lies beyond it, and kept if the whole
    interval lies within; else it can't be told. Nor can anything be told of a case that only the baseline has.

    `series` are the same figures over time, for a slow drift that no two runs show.
    """
    if not comparison.rows:
        return Gate("no data", ())
    checks = [check for limit in limits for check in _checks(limit, comparison, series)]
    checks += [Check(None, None, "can't tell", f"{sentence}; not measured now") for sentence in comparison.vanished]
    found = {check.outcome for check in checks}
    order: tuple[Outcome, ...] = ("regression", "can't tell")
    return Gate(next((outcome for outcome in order if outcome in found), "ok"), tuple(checks))


def uncompared(gate: Gate | None) -> tuple[Check, ...]:
    """Return the checks of limits whose metric was in no comparison, so that nobody knows whether they are kept."""
    checks = () if gate is None else gate.checks
    return tuple(check for check in checks if check.limit and check.row is None and check.outcome == "can't tell")


def _checks(limit: Limit, comparison: Comparison, series: Sequence[Series]) -> list[Check]:
    rows = [row for row in comparison.rows if row.metric == "all" or _means(limit, row)]
    checks = [_check(limit, row) for row in rows]
    if not any(row.metric != "all" for row in rows):
        reason = f"{limit.text}: {limit.counter or limit.metric.name} was not compared{_hint(limit, comparison)}"
        return [Check(limit, None, "can't tell", reason), *checks]
    for item in series:
        for shift in item.shifts if _means(limit, item) else ():
            now = shift.kind == "drift" and shift.last == len(item.points) - 1
            if now and _beyond(limit, item.about, shift.change, shift.before):
                reason = f"{limit.text}: {item.variant} on {item.place}: {shift.reason}"
                checks.append(Check(limit, None, "regression", reason, _newest(item, rows)))
    return checks


def _newest(item: Series, rows: Sequence[Row]) -> CaseId | None:
    """Return the case that is the end of a series."""
    key = (item.suite, item.variant, item.place, item.backend)
    return next((row.b for row in rows if (row.b.suite, row.b.variant, row.b.place, row.b.backend) == key), None)


def _means(limit: Limit, figure: Row | Series) -> bool:
    """Whether a limit is on a figure's metric. Ticks that are cycles are compared as latency: it is the same ratio."""
    if limit.metric.name == "ticks":
        counter = "cycles" if figure.metric == "latency" else figure.unit
        return figure.metric in ("ticks", "latency") and limit.counter in (None, counter)
    if figure.metric == "score" and limit.sign != ("<" if figure.about.more_is_better else ">"):
        return False
    return figure.metric == limit.metric.name


def _hint(limit: Limit, comparison: Comparison) -> str:
    emulated = sorted({row.b.backend for row in comparison.rows} - {"hardware"})
    if limit.metric.name == "latency" and emulated:
        return f": {' and '.join(emulated)} counts no time; limit what it counts with ticks>2%"
    scores = {row.name: row.about for row in comparison.rows if row.metric == "score"}
    if limit.metric.name in ("accuracy", "score") and scores:
        name, about = next(iter(scores.items()))
        return f": the suite is scored by {name}; limit it with score{'<-' if about.more_is_better else '>'}1%"
    return ""


def _check(limit: Limit, row: Row) -> Check:
    outcome: Outcome = "can't tell"
    head, _, change = row.reason.partition(": ")
    # a limit may be below the least difference of interest
    said = f"{change} ({head})" if row.verdict == "same" and change else row.reason
    if row.family_low is not None and row.family_high is not None and row.low is not None and row.high is not None:
        base = row.a_value or 0.0
        if _beyond(limit, row.about, row.family_low, base) and _beyond(limit, row.about, row.family_high, base):
            outcome = "regression"
        elif not _beyond(limit, row.about, row.low, base) and not _beyond(limit, row.about, row.high, base):
            outcome = "ok"
        else:
            said = f"the interval reaches over the limit: {said}"
    return Check(limit, row, outcome, f"{limit.text}: {row.b.suite}/{row.b.variant} on {row.b.place}: {said}", row.b)


def _beyond(limit: Limit, metric: Metric, change: float, base: float) -> bool:
    """Whether a change, as the metric is compared, is worse than a limit."""
    if metric.scale == "ratio":
        excess = change - 1 - limit.value
    else:
        excess = change - (limit.value * abs(base) if limit.relative and metric.relative else limit.value)
    return (-excess if metric.more_is_better else excess) > _ROUNDING
