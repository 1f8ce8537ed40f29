"""The boards that one process measures on: opened when first needed, kept open, closed at the end."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from harness.boards.renode import keep_log
from harness.errors import BoardError, BusyError, FlashError, GivenUpError, HilError, ProbeError
from harness.locks.waiting import NOW, Patience, Wait
from harness.power.meter import Meter
from harness.run.access import NOT_OURS
from harness.run.retry import Attempts, Step, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Backend, Board
    from harness.boards.opening import OpenBoard
    from harness.boards.usb_power import UsbPower
    from harness.config import Device
    from harness.run.access import Access
    from harness.run.options import Options
    from harness.run.targets import Target
    from harness.store.cases import CaseRecord
    from harness.store.runs import Run

#: Seconds between two rounds of asking for the boards of a target, if others have them: at least, at most.
_POOL_POLL_S = 0.7, 1.3

#: So many cases in a row that the board never answered in, and it is the board rather than an image.
_SILENT_CASES = 2
#: How long a board that couldn't be opened is left alone: USB devices take about a second to appear.
_PAUSE_S = 1.5

AnyBoard = TypeVar("AnyBoard", bound="Board")


@dataclass
class Reliability:
    """What the cases of this process say of a board: whether to go on with it.

    Attributes:
        given_up: why the board is not used any more in this run; None as long as it is.
    """

    given_up: str | None = None
    _silent: int = 0

    def worked(self) -> None:
        """Note that the board answered."""
        self._silent = 0

    def failed(self, error: BoardError, *, answered: bool, opened: bool = True) -> None:
        """Note that a case failed for good.

        A board that can't be opened is given up, unless another run has it or took it, or the farm didn't answer. Probe
        or flash failing is the board's fault. Firmware that never answers may be the image's, so it takes two cases in
        a row. Firmware that answered and then failed says nothing about the board.
        """
        if isinstance(error, NOT_OURS):
            return
        self._silent = 0 if answered else self._silent + 1
        if not opened or isinstance(error, (ProbeError, FlashError)) or self._silent >= _SILENT_CASES:
            self.given_up = str(error)

    def check(self, board: str) -> None:
        """Refuse a board that was given up.

        Raises:
            GivenUpError: it was, with the reason.
        """
        if self.given_up is not None:
            raise GivenUpError(f"{board}: not tried again in this run, because it was given up: {self.given_up}")


def open_patiently(
    open_board: Callable[[], AnyBoard], attempts: Attempts, power: UsbPower | None, *, pause_s: float = _PAUSE_S
) -> AnyBoard:
    """Open a board, and try again while the attempts last.

    Args:
        open_board: opens it.
        attempts: of the case that needs it.
        power: what switches its power, if anything does.
        pause_s: how long to wait before another try.

    Raises:
        BusyError: another run has it.
        BoardError: it can't be opened.
        ConfigError: the configuration is wrong, which no retry changes.
    """
    step: Step | None = None
    while True:
        attempts.begin()
        try:
            if step is Step.POWER_CYCLE and power is not None:
                power.cycle()
            return open_board()
        except BusyError:
            raise  # its board is well: who has it must be waited for
        except BoardError as error:
            step = attempts.failed(error, str(error), answered=False, opened=False)
            time.sleep(pause_s)


def _power_of(device: Device) -> UsbPower | None:
    from harness.boards.hardware import power_of  # noqa: PLC0415 - pyOCD takes half a second to import

    return power_of(device)


class Boards:
    """The boards of a session.

    Args:
        access: opens them, and says whether they may be used.
        targets: what cases can be asked of.
        options: what the user chose.
        log: takes the name of a device and a line for its log.

    Attributes:
        access: the same.
        meters: what measures the energy of each device, by its name.
        reliability: whether to go on with each device, by its name.
    """

    def __init__(
        self, access: Access, targets: tuple[Target, ...], options: Options, log: Callable[[str, str], None]
    ) -> None:
        self._options = options
        self._log = log
        self._run = None if options.shared is None else options.shared.path.name
        self._patience = replace(options.patience, run=self._run)
        self._open: dict[str, OpenBoard] = {}
        self._backends = {device.name: target.backend for target in targets for device in target.devices}
        self.access = access
        access.log = log
        self.meters = {device.name: Meter(device, options.power) for target in targets for device in target.devices}
        self.reliability: defaultdict[str, Reliability] = defaultdict(Reliability)

    def board(self, device: Device, patience: Patience | None = None) -> OpenBoard:
        """Return the open board of a device.

        Args:
            device: one of the targets'.
            patience: whether to wait while another run has it; None for what the user said.

        Raises:
            HilError: it can't be opened.
        """
        if device.name not in self._open:
            backend = self.backend(device)
            self.meters[device.name].feed(backend, lambda text: self._log(device.name, text))
            self._open[device.name] = self.access.open(
                device,
                backend,
                self._options.virtual_faults,
                unlock=self._options.allow_mass_erase,
                patience=self._patience if patience is None else patience,
            )
        return self._open[device.name]

    def board_for(self, record: CaseRecord, device: Device, run: Run, patience: Patience) -> OpenBoard:
        """Return the open board of a device for a case, opened with as many attempts as the case may have.

        Raises:
            BusyError: another run has it.
            BoardError: it can't be opened.
            GivenUpError, QuarantinedError: it isn't to be used.
        """
        self.check(device)
        if device.name in self._open:
            return self._open[device.name]
        power = _power_of(device) if self.backend(device) == "hardware" else None
        attempts = Attempts(
            record,
            device.name,
            lambda text: self._log(device.name, text),
            plan(self._options.retries, power=power is not None),
            lambda row: self.access.attempt_ended(device, row),
        )
        try:
            board = open_patiently(lambda: self.board(device, patience), attempts, power)
        except BoardError as error:
            self.reliability[device.name].failed(error, answered=False, opened=False)
            raise
        keep_log(board, run.path / "logs")
        return board

    def any_board(self, target: Target) -> Board:
        """Return the open board of a target, or of the first in its pool that can be opened.

        Raises:
            HilError: none can.
        """
        wait, patience = Wait(self._patience), self.patience_for(target)
        while True:
            errors: list[BoardError] = []
            for device in self.order(target):
                try:
                    return self.board(device, patience)
                except BoardError as error:
                    errors.append(error)
            busy = [error for error in errors if isinstance(error, BusyError)]
            if not busy or len(target.devices) == 1:
                raise errors[0]
            self.await_any(busy, wait)

    def check(self, device: Device) -> None:
        """Refuse a board that isn't to be used.

        Raises:
            GivenUpError: this process gave it up.
            BoardError: `Access.check` says why.
        """
        self.access.check(device)
        self.reliability[device.name].check(device.name)

    def ready(self, device: Device) -> None:
        """See that a board is this process's to use, before a case is begun: to ask in vain is no attempt at it.

        Raises:
            BusyError, FarmError, LeaseLostError: it can't be had now. What else may be wrong with it the case records.
            GivenUpError, QuarantinedError: it isn't to be used.
            ConfigError: it lacks what its backend needs.
        """
        self.check(device)
        try:
            self.board(device)
        except NOT_OURS:
            raise
        except BoardError:
            return

    def given_up(self, device: str) -> bool:
        """Whether a board has failed so that this process doesn't use it any more."""
        return self.reliability[device].given_up is not None

    def counter_in_use(self, device: str) -> str | None:
        """Say how an open virtual board counts instructions; None for any other board."""
        board = self._open.get(device)
        return None if board is None else board.counter_description

    def order(self, target: Target) -> list[Device]:
        """Return the boards of a target in the order in which to try them; what this process holds comes first."""
        turn = self._options.shared.turn % len(target.devices) if self._options.shared else 0
        devices = [*target.devices[turn:], *target.devices[:turn]]
        return sorted(devices, key=lambda device: device.name not in self._open)

    def backend(self, device: Device) -> Backend:
        """Return what a device runs on."""
        return self._backends[device.name]

    def let_go(self, *names: str) -> None:
        """Close boards, so that others can have them; what they say then doesn't matter any more."""
        for name in names:
            board = self._open.pop(name, None)
            if board is not None:
                with suppress(HilError):
                    board.close()

    def close(self) -> None:
        """Let go of all boards. Safe to call twice."""
        for meter in self.meters.values():
            meter.close()
        self.let_go(*self._backends)
        self.access.close()

    def patience_for(self, target: Target) -> Patience:
        """Return how to wait for one board of a target: where several can do it, none is waited for alone."""
        return self._patience if len(target.devices) == 1 else replace(NOW, run=self._run)

    def waiting(self) -> Wait:
        """Begin to wait for one of several boards."""
        return Wait(self._patience)

    def held_by_this_run(self, busy: list[BusyError]) -> list[BusyError]:
        """Return which boards are in use by other processes of this run, and are worth waiting for therefore."""
        if self._options.shared is not None and not self._options.shared.waits:
            return []
        return [error for error in busy if error.run is not None and error.run == self._run]

    def await_any(self, busy: list[BusyError], wait: Wait) -> None:
        """Sleep before all boards of a target are asked for again.

        What this run's other processes hold gets free, so it is waited for in any case; and as one of them may wait for
        a board that is held here, none is kept meanwhile.

        Raises:
            BusyError: the user wants to wait no longer.
        """
        own = self.held_by_this_run(busy)
        if own:
            self.let_go(*self._backends)
        wait.again((own or busy)[0], _POOL_POLL_S, endless=bool(own))
