"""What all real boards and the virtual one share, however they are reached: counter, notes, power, letting go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol, Self

from harness.boards.base import COUNTER_OF_BACKEND, Backend, Counter, Flashing
from harness.errors import BoardError

if TYPE_CHECKING:
    from types import TracebackType

    from harness.boards.usb_power import UsbPower
    from harness.config import BoardKind


class Hold(Protocol):
    """What keeps others from a board: a lease of this computer, a place of a farm."""

    def check(self) -> None:
        """Make sure that it still does.

        Raises:
            LeaseLostError: it doesn't.
        """
        ...

    def release(self) -> None:
        """Let others have the board. Safe to call twice."""
        ...


class HeldBoard(ABC):
    """One board, held from the moment that it is opened until `close`.

    Args:
        name: the device, as devices.yaml calls it.
        kind: its kind of board, which says chip, clock and links.
        backend: what stands behind it: hardware, virtual or renode.

    Attributes:
        notes: what was done beyond what was asked, for the log.
        flashing: how the image that was started last came to be in flash; None if it isn't.
        power: the hub port that powers it; None if that can't be switched from here.
        holds: what keeps others from the board; checked before it is touched, released when it is closed.
    """

    power: UsbPower | None = None
    holds: tuple[Hold, ...] = ()

    def __init__(self, name: str, kind: BoardKind, backend: Backend) -> None:
        self.name = name
        self.kind = kind
        self.backend = backend
        self.notes: list[str] = []
        self.flashing: Flashing | None = None

    def guard(self) -> None:
        """Make sure that the board is still this run's, before anything is done to it.

        Raises:
            LeaseLostError: it isn't.
        """
        for hold in self.holds:
            hold.check()

    @property
    def counter(self) -> Counter:
        """What the counter values of this board are."""
        return COUNTER_OF_BACKEND[self.backend]

    @property
    def ended(self) -> bool:
        """Whether what the board runs on has ended, so that only `reconnect` can help."""
        return False

    @abstractmethod
    def let_go(self) -> None:
        """Close what is open, to open it again later. Safe to call twice."""

    @abstractmethod
    def reconnect(self) -> None:
        """Let go of everything, and open again what must be open.

        Raises:
            BoardError: the board is gone.
        """

    @property
    def can_power_cycle(self) -> bool:
        """Whether the board's power can be switched from here."""
        return self.power is not None

    def power_cycle(self) -> None:
        """Take the power away, give it back, and reconnect.

        Raises:
            BoardError: the power can't be switched, or the board doesn't come back.
        """
        if self.power is None:
            raise BoardError(f"{self.name}: no `power_cycle` is configured in devices.yaml")
        self.guard()
        self.let_go()
        self.power.cycle()
        self.reconnect()

    def close(self) -> None:
        """Let go of everything for good. Safe to call twice."""
        try:
            self.let_go()
        finally:
            for hold in reversed(self.holds):
                hold.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
