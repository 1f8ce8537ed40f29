"""The end of a night: its report, what it is against the nights before, and what `hil nightly` ends with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.config.health import HealthRules
from harness.config.state import now, stamp
from harness.errors import HilError, StoreError
from harness.farm.night import FINISHED, NightExit
from harness.farm.results import read_tries
from harness.files.json_file import read_json, write_json
from harness.health.quarantine import Ledger
from harness.report.junit import junit
from harness.report.night import Judged, NightFacts, judge_night, real_changes, summarize, write_report, write_text
from harness.schema import CASES
from harness.store import load_results
from harness.store.journal import journals
from harness.store.prune import prune
from harness.store.publish import publish_to
from harness.store.results import plain_rows
from harness.store.runs import CASES_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.config.nightly import Nightly

SUMMARY, JUNIT = "summary.txt", "junit.xml"
#: What finished.json will say, written before anything is pruned: pruned samples can't be compared a second time.
_DRAFT: Final = "outcome.json"

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of a night.

    Attributes:
        state: complete, out of time, cases left, nothing measured, or unreadable.
        exit_code: of `hil nightly`.
        counts: cases that are complete, failed and skipped.
        regressed: whether a limit of `fail_on` was exceeded.
        summary: one screen of text.
        report: the page; None if there is none.
        at: when the night ended, ISO 8601.
    """

    state: str
    exit_code: int
    counts: Mapping[str, int]
    regressed: bool
    summary: str
    report: Path | None
    at: str

    @classmethod
    def read(cls, path: Path) -> Outcome | None:
        """Read finished.json; None if there is none, or it is damaged."""
        content = read_json(path) or {}
        try:
            return cls(
                state=str(content["state"]),
                exit_code=int(content["exit_code"]),
                counts={str(word): int(count) for word, count in content["counts"].items()},
                regressed=bool(content["regressed"]),
                summary=str(content["summary"]),
                report=Path(content["report"]) if content["report"] else None,
                at=str(content["at"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        return {**vars(self), "counts": dict(self.counts), "report": str(self.report) if self.report else None}


def finish_night(
    folder: Path,
    plan: Mapping[str, Any],
    nightly: Nightly,
    run: Path,
    results_dir: Path,
    notes: Sequence[str] = (),
    store: str | None = None,
) -> Outcome:
    """End a night whose tables are written: report, JUnit, summary, store, and old raw data.

    finished.json is written last. A crash before that does no harm: called again, everything is done again. A night
    that has ended is only read.

    Args:
        folder: of the night.
        plan: what plan.json says.
        nightly: baseline, limits, and how long raw data is kept.
        run: the folder of the night's run.
        results_dir: where the runs before are.
        notes: sentences for the summary, the most important first.
        store: `farm: {store: ...}`, where the run is published unless it is there; None for nowhere.

    Raises:
        StoreError: the run is unfinished, or a file of the night can't be written.
    """
    outcome = Outcome.read(folder / FINISHED)
    if outcome is not None:
        return outcome
    if journals(run):
        raise StoreError(f"{run} is unfinished: its tables are written before the night ends")
    outcome = Outcome.read(folder / _DRAFT) or _judge(folder, plan, nightly, run, results_dir, notes, store)
    content = outcome.plain()
    try:
        write_json(folder / _DRAFT, content)
        if results_dir.is_dir():
            content["pruned"] = len(prune(results_dir, timedelta(days=nightly.keep_raw_days)))
    except StoreError as error:
        content["prune_error"] = str(error)
    except OSError as error:
        raise _unwritten(folder, error) from error
    try:
        write_json(folder / FINISHED, content)
        (folder / _DRAFT).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritten(folder, error) from error
    return outcome


def _judge(
    folder: Path,
    plan: Mapping[str, Any],
    nightly: Nightly,
    run: Path,
    results_dir: Path,
    notes: Sequence[str],
    store: str | None,
) -> Outcome:
    rows, judged, problem = _measured(run, nightly, results_dir)
    rows = _every_case(plan, run.name, rows, problem, recorded=judged is not None)
    report = write_report(judged, folder) if judged else None
    write_text(folder / JUNIT, junit(folder.name, rows))
    published = publish_to(run, store) if judged else None
    lost = published is not None and published.failed
    regressed = judged is not None and judged.gate is not None and judged.gate.outcome == "regression"
    state, code, verdict = _verdict(rows, judged, problem=problem, regressed=regressed, lost=lost)
    ended = now()
    facts = NightFacts(
        id=folder.name,
        began=_time(plan.get("created"), ended),
        ended=ended,
        run=run.name,
        rows=rows,
        unused=_unused(folder, plan, {str(row["device"]) for row in rows if row["status"] == "complete"}),
        judged=judged,
        report=report,
        notes=[*([problem] if problem else []), *([published.line] if published and lost else []), *notes],
        verdict=f"{verdict} (exit code {code})",
    )
    summary = summarize(facts)
    write_text(folder / SUMMARY, summary)
    counts = Counter(row["status"] for row in rows)
    return Outcome(
        state=state,
        exit_code=code,
        counts={word: counts[word] for word in ("complete", "failed", "skipped")},
        regressed=regressed,
        summary=summary,
        report=report,
        at=stamp(ended),
    )


def _measured(run: Path, nightly: Nightly, results_dir: Path) -> tuple[list[Row], Judged | None, str]:
    """Return the rows of the run, the comparison, and why the run can't be read."""
    if not (run / CASES_FILE).is_file():
        return [], None, ""
    try:
        results = load_results(run)
    except StoreError as error:
        return [], None, str(error).replace(str(run), run.name)  # a line of the summary is short
    return plain_rows(results.cases), judge_night(results, run, nightly, results_dir), ""


def _every_case(plan: Mapping[str, Any], run: str, rows: list[Row], problem: str, *, recorded: bool) -> list[Row]:
    """Return a row for each case: those of the run, and one for each planned case that isn't in it."""
    there = {row["case"] for row in rows}
    lost = {"status": "failed", "reason": problem or "nothing of it is in the run, though it was planned"}
    unmeasured = {"status": "skipped", "reason": "the night measured nothing"}
    began = _time(plan.get("created"), now())
    for case in plan.get("cases", ()):
        if case["number"] not in there:
            keys = {"suite": case["task"], "variant": case["variant"], "device": case["target"], "run": run}
            keys["pool"] = case.get("pool")
            row = {column.name: None for column in CASES} | keys | (lost if recorded or problem else unmeasured)
            backend = case.get("backend") or "unknown"
            rows.append({**row, "case": case["number"], "backend": backend, "started_utc": began})
    return rows


def _verdict(
    rows: Sequence[Row], judged: Judged | None, *, problem: str, regressed: bool, lost: bool
) -> tuple[str, int, str]:
    """Return how a night ended: its state, the exit code, and the last line of the summary."""
    counts = Counter(row["status"] for row in rows)
    left = Counter(str(row["reason"]) for row in rows if row["status"] == "skipped")
    state = (
        "out of time"
        if any("out of time" in reason for reason in left)
        else "cases left"
        if counts["skipped"]
        else "complete"
    )
    if problem:
        return "unreadable", NightExit.FAILED, "FAILED: the run can't be read"
    if not counts["complete"] and not counts["failed"]:
        return "nothing measured", NightExit.NOTHING, "NOTHING was measured"
    over = sum(row.get("verdict") == "failed" for row in rows)
    found = [f"{counts['failed']} failed"] * bool(counts["failed"]) + [f"{over} over a limit of its suite"] * bool(over)
    found += ["worse than allowed"] * regressed
    if found or lost:
        return state, NightExit.FAILED, "FAILED: " + ", ".join([*found, *["not published"] * lost])
    if judged is not None and judged.unchecked:
        return state, NightExit.UNCHECKED, "UNCHECKED: fail_on, or a part of it, couldn't be held against the baseline"
    if counts["skipped"]:
        why = left.most_common(1)[0][0].partition("\n")[0]
        return state, NightExit.LEFT, f"INCOMPLETE: {counts['skipped']} not measured: {why}"
    return state, NightExit.OK, "OK: every case is complete" + (_allowed(judged) if judged else "")


def _allowed(judged: Judged) -> str:
    """Return what the limits say of a night in which none was exceeded."""
    checks = judged.gate.checks if judged.gate else ()
    if untold := sum(check.outcome == "can't tell" for check in checks):
        return f"; fail_on: {untold} of {len(checks)} checks can't tell"
    if not real_changes(judged)[0]:
        return ""
    return "; what got worse is within the limits" if judged.gate else "; no limits are set (fail_on)"


def _unused(folder: Path, plan: Mapping[str, Any], used: set[str]) -> list[tuple[str, str]]:
    """Return the planned boards that are in quarantine, failed, couldn't be had or measured nothing, each with why."""
    found: dict[str, str] = {}
    ledger = Ledger(folder.parent.parent, HealthRules())
    for name in sorted({str(device) for case in plan.get("cases", ()) for device in case.get("devices", ())}):
        try:
            quarantine = ledger.quarantined(name)
        except HilError as error:
            found[name] = str(error)
            continue
        if quarantine is not None:
            found[name] = f"quarantined: {quarantine.reason}"
    for path in sorted((folder / "hosts").glob("*.json")):  # what the driver said of them last
        boards = (read_json(path) or {}).get("boards")
        for name, board in boards.items() if isinstance(boards, dict) else ():
            if isinstance(board, dict) and board.get("state") in ("failed", "unavailable", "quarantined"):
                found.setdefault(name, str(board.get("reason") or board["state"]))
    for one in read_tries(folder):
        if one.outcome == "failed" and one.device not in used:
            found.setdefault(one.device, f"{one.error}: {one.reason}")
    return list(found.items())


def _time(text: object, otherwise: datetime) -> datetime:
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return otherwise
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _unwritten(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"{folder} can't be written: {error.strerror or error}")
