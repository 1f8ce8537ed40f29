"""The boards that one process measures on: opened when needed, taken in turn, given up when they fail."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.boards.hardware import power_of
from harness.boards.opening import VirtualBoard
from harness.boards.renode import keep_log
from harness.errors import (
    BoardError,
    BusyError,
    FarmError,
    GivenUpError,
    HilError,
    LeaseLostError,
    QuarantinedError,
)
from harness.locks.waiting import NOW, Patience, Wait
from harness.power.meter import Meter
from harness.run.retry import Attempts, Standing, open_patiently, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Backend, Board
    from harness.boards.opening import OpenBoard
    from harness.config import Device
    from harness.run.access import Access
    from harness.run.failover import Case
    from harness.run.options import Options
    from harness.run.targets import Target

#: Seconds between two rounds of asking for the boards of a target, if others have them: at least, at most.
_POOL_POLL_S = 0.7, 1.3


class Rack:
    """The boards of a session.

    Args:
        access: how boards are opened.
        targets: what cases can be asked of.
        options: what the user chose.
        log: takes the name of a device and a line for its log.
    """

    def __init__(
        self, access: Access, targets: tuple[Target, ...], options: Options, log: Callable[[str, str], None]
    ) -> None:
        self._options = options
        self._targets = targets
        self._log = log
        self._run = None if options.shared is None else options.shared.path.name
        self._patience = replace(options.patience, run=self._run)
        self._boards: dict[str, OpenBoard] = {}
        self._health: defaultdict[str, Standing] = defaultdict(Standing)
        self.access = access
        access.log = log
        devices = [device for target in targets for device in target.devices]
        self.meters = {device.name: Meter(device, options.power) for device in devices}

    def board(self, device: Device, patience: Patience | None = None) -> OpenBoard:
        """Return the open board of a device.

        Args:
            device: one of the targets'.
            patience: whether to wait while another run has it; None for what the user said.

        Raises:
            HilError: it can't be opened.
        """
        if device.name not in self._boards:
            backend = self.backend(device)
            self.meters[device.name].feed(backend, lambda text: self._log(device.name, text))
            self._boards[device.name] = self.access.open(
                device,
                backend,
                self._options.virtual_faults,
                unlock=self._options.allow_mass_erase,
                patience=self._patience if patience is None else patience,
            )
        return self._boards[device.name]

    def ready(self, device: Device) -> None:
        """See that a board is this process's to use, before a case is begun: to ask in vain is no attempt at it.

        Raises:
            BusyError, FarmError, LeaseLostError: it can't be had now. What else may be wrong with it the case records.
            GivenUpError, QuarantinedError: it is out of use.
            ConfigError: it lacks what its backend needs.
        """
        self._check(device)
        try:
            self.board(device)
        except (BusyError, FarmError, LeaseLostError):
            raise
        except BoardError:
            return

    def any_board(self, target: Target) -> Board:
        """Return the open board of a target, or of the first in its pool that can be opened.

        Raises:
            HilError: none can.
        """
        wait, alone = Wait(self._patience), self._alone(target)
        while True:
            errors: list[BoardError] = []
            for device in self.order(target):
                try:
                    return self.board(device, alone)
                except BoardError as error:
                    errors.append(error)
            busy = [error for error in errors if isinstance(error, BusyError)]
            if not busy or len(target.devices) == 1:
                raise errors[0]
            self._again(wait, busy)

    def take(self, case: Case) -> tuple[Board, Device]:
        """Open a board for a case: one that this process holds, else the first that is free and works.

        Bad boards fail fast and are free while good ones measure. So that a few of them don't try a case one after the
        other, it goes from one that failed to one that hasn't, and waits for it if this run holds it.

        Raises:
            BoardError: there is none.
        """
        wait, alone = Wait(self._patience), self._alone(case.target)
        while True:
            busy: list[BusyError] = []
            suspects = self.access.failing(case.run.path.name) if case.failed else set()
            left = [device for device in self.order(case.target) if device.name not in {*case.failed, *case.unfit}]
            for device in sorted(left, key=lambda device: device.name in suspects):
                if device.name in suspects and self._own(busy):
                    continue
                try:
                    self._check(device)
                    return self._opened(device, case, alone), device
                except BusyError as error:
                    busy.append(error)
                except (GivenUpError, QuarantinedError) as error:
                    case.unfit[device.name] = error
                except BoardError as error:
                    if len(case.target.devices) == 1:
                        raise
                    case.give_up(device, error)
            if not busy:
                raise case.none_left()
            if len(case.target.devices) == 1 and not self._own(busy):
                raise busy[0]
            self._again(wait, busy)

    def failed(self, case: Case, device: Device, error: BoardError) -> None:
        """Note that a board failed with a case, before that is handed on or ended."""
        self._health[device.name].failed(error, answered=case.record.answered)
        self.access.board_done(case, device, self.backend(device), error, opened=True)

    def worked(self, case: Case, device: Device, error: HilError | None = None) -> None:
        """Note that a board did its part of a case; `error` is what else was wrong."""
        self._health[device.name].worked()
        self.access.board_done(case, device, self.backend(device), error, opened=True)

    def given_up(self, device: str) -> bool:
        """Whether a board has failed so that this process doesn't use it any more."""
        return self._health[device].given_up is not None

    def counter_in_use(self, device: str) -> str | None:
        """Say how an open virtual board counts instructions; None for any other board."""
        board = self._boards.get(device)
        return board.twin.counter_description if isinstance(board, VirtualBoard) else None

    def order(self, target: Target) -> list[Device]:
        """Return the boards of a target in the order in which to try them; what this process holds comes first."""
        turn = self._options.shared.turn % len(target.devices) if self._options.shared else 0
        devices = [*target.devices[turn:], *target.devices[:turn]]
        return sorted(devices, key=lambda device: device.name not in self._boards)

    def backend(self, device: Device) -> Backend:
        """Return what a device runs on."""
        return next(target.backend for target in self._targets if device in target.devices)

    def let_go(self, device: Device) -> None:
        """Close a board, so that others can have it; what it says then doesn't matter any more."""
        board = self._boards.pop(device.name, None)
        if board is not None:
            with suppress(HilError):
                board.close()

    def close(self) -> None:
        """Let go of all boards. Safe to call twice."""
        for meter in self.meters.values():
            meter.close()
        self._let_go_of_all()
        self.access.close()

    def _check(self, device: Device) -> None:
        """Refuse a board that is out of use: in quarantine, or given up by this process."""
        self.access.check(device)
        self._health[device.name].check(device.name)

    def _opened(self, device: Device, case: Case, patience: Patience) -> OpenBoard:
        """Open a device's board for a case, with as many attempts as the case may have."""
        if device.name in self._boards:
            return self._boards[device.name]
        power = power_of(device) if self.backend(device) == "hardware" else None
        steps = plan(self._options.retries, power=power is not None)
        attempts = Attempts(
            case.record,
            device.name,
            lambda text: self._log(device.name, text),
            steps,
            lambda row: self.access.attempt_ended(device, row),
            before=case.record.handed_on,
        )
        try:
            board = open_patiently(lambda: self.board(device, patience), attempts, power)
        except BusyError:
            raise
        except BoardError as error:
            self._health[device.name].failed(error, answered=False, opened=False)
            self.access.board_done(case, device, self.backend(device), error, opened=False)
            raise
        keep_log(board, case.run.path / "logs")
        return board

    def _alone(self, target: Target) -> Patience:
        """Return how to wait for one board: where several can do it, none is waited for alone."""
        return self._patience if len(target.devices) == 1 else replace(NOW, run=self._run)

    def _again(self, wait: Wait, busy: list[BusyError]) -> None:
        """Sleep before all boards of a target are asked for again.

        What this run's other processes hold gets free, so it is waited for in any case; and as one of them may wait for
        a board that is held here, none is kept meanwhile.
        """
        own = self._own(busy)
        if own:
            self._let_go_of_all()
        wait.again((own or busy)[0], _POOL_POLL_S, endless=bool(own))

    def _let_go_of_all(self) -> None:
        for target in self._targets:
            for device in target.devices:
                self.let_go(device)

    def _own(self, busy: list[BusyError]) -> list[BusyError]:
        if self._options.shared is not None and not self._options.shared.waits:
            return []
        return [error for error in busy if error.run is not None and error.run == self._run]
