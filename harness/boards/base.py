"""What every board can do, real or emulated. Nothing above this package asks which backend it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config import BoardKind
    from harness.image.elf import Image
    from harness.link.byte_stream import ByteStream

Backend = Literal["hardware", "virtual", "renode"]
Counter = Literal["cycles", "instructions"]
#: How it is known that an image is in flash: it was written, it was read back and found there already, or, without a
#: probe, it is what this run wrote last.
Flashing = Literal["written", "compared", "kept"]

#: What a board's counter counts. An emulator's instructions are never called cycles or turned into time.
COUNTER_OF_BACKEND: dict[Backend, Counter] = {
    "hardware": "cycles",
    "virtual": "instructions",
    "renode": "instructions",
}


class Board(Protocol):
    """One board, held by one run from the moment it is opened until `close`."""

    name: str
    kind: BoardKind
    backend: Backend
    probe_uid: str  # empty if it has no probe
    notes: list[str]
    flashing: Flashing | None  # of the image that was started last; None if it isn't in flash

    @property
    def counter(self) -> Counter:
        """What the counter values of this board are."""
        ...

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Erase what the image needs, program it, read it back and compare.

        Args:
            image: the image to program.
            progress: called with the finished share, 0 to 1.

        Raises:
            ImageError: the image is not for this board.
            FlashError: programming failed, or the flash reads back differently.
        """
        ...

    def contains(self, image: Image) -> bool:
        """Whether every byte of an image is in flash, so that it needn't be written.

        What the firmware says of itself is no proof: a build id survives a change of the weights. A board that can be
        read is read; one that can't holds for sure only what this run has written, as long as nothing came between.

        Raises:
            BoardError: the board can't be read.
        """
        ...

    def adopt(self, image: Image) -> None:
        """Take it that `image` is in flash, because it was written or `contains` said so.

        Raises:
            ImageError: the image is not for this board.
        """
        ...

    def reconnect(self) -> None:
        """Let go of everything and open it again.

        Raises:
            BoardError: the board is gone.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether what the board runs on has ended, so that only `reconnect` can help."""
        ...

    @property
    def can_power_cycle(self) -> bool:
        """Whether the board's power can be switched from here."""
        ...

    def power_cycle(self) -> None:
        """Take the power away and give it back; the board is seen to vanish and to come back.

        Raises:
            BoardError: that can't be done, or didn't happen.
        """
        ...

    def reset(self) -> None:
        """Reset the board and start the image from its own vector table."""
        ...

    def link(self) -> ByteStream:
        """Return the serial line, opened on first use."""
        ...

    @property
    def reads_memory(self) -> bool:
        """Whether `read_memory` works; without a probe the agent's own figures have to do."""
        ...

    def read_memory(self, address: int, size: int) -> bytes:
        """Read `size` bytes of memory while the firmware waits."""
        ...

    def crash_report(self) -> str | None:
        """Say where and why the firmware stopped, or None if it has not stopped."""
        ...

    def close(self) -> None:
        """Let go of probe and port. Safe to call twice."""
        ...
