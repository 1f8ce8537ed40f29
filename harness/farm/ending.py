"""What becomes of a night when nobody measures any more: every case has a row, then come tables, report and verdict."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from harness.farm.finish import Outcome, finish_night
from harness.farm.night import PLAN, Night, PlannedCase
from harness.files.json_file import read_json
from harness.locks.state import hostname, now
from harness.store.names import writer_name
from harness.store.runs import CASES_FILE, Run, finish_shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config.nightly import Nightly
    from harness.farm.queue import Queue

#: How long the end of a night waits for a host that still measures what another one has finished, or has just died.
_PATIENCE_S = 120.0


def end_night(night: Night, nightly: Nightly, store: str | None, queue: Queue, notes: Sequence[str]) -> Outcome:
    """Record what was not measured, write the tables and the report.

    Args:
        night: that is over.
        nightly: what it is held against.
        store: where its run is published, None for nowhere.
        queue: of its cases.
        notes: sentences for the summary.

    Raises:
        StoreError: the results can't be written.
    """
    _record_rest(night, queue)
    finish_shared(night.run, patience_s=_PATIENCE_S)
    plan = read_json(night.folder / PLAN) or {}
    return finish_night(night.folder, plan, nightly, night.run, night.run.parent, notes, store)


def _record_rest(night: Night, queue: Queue) -> None:
    """Give a row to each case that nobody finished: failed if that was tried, skipped if not."""
    states = queue.states(night.cases)
    rest = [case for case in night.cases if states[case.number].state != "done"]
    if not rest or (night.run / CASES_FILE).is_file():
        return
    about = {"harness_version": metadata.version("tinyml-hil")}
    with Run.join(night.run, about, writer_name(hostname(), "end")) as run:
        for case in rest:
            state = states[case.number]
            last = {} if state.claim is None else state.claim.about
            record = run.begin_case(
                number=case.number,
                device=last.get("device", case.target),
                board=case.kind,
                backend=case.backend,
                suite=case.task,
                variant=case.variant,
                pool=case.pool,
                host=last.get("host", hostname()),
            )
            ended: dict[str, Any] = {"image_sha256": case.image_sha256, "attempts": 0}  # those of the boards are added
            if state.failed or state.dead:
                why = [f"{device}: {reason}" for device, reason in state.failed.items()]
                why += [f"{len(state.dead)} of its workers died"] * bool(state.dead)
                record.finish(status="failed", reason="; ".join(why), **ended)
            else:
                record.finish(status="skipped", reason=_why_skipped(night, case), **ended)


def _why_skipped(night: Night, case: PlannedCase) -> str:
    left = (night.deadline - now()).total_seconds()
    if left <= (case.seconds or 0.0):
        return "out of time"
    return (
        f"no board could take it: none of {', '.join(case.devices)} was free, well and attached to a host with its "
        f"image; see {night.folder / 'logs'}"
    )
