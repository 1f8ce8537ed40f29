"""One case from start to end: flash, handshake, stream the inputs, collect, measure, record. Read it first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from harness.boards.base import counter_of
from harness.boards.start_image import start_image
from harness.errors import BoardError, ConfigError, HilError, NoImageError, StoreError
from harness.image.elf import Image, load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.input_columns import data_columns
from harness.measure.limits import judge
from harness.run.access import TAKEN_AWAY
from harness.run.measuring import Case, measure, prepare_case
from harness.run.retry import Attempts, Step, chip_name, plan, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.base import Backend, Board
    from harness.config import BoardKind, Suite, Variant
    from harness.config.data import SuiteData
    from harness.link.messages import Info
    from harness.power.meter import Meter
    from harness.store.cases import CaseRecord
    from harness.store.runs import Run


def run_case(
    board: Board,
    suite: Suite,
    variant: Variant,
    data: SuiteData,
    run: Run,
    *,
    samples: int | None = None,
    retries: int = 2,
    force_flash: bool = False,
    twin_estimate: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
    record: CaseRecord | None = None,
    meter: Meter | None = None,
    final: bool = True,
    on_attempt: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measure one variant on one board, and record it.

    Only failures of the infrastructure are retried, as `harness.run.retry.plan` says; an attempt that failed leaves no
    sample behind. All samples of a case therefore come from one boot of the board.

    Args:
        board: open.
        suite: the task.
        variant: which of its models.
        data: inputs and labels.
        run: where results go.
        samples: how many of the inputs to use, of each class its share; None for all.
        retries: how often a failure of the infrastructure is retried.
        force_flash: flash even if the board already holds the image.
        twin_estimate: on hardware, estimate the image's cycles on a virtual board of the kind, too.
        on_progress: called with the stage (`flash`, `measure` or `energy`), how much is done, and of how much.
        record: of the case, if it has begun already, with the attempts to open the board; from `begin_case`.
        meter: measures its energy, once its predictions are there; None leaves that out.
        final: whether a failure of the infrastructure ends the case; if not, another board may take it. That the board
            was taken away never does.
        on_attempt: takes the row of each attempt, once it is written.

    Returns:
        The case's row, every column of the schema.

    Raises:
        HilError: the case failed; it is recorded with the reason, unless that isn't `final`.
    """
    record = record or begin_case(run, board.name, board.kind, board.backend, suite, variant)
    known: dict[str, Any] = {"device": board.name, "probe_uid": board.probe_uid or None}
    steps = plan(retries, power=board.can_power_cycle)
    attempts = Attempts(record, board.name, lambda text: run.log(board.name, text), steps, on_attempt)
    try:
        image = load_image(suite.image_path(variant, board.kind), board.kind)
        attempts.image_sha256 = image.sha256
        known |= _image_columns(image, board.kind)
        data = data.chosen(samples)
        known |= data_columns(suite, data)
        how = {"force_flash": force_flash, "twin_estimate": twin_estimate}
        case = prepare_case(board, suite, variant, data, image, on_progress, meter, **how)
        known |= case.inputs.columns
        measured = _attempt(case, attempts, run, known)
        attempts.ended(None)
    except HilError as error:
        if not isinstance(error, StoreError):
            attempts.ended(error)
        if not isinstance(error, BoardError) or (final and not isinstance(error, TAKEN_AWAY)):
            record.finish(status="failed", reason=str(error), retransmissions=attempts.retransmissions, **known)
        raise
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
        attempts.ended(error, "interrupted" if stopped else None)
        if not (stopped and run.writer is not None):  # another writer of the run may take the case
            name = "interrupted" if stopped else f"{type(error).__name__}: {error}"
            reason = f"{name} after {record.recorded} samples"
            record.finish(status="failed", reason=reason, retransmissions=attempts.retransmissions, **known)
        raise
    return record.finish(
        status="complete",
        judge=partial(judge, variant.limits),
        retransmissions=attempts.retransmissions,
        **known,
        **measured,
    )


def begin_case(
    run: Run,
    device: str,
    kind: BoardKind,
    backend: Backend,
    suite: Suite,
    variant: Variant,
    *,
    number: int | None = None,
    **where: str | None,
) -> CaseRecord:
    """Begin the record of a case.

    Args:
        run: that it is a case of.
        device: the board that will probably measure it.
        kind: of the board.
        backend: what it runs on.
        suite: the task.
        variant: which of its models.
        number: of the case in a run that several processes write; None counts this process's cases.
        where: the columns `pool` and `host`.
    """
    return run.begin_case(
        number=number,
        **where,
        device=device,
        board=kind.name,
        backend=backend,
        counter=counter_of(kind, backend),
        suite=suite.task,
        variant=variant.name,
        technique=variant.technique,
        baseline=variant.baseline,
    )


def check_image(suite: Suite, variant: Variant, kind: BoardKind) -> None:
    """See whether a variant can be measured on a kind of board at all, before one is opened in vain.

    What else is wrong with its image is for the case to say.

    Raises:
        NoImageError: it can't, with the reason.
    """
    try:
        suite.image_path(variant, kind)
    except NoImageError:
        raise
    except ConfigError:
        return


def _image_columns(image: Image, kind: BoardKind) -> dict[str, Any]:
    return {
        "image_sha256": image.sha256,
        "engine": image.card.engine,
        "toolchain": image.toolchain,
        "flash_bytes": image.flash_bytes,
        "flash_compressed_bytes": image.flash_compressed_bytes,
        "code_memory": kind.code_memory(image.code_address),
        "ram_static_bytes": image.ram_static_bytes,
        "ram_arena_reserved_bytes": image.ram_arena_bytes,
        "arena_memory": kind.ram_name(image.arena_address),
    }


def _attempt(case: Case, attempts: Attempts, run: Run, known: dict[str, Any]) -> dict[str, Any]:
    """Measure until it works, or the retries are used up; add what is known of board and image meanwhile."""
    board = case.board
    step: Step | None = None
    seen: Info | None = None
    while True:
        attempt = attempts.begin()
        try:
            if step is not None:
                prepare(board, step)
            attempt.link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
            attempt.stage = "flash"
            # Somebody may have flashed the board since the last attempt, so a reset alone is no proof of the image.
            force = case.force_flash if step is None else step is not Step.RESET
            before = seen if step is Step.RESET else None
            if case.estimator is not None:
                case.estimator.begin()
            info = start_image(board, case.image, attempt.link, case.on_progress, force=force, before=before)
            attempt.info, attempt.stage = info, "measure"
            seen, attempts.record.answered = info, True
            known |= {"build_id": info.build_id, "board_uid": chip_name(info)}
            if known.get("flashing") != "written":  # by an earlier attempt of this case
                known["flashing"] = board.flashing
            return measure(case, attempt, attempt.link, info, attempts.record, run)
        except HilError as error:
            if attempt.stage == "flash" and board.flashing is not None:
                attempt.stage = "start"
            if not isinstance(error, BoardError):
                raise
            reason = _with_crash_report(board, error)
            _log_notes(board, run)
            step = attempts.failed(error, reason, answered=attempt.info is not None and not board.ended)
        finally:
            _log_notes(board, run)


def _log_notes(board: Board, run: Run) -> None:
    while board.notes:
        run.log(board.name, board.notes.pop(0))


def _with_crash_report(board: Board, error: BoardError) -> str:
    """Add to an error where the firmware is, if the probe can still tell."""
    try:
        report = board.crash_report()
    except BoardError as silent:
        report = f"the probe can't tell where the firmware is ({silent})"
    if not report:
        return str(error)
    end = "" if str(error).endswith(("?", ".")) else "."
    return f"{error}{end} {report[0].upper()}{report[1:]}"
