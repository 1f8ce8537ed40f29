"""The health check of a board of the lab, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.opening import choose_backend
from harness.errors import ConfigError, StoreError
from harness.health.book import HealthBook
from harness.health.check import check_board, suites_in, task_for
from harness.health.known_outputs import load_answers, save_answers
from harness.locks.state import hostname, is_here, now, state_folder
from harness.locks.waiting import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.config import Device, Lab
    from harness.health.check import Check, Task
    from harness.locks.waiting import Patience


def open_book(lab: Lab) -> HealthBook:
    """Return the book of a lab's boards.

    Raises:
        ConfigError: there is no state folder.
    """
    return HealthBook(state_folder(lab), lab.farm.health)


def retest(
    lab: Lab,
    device: Device,
    *,
    suites: Sequence[Path] | None = None,
    task: Task | None = None,
    faults: Sequence[str] = (),
    on_step: Callable[[str], None] = lambda _step: None,
    patience: Patience = NOW,
) -> Check:
    """Check a board, write down what came of it, and apply the rules.

    Args:
        lab: that the device is of.
        device: attached to this host, or virtual.
        suites: whose first int8 image is used; None for those in the lab's folder.
        task: what to check with, instead of one of `suites`.
        faults: on purpose, of a virtual board (docs/faults.md).
        on_step: told what is done next.
        patience: whether to wait while somebody else has the board.

    Raises:
        BusyError, FarmError, LeaseLostError: the board can't be had.
        ConfigError: it is another host's, or there is nothing to check it with.
        StoreError: the result can't be written.
    """
    host = hostname()
    if not is_here(device):
        raise ConfigError(f"{device.name} is attached to {device.host}, and this is {host}: check it there")
    state, book = state_folder(lab), open_book(lab)
    # The twin of a real board that isn't attached would say that the real one is well.
    backend, _ = choose_backend(device, "hardware" if device.hardware else "auto")
    task = task or task_for(
        device.kind, suites_in(lab.path.parent if lab.path else Path()) if suites is None else suites
    )
    siblings = load_answers(state, device, backend, task.key)
    check = check_board(
        device,
        backend,
        task,
        siblings,
        lab.farm.health,
        host=host,
        clock=now,
        faults=faults,
        on_step=on_step,
        patience=patience,
    )
    book.record(check.event)
    if check.answers is not None:
        try:
            save_answers(state, device, backend, task.key, check.answers)
        except OSError as error:
            raise StoreError(f"the answers of {device.name} can't be written: {error.strerror or error}") from error
    book.tested(device.name, ok=check.ok, reason=check.reason)
    book.review()
    return check
