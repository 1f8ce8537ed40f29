"""What a run asks before and while it uses a board; on one's own desk that is the board's lock on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import BusyError, FarmError, LeaseLostError
from harness.locks.waiting import NOW, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.boards.base import Backend
    from harness.boards.opening import OpenBoard
    from harness.config import Device, Lab

#: The board was taken away in the middle of a case, by another run or by whoever hands boards out.
TAKEN_AWAY = (LeaseLostError,)
#: What says nothing of a board: somebody else has it or took it, or it can't be asked for.
NOT_OURS = (BusyError, FarmError, *TAKEN_AWAY)


class Access:
    """How one process gets at its boards. A lab that people share has a subclass, which the session is given.

    Args:
        lab: what devices.yaml says.

    Attributes:
        lab: the same.
        log: takes the name of a device and a line for its log; the session sets it.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.log: Callable[[str, str], None] = lambda _device, _text: None

    def check(self, device: Device) -> None:
        """Refuse a board that may not be used now, before a case is begun on it; here none is.

        Raises:
            QuarantinedError: it is out of use.
            BusyError: it is somebody else's.
        """

    def open(
        self,
        device: Device,
        backend: Backend,
        faults: Sequence[str] = (),
        *,
        unlock: bool = False,
        patience: Patience = NOW,
    ) -> OpenBoard:
        """Open a board, which takes its lock on this computer.

        Args:
            device: as selected.
            backend: where it runs.
            faults: what goes wrong on a virtual board, besides the faults that devices.yaml gives it.
            unlock: whether a locked part may be erased whole.
            patience: whether to wait while somebody else has it.

        Raises:
            BusyError: somebody else uses it.
            BoardError: it can't be opened.
            ConfigError: the device lacks what the backend needs.
        """
        from harness.boards.opening import open_board  # noqa: PLC0415 - pyOCD takes half a second to import

        return open_board(device, backend, (*device.faults, *faults), unlock=unlock, patience=patience)

    def notices(self, device: Device) -> list[str]:  # noqa: ARG002 (for those who share boards)
        """Say what a user should know of a board before it is used, in lines for the header."""
        return []

    def attempt_ended(self, device: Device, attempt: Mapping[str, Any]) -> None:
        """Take note of an attempt at a case, once its row is written.

        Args:
            device: the board that it was made on.
            attempt: the row, as the columns of the attempts table.
        """

    def close(self) -> None:
        """Give back what is held for the boards. Safe to call twice."""
