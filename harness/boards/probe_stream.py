"""The debug probe as the byte stream of the link: a mailbox in the board's RAM, used while its CPU sleeps."""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyocd.core.exceptions import TransferError

from harness.errors import BoardResetError, ImageError, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from harness.config import BoardKind
    from harness.image.elf import Image

#: Which word of a vector table tells where the mailbox is.
VECTOR = 10
_ID = 0x424D4948
_WORDS = struct.Struct("<12I")
_CHECKED = slice(4, 36)  # what its CRC covers, bytes
_FILLED, _TAKEN = 40, 44

_DHCSR, _ISPR = 0xE000EDF0, 0xE000E200
_S_HALT, _S_SLEEP, _S_RESET_ST = 1 << 17, 1 << 18, 1 << 25

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.0001, 0.005
#: Transfers that fail one after the other before the probe counts as lost.
_FAILURES = 4
#: How long a read or write relies on the last time that the board was seen to be this run's.
_GUARD_S = 0.1


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What firmware/agent/hil_mailbox.h calls by the same names."""

    boot: int
    doorbell: int
    wanted: int
    place: int
    room: int
    sent: int
    source: int
    size: int
    filled: int
    taken: int


class ProbeStream:
    """Bytes through a debug probe.

    Of a board whose CPU doesn't sleep only one register of the debug unit is read, DHCSR, with growing pauses: nothing
    of what the CPU uses is touched while it computes. What is written waits here until the firmware wants it, as it
    would in the buffer of a port.

    Args:
        board: the name that messages give it.
        target: returns the core, as pyOCD has it.
        address: returns where the mailbox is.
        translated: turns pyOCD's errors into ours, given what is being done.
        guard: raises if the board isn't this run's any more.

    Attributes:
        greets: False: after a reset firmware says what it is over the UART, as nobody has spoken yet.
        gone: never; a probe that is lost raises ProbeError, and is opened again by `Board.reconnect`.
        port: for messages.
    """

    greets = False
    gone = False
    port = ""

    def __init__(
        self,
        board: str,
        target: Callable[[], Any],
        address: Callable[[], int],
        translated: Callable[[str], AbstractContextManager[None]],
        guard: Callable[[], None],
    ) -> None:
        self._board = board
        self._target = target
        self._address = address
        self._translated = translated
        self._guard = guard
        self._guarded_until = 0.0
        self._failures = 0
        self._over: int | None = None  # a boot that a reset has ended
        self.forget()

    def forget(self) -> None:
        """Drop everything received and everything not yet delivered, because the board is about to be reset."""
        self._boot: int | None = None  # of the mailbox that was seen last
        self._received = bytearray()
        self._outgoing = bytearray()
        self._taken: int | None = None  # the answer that was read last
        self._offer: int | None = None  # what the firmware wanted last, and how much of that it was given
        self._given = 0

    def read(self, size: int, timeout: float) -> bytes:
        """Return 1 to `size` bytes as soon as there are any; b"" if none came in `timeout` seconds.

        Raises:
            LinkError: something else has halted the CPU.
            BoardResetError: something else has reset the board.
            ProbeError: the probe is gone, or can't reach the board.
            LeaseLostError: the board isn't this run's any more.
        """
        began = time.monotonic()
        while True:
            if not self._received:
                self._exchange()
            if self._received:
                data = bytes(self._received[:size])
                del self._received[:size]
                return data
            waited = time.monotonic() - began
            if waited >= timeout:
                return b""
            pause = min(max(waited / 8, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
            time.sleep(min(pause, timeout - waited))

    def write(self, data: bytes) -> None:
        """Deliver `data`, or keep what isn't wanted yet for the reads that follow.

        Raises:
            As `read`.
        """
        self._outgoing += data
        self._exchange()

    def drain(self) -> None:
        """Drop every byte received so far."""
        self._received.clear()

    def close(self) -> None:
        """Forget the conversation; the probe stays as it is."""
        self.forget()

    def resume(self, _locate: Callable[[], str]) -> None:
        """Do nothing: the probe is looked for each time."""

    def _exchange(self) -> None:
        """Take what the firmware has sent and give it what it wants, if its CPU sleeps."""
        if time.monotonic() >= self._guarded_until:
            self._guard()
            self._guarded_until = time.monotonic() + _GUARD_S
        with self._translated("talking to the firmware"):
            try:
                self._look(self._target())
            except TransferError:  # what was done in part can be done again
                self._failures += 1
                if self._failures >= _FAILURES:
                    raise
            else:
                self._failures = 0

    def _look(self, target: Any) -> None:
        state = target.read32(_DHCSR)
        if state & _S_RESET_ST and self._boot is not None:
            self._over = self._boot  # until its start-up code clears the RAM, the old mailbox is still to be seen
            self.forget()
            raise BoardResetError(f"{self._board}: the board was reset in the middle of the conversation")
        if state & _S_HALT:
            raise LinkError(
                f"{self._board}: the CPU is halted, so the firmware can't answer. Is another debugger at work, or is "
                "there a breakpoint in the image?"
            )
        if not state & _S_SLEEP:
            return
        address = self._address()
        box = _parse(target.read_memory_block32(address, _WORDS.size // 4))
        if box is None or box.boot == self._over:
            return
        self._boot = box.boot
        taken, given = self._take(target, address, box), self._give(target, address, box)
        if taken or given:
            target.write32(_ISPR + 4 * (box.doorbell // 32), 1 << box.doorbell % 32)
            target.flush()

    def _take(self, target: Any, address: int, box: Mailbox) -> bool:
        """Read an answer; True if the firmware has to be told."""
        if box.sent == box.taken:
            return False
        if box.sent != self._taken:
            self._received += _read(target, box.source, box.size)
            self._taken = box.sent
        target.write32(address + _TAKEN, box.sent)
        return True

    def _give(self, target: Any, address: int, box: Mailbox) -> bool:
        """Write as much of what is wanted as there is; True if the firmware has to be told."""
        if box.filled == box.wanted:
            return True  # and sleeps all the same: the doorbell was lost
        if self._offer != box.wanted:
            self._offer, self._given = box.wanted, 0
        piece = bytes(self._outgoing[: box.room - self._given])
        if piece:
            _write(target, box.place + self._given, piece)
            del self._outgoing[: len(piece)]
            self._given += len(piece)
        if self._given < box.room:
            return False
        target.write32(address + _FILLED, box.wanted)
        return True


def find_mailbox(name: str, kind: BoardKind, image: Image | None, core: Callable[[], Any] | None = None) -> int:
    """Return the address of the mailbox, as the vector table tells it.

    Args:
        name: the device, as devices.yaml calls it.
        kind: its kind of board, which says where its RAM is.
        image: what is in flash; None if that isn't known.
        core: returns the core, to read the flash if it must be.

    Raises:
        ImageError: the image has no mailbox.
        LinkError: what is in flash has none.
    """
    if image is not None:
        at = image.vectors + 4 * VECTOR
        words = [part.data[at - part.address :][:4] for part in image.segments if part.address <= at < part.end]
        address = int.from_bytes(b"".join(words), "little")
    else:
        address = 0 if core is None else int(core().read32(kind.flash.start + 4 * VECTOR))
    if kind.memory_at(address) is not None:
        return address
    if image is not None:
        raise ImageError(
            f"{image.path}: has no mailbox for `link: probe` of {name}; build it again, or use `link: uart`"
        )
    raise LinkError(f"{name}: what is in flash has no mailbox for `link: probe`; flash an image of this version")


def _parse(words: list[int]) -> Mailbox | None:
    """Return the mailbox, or None if there is none (yet), or it was misread."""
    content = _WORDS.pack(*words)
    if words[0] != _ID or zlib.crc32(content[_CHECKED]) != words[9]:
        return None
    return Mailbox(*words[1:9], *words[10:])


def _read(target: Any, address: int, size: int) -> bytes:
    first = address & ~3
    count = (address + size + 3 - first) // 4
    words = struct.pack(f"<{count}I", *target.read_memory_block32(first, count))
    return words[address - first : address - first + size]


def _write(target: Any, address: int, data: bytes) -> None:
    """Write exactly these bytes; by words, of which pyOCD has a quarter to look at, where they are aligned."""
    head = min(-address % 4, len(data))
    whole = (len(data) - head) // 4
    tail = head + 4 * whole
    if head:
        target.write_memory_block8(address, list(data[:head]))
    if whole:
        target.write_memory_block32(address + head, list(struct.unpack_from(f"<{whole}I", data, head)))
    if tail < len(data):
        target.write_memory_block8(address + tail, list(data[tail:]))
