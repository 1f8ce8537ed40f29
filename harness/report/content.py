"""What a report says, before it is written as HTML or Markdown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.config.pick import Wish
from harness.report.caveats import caveats
from harness.report.compare import compare_variants
from harness.report.figures import Chart, answer_charts, charts, history_charts
from harness.report.groups import Group, grouped, known
from harness.report.history import history
from harness.report.pairing import named
from harness.report.pick import Pick, check_wish, pick
from harness.report.side_by_side import SideBySide, side_by_side
from harness.report.tables import Images, Table, choice, run_table, variants, verdicts
from harness.report.units import disagreements, unit_spreads
from harness.schema import CASES
from harness.store.results import plain_rows
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from harness.report.frame import CaseId, Comparison, Policy
    from harness.report.remarks import Caveat
    from harness.store import Results


@dataclass(frozen=True)
class Section:
    """What the page says of a group.

    Attributes:
        anchor: its id in the page.
        title: the suite's title, or its task; with the place if several sections are of one suite.
        place: board, backend and clock in words.
        setting: what was run, by name.
        pick: which variant to ship, and why.
        choice: one row for each variant, with what speaks for and against shipping it.
        caveats: what a reader has to know before believing the figures.
        table: one row for each variant, with all its figures.
        verdicts: each variant against its baseline; None if there is none.
        against: each variant against the baseline that was asked for; None if there is none.
        charts: the drawings, with their captions.
        history: figures over runs.
        unchanged: a sentence on what did not change over runs.
        energy: why there is no energy, "" if there is.
        sources: run and images that its figures are from.
    """

    anchor: str
    group: Group
    title: str
    place: str
    setting: tuple[tuple[str, str], ...]
    pick: Pick
    choice: Table
    caveats: tuple[Caveat, ...]
    table: Table
    verdicts: Table | None
    against: Table | None
    charts: tuple[Chart, ...]
    history: tuple[Chart, ...]
    unchanged: str
    energy: str
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Page:
    """What a report says, before it is written as HTML or Markdown.

    Attributes:
        sections: one for each group of cases that can be compared.
        images: numbered in the order in which the sections name them.
        runs: what is known of each run that a section is about.
        history: a row for each run, if there are more than the sections are about; else None.
        boards: what each technique does on each of several kinds of board, for the suites that ran on several.
        caveats: each caveat once, with the sections that it applies to.
        baseline: the results held against a baseline, if one was asked for.
        left_out: runs that could not be read, in words.
    """

    sections: tuple[Section, ...]
    images: Images
    runs: tuple[dict[str, Any], ...]
    history: Table | None
    boards: tuple[SideBySide, ...]
    caveats: tuple[tuple[Caveat, tuple[Section, ...]], ...]
    baseline: Comparison | None
    left_out: tuple[str, ...]


def compose(
    results: Results,
    *,
    policy: Policy | None = None,
    baseline: Comparison | None = None,
    left_out: Sequence[str] = (),
    wish: Wish | None = None,
    estimated_time: bool = False,
) -> Page:
    """Return what a report of some runs says.

    Of several runs the newest of each suite and setup is shown, the others as its history. `left_out` are runs that
    could not be read, in words; `wish` is what the user asks of the variant to ship; with `estimated_time` estimated
    cycles stand there as time, too.

    Raises:
        ConfigError: the wish can't be meant of these results.
    """
    results = replace(results, cases=_shown(results.cases))
    groups, images = grouped(results), Images()
    check_wish(wish or Wish(), groups)
    spreads = unit_spreads(results)
    series = history(results, policy, spreads) if len(results.runs) > 1 else ()
    names = dict.fromkeys(group.run.name for group in groups)
    held = {name: compare_variants(results.of_run(name), policy, spreads) for name in names}
    sections = []
    for at, (group, title) in enumerate(zip(groups, _titles(groups), strict=True)):
        anchor = f"g{at}"
        compared = _of_group(held[group.run.name], group, _disagreements(results, group))
        table = variants(group, images, estimated_time=estimated_time)
        drawn, unchanged = history_charts(group, series, anchor)
        belongs = _belonging(group)
        against = [row for row in baseline.rows if belongs(row.b)] if baseline else []
        picked = pick(results, group, wish, policy, spreads)
        reasons = "; ".join(str(reason) for reason in group.cases["energy_reason"].dropna().unique())
        numbers = {int(cell.value) for row in table.rows for cell in row if cell.link and cell.value is not None}
        section = Section(
            anchor=anchor,
            group=group,
            title=title,
            place=_place(group),
            setting=_setting(group),
            pick=picked,
            choice=choice(group, picked, estimated_time=estimated_time),
            caveats=tuple(caveats(group, compared)),
            table=table,
            verdicts=verdicts(compared.rows, group.counter),
            against=verdicts(against, group.counter),
            charts=(
                *charts(group, _of(results, group, "samples"), _of(results, group, "layers"), anchor),
                *answer_charts(results, group, anchor),
            ),
            history=tuple(drawn),
            unchanged=unchanged,
            energy="" if group.complete["energy_uj"].notna().any() else reasons or "it was not measured",
            sources=tuple(sorted(numbers)),
        )
        sections.append(section)
    runs = tuple(_run(group) for group in {group.run.name: group for group in groups}.values())
    older = run_table(results.runs) if len(results.runs) > len(runs) else None
    said = _shared_caveats(sections)
    boards = tuple(side_by_side(results, groups, [row for one in held.values() for row in one.rows]))
    return Page(tuple(sections), images, runs, older, boards, said, baseline, tuple(map(printable, left_out)))


def _titles(groups: Sequence[Group]) -> list[str]:
    """Return the title of each section: its suite's, and where it was measured if there are several of that suite."""
    suites = [str(group.setup["suite"]) for group in groups]
    titles = [str(group.run.suite(suite).get("title") or suite) for group, suite in zip(groups, suites, strict=True)]
    places = [f"on {group.place}" for group in groups]
    backends = [f"{group.setup['backend']} backend" for group in groups]
    for more in (places, backends):
        several = {title for title in titles if titles.count(title) > 1}
        titles = [f"{title}, {more[at]}" if title in several else title for at, title in enumerate(titles)]
    return titles


def _disagreements(results: Results, group: Group) -> tuple[str, ...]:
    """Return what boards of the group's kind disagree on, in all runs but those with injected faults."""
    cases = results.cases
    faulty = results.runs.loc[results.runs["faults"].notna(), "run"]
    mine = (cases["suite"] == group.setup["suite"]) & (cases["backend"] == group.setup["backend"])
    return tuple(disagreements(results, plain_rows(cases[mine & ~cases["run"].isin(faulty)])))


def _of_group(held: Comparison, group: Group, disagreements: tuple[str, ...]) -> Comparison:
    """Return what a comparison of a whole run says of a group: the verdicts are the ones that `hil compare` gives."""
    belongs, mine = _belonging(group), tuple(f"{named(row)}:" for row in plain_rows(group.cases))
    return replace(
        held,
        rows=tuple(row for row in held.rows if belongs(row.b)),
        repeatability=tuple(item for item in held.repeatability if belongs(item.case)),
        unmatched=tuple(text for text in held.unmatched if text.startswith(mine)),
        disagreements=disagreements,
    )


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Return cases whose strings hold nothing that moves a cursor or turns the direction of text around."""
    names = [column.name for column in CASES if column.dtype == "string"]
    return rows.assign(
        **{name: rows[name].map(printable, na_action="ignore").astype(rows[name].dtype) for name in names}
    )


def heading(groups: Sequence[Group]) -> str:
    """Return the title of a report: what ran on what."""
    suites = list(dict.fromkeys(str(group.setup["suite"]) for group in groups))
    devices = list(dict.fromkeys(str(group.setup["place"]) for group in groups))
    what = suites[0] if len(suites) == 1 else f"{len(suites)} suites"
    return f"{what} on {devices[0] if len(devices) == 1 else f'{len(devices)} devices'}" if groups else "No cases"


def standing(comparison: Comparison) -> str:
    """Return how many verdicts of each kind a comparison has, the worst first."""
    order = ("worse", "can't tell", "refused", "better", "same")
    counts = [(word, sum(row.verdict == word for row in comparison.rows)) for word in order]
    return ", ".join(f"{count} {word}" for word, count in counts if count) or "nothing could be compared"


def _place(group: Group) -> str:
    """Return in words where a group was measured."""
    title = group.run.board(str(group.setup["board"])).get("title") or group.setup["board"]
    named = "" if group.place == group.setup["board"] else f"{group.place}, "
    return f"{named}{title}, {group.setup['backend']} backend{', emulated' if group.emulated else ''}"


def _shared_caveats(sections: Sequence[Section]) -> tuple[tuple[Caveat, tuple[Section, ...]], ...]:
    """Return each caveat once, with the sections that it applies to, the worst first."""
    found: dict[Caveat, list[Section]] = {}
    for one in sections:
        for caveat in one.caveats:
            found.setdefault(caveat, []).append(one)
    order = ("failed", "warning", "note")
    pairs = [(caveat, tuple(where)) for caveat, where in found.items()]
    return tuple(sorted(pairs, key=lambda pair: order.index(pair[0].tone)))


def _of(results: Results, group: Group, table: str) -> pd.DataFrame:
    """Return the rows of a table that belong to the group's complete cases, in the order of the cases."""
    cases = group.complete
    stored = (run for run in results.stored if run.path.name == group.run.name and run.missing(table) is None)
    rows = replace(results, stored=tuple(stored)).table(
        table, ["case", "variant", "ticks"] if table == "samples" else None
    )
    rows = rows[rows["case"].isin(cases["case"])]
    rows = rows.drop(columns="device", errors="ignore")  # boards of a pool stand together
    return rows.assign(variant=rows["case"].map(cases.set_index("case")["variant"]))


def _belonging(group: Group) -> Callable[[CaseId], bool]:
    """Return what tells whether a side of a comparison is a case of a group."""
    cases = set(group.cases["case"])
    return lambda side: side.run == group.run.name and side.case in cases


def _setting(group: Group) -> tuple[tuple[str, str], ...]:
    """Return what was run and on what, leaving out what nobody recorded."""
    cases, setup = group.cases, group.setup
    counts = cases["status"].value_counts()
    board = group.run.board(str(setup["board"]))
    chips = cases["board_uid"].dropna().unique()
    samples = sorted(int(count) for count in group.complete["samples"].unique())
    clock = setup["clock_hz"]
    setting = {
        "board": " · ".join(str(part) for part in (board.get("title") or setup["board"], board.get("mcu")) if part),
        "device": group.place,
        "host": ", ".join(sorted(cases["host"].dropna().unique())),
        "backend": f"{setup['backend']}{' (emulated)' if group.emulated else ''}",
        "counter": f"{group.counter}{f', board clock {int(clock) / 1e6:g} MHz' if clock else ''}",
        "chip": str(chips[0]) if len(chips) == 1 else f"{len(chips)} chips" if len(chips) else "",
        "engine": str(setup["engine"] or ""),
        "cases": ", ".join(f"{count} {status}" for status, count in counts.items()),
        "inputs per case": " to ".join(f"{count:,}" for count in dict.fromkeys([*samples[:1], *samples[-1:]])),
        "started": f"{cases['started_utc'].min():%d %b %Y %H:%M} UTC",
        "run": group.run.name,
    }
    return tuple((name, text) for name, text in setting.items() if text)


def _run(group: Group) -> dict[str, Any]:
    about = group.run.about
    row = group.cases.iloc[0]
    wanted = {
        "harness": about.get("harness_version"),
        "revision": about.get("git_revision"),
        "configuration": row["config_sha256"] if known(row["config_sha256"]) else None,
        "seed": row["seed"] if known(row["seed"]) else None,
        "started": _moment(about.get("started_utc")),
        "ended": _moment(about.get("ended_utc")),
        "python": about.get("python"),
        "platform": about.get("platform"),
    }
    return {
        "name": group.run.name,
        "about": [(name, str(value)) for name, value in wanted.items() if value is not None],
    }


def _moment(value: Any) -> str | None:
    """Return an ISO time as people read it; as it is, if it is none."""
    try:
        return f"{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return str(value) if value else None
