"""What every board can do, real or emulated. Nothing above this package asks which backend it has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, Protocol, Self

from harness.config.chip import SIMAVR_CHIPS
from harness.errors import BoardError
from harness.image.elf import check_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.boards.usb_power import UsbPower
    from harness.config import BoardKind
    from harness.config.access import LinkKind
    from harness.image.elf import Image
    from harness.link.byte_stream import ByteStream

Backend = Literal["hardware", "virtual", "renode"]
Counter = Literal["cycles", "instructions", "emulated cycles"]
#: How it is known that an image is in flash: it was written, it was read back and found there already, or, without a
#: probe, it is what this run wrote last.
Flashing = Literal["written", "compared", "kept"]

#: What a board's counter may count, the usual first: simavr counts its idea of cycles. An emulator's instructions, or
#: that idea, are never called cycles or turned into time.
COUNTERS_OF_BACKEND: dict[Backend, tuple[Counter, ...]] = {
    "hardware": ("cycles",),
    "virtual": ("instructions", "emulated cycles"),
    "renode": ("instructions",),
}


def counter_of(kind: BoardKind, backend: Backend) -> Counter:
    """Return what the counter values of a kind of board are on a backend."""
    if backend == "virtual" and kind.twin in SIMAVR_CHIPS:
        return "emulated cycles"
    return COUNTERS_OF_BACKEND[backend][0]


class Hold(Protocol):
    """What keeps others from a board: a lease of this computer, a place of a farm."""

    def check(self) -> None:
        """Raise `LeaseLostError` if it doesn't any more."""
        ...

    def release(self) -> None:
        """Let others have the board. Safe to call twice."""
        ...


class Board(ABC):
    """One board, held by one run from the moment that it is opened until `close`.

    Every method that touches it raises a BoardError if it is gone, and a LeaseLostError if it is somebody else's now.

    Args:
        name: the device, as devices.yaml calls it.
        kind: its kind of board, which says chip, clock and links.
        backend: what stands behind it: hardware, virtual or renode.

    Attributes:
        probe_uid: unique id of its debug probe; empty if it has none.
        over: what carries inputs and outputs.
        reads_memory: whether `read_memory` works; without a probe the agent's own figures have to do.
        notes: what was done beyond what was asked, for the log.
        flashing: how the image that was started last came to be in flash; None if it isn't.
        power: the hub port that powers it; None if that can't be switched from here.
        holds: what keeps others from the board; checked before it is touched, released when it is closed.
    """

    probe_uid = ""
    over: LinkKind = "uart"
    reads_memory = True
    power: UsbPower | None = None
    holds: tuple[Hold, ...] = ()

    def __init__(self, name: str, kind: BoardKind, backend: Backend) -> None:
        self.name = name
        self.kind = kind
        self.backend = backend
        self.notes: list[str] = []
        self.flashing: Flashing | None = None
        self._image: Image | None = None

    @property
    def counter(self) -> Counter:
        """What the counter values of this board are."""
        return counter_of(self.kind, self.backend)

    @property
    def counter_description(self) -> str | None:
        """How an emulator counts, in words; None for a board that has no choice."""
        return None

    @property
    def ended(self) -> bool:
        """Whether what the board runs on has ended, so that only `reconnect` can help."""
        return False

    @abstractmethod
    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Erase what the image needs, program it, read it back and compare, where the board can be read.

        Args:
            image: the image to program.
            progress: called with the finished share, 0 to 1.

        Raises:
            ImageError: the image is not for this board.
            FlashError: programming failed, or the flash reads back differently.
        """

    @abstractmethod
    def contains(self, image: Image) -> bool:
        """Whether every byte of an image is in flash, so that it needn't be written.

        What the firmware says of itself is no proof: a build id survives a change of the weights. A board that can be
        read is read; one that can't holds for sure only what this run has written, as long as nothing came between.
        """

    def adopt(self, image: Image) -> None:
        """Take it that `image` is in flash, because it was written or `contains` said so.

        Raises:
            ImageError: the image is not for this board.
        """
        check_image(image, self.kind)
        self._image = image

    @abstractmethod
    def reset(self) -> None:
        """Reset the board and start the image from its own vector table."""

    @abstractmethod
    def link(self) -> ByteStream:
        """Return the serial line, opened on first use, and again after the port had vanished."""

    @abstractmethod
    def read_memory(self, address: int, size: int) -> bytes:
        """Read `size` bytes of memory while the firmware waits."""

    @abstractmethod
    def crash_report(self) -> str | None:
        """Say why the firmware stopped, or where it is executing; None if it waits for the host."""

    def guard(self) -> None:
        """Make sure that the board is still this run's, before anything is done to it.

        Raises:
            LeaseLostError: it isn't.
        """
        for hold in self.holds:
            hold.check()

    @abstractmethod
    def let_go(self) -> None:
        """Close what is open, to open it again later. Safe to call twice."""

    @abstractmethod
    def reconnect(self) -> None:
        """Let go of everything, and open again what must be open."""

    @property
    def can_power_cycle(self) -> bool:
        """Whether the board's power can be switched from here."""
        return self.power is not None

    def power_cycle(self) -> None:
        """Take the power away, give it back, and reconnect; the board is seen to vanish and to come back.

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
