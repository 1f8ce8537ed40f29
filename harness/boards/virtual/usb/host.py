"""The computer at the other end of the USB cable: it enumerates what it sees, and makes a serial port of it."""

from __future__ import annotations

import contextlib
import struct
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from harness.boards.virtual.usb.tokens import PACKET, Handshake

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from harness.boards.virtual.ports.serial_line import Line
    from harness.boards.virtual.usb.usbd import Usbd

_READ_BYTES = 2 * PACKET  # of one read of Linux's driver: it hands on what it has when a packet is short, or all came
_DEVICE, _CONFIGURATION, _STRING, _QUALIFIER = 1, 2, 3, 6
_GET_DESCRIPTOR, _SET_ADDRESS, _SET_CONFIGURATION = 0x06, 0x05, 0x09
_CLEAR_FEATURE, _SET_FEATURE, _TO_ENDPOINT = 0x01, 0x03, 0x02
_SET_LINE_CODING, _SET_CONTROL_LINE_STATE = 0x20, 0x22
_TO_HOST, _TO_INTERFACE = 0x80, 0x21
_ENGLISH = 0x0409


class StalledError(Exception):
    """The device refused a transfer."""


def retried(attempt: Callable[[], bytes | Handshake]) -> Generator[None, None, bytes]:
    """Repeat a token for as long as the device answers NAK; return what it answers at last, nothing for ACK."""
    while (answer := attempt()) is Handshake.NAK:
        yield
    if answer is Handshake.STALL:
        raise StalledError
    return answer if isinstance(answer, bytes) else b""


def control(device: Usbd, request: bytes, data: bytes = b"") -> Generator[None, None, bytes]:
    """Do a control transfer: setup, data and status stage.

    Raises:
        StalledError: the device refuses it.
    """
    length = int.from_bytes(request[6:8], "little")
    device.setup(request)
    if not request[0] & _TO_HOST:
        for start in range(0, length, PACKET):
            piece = data[start : start + PACKET]
            yield from retried(partial(device.token_out, 0, piece))
        yield from retried(partial(device.token_in, 0))
        return b""
    got = b""
    while len(got) < length:
        packet = yield from retried(partial(device.token_in, 0))
        got += packet
        if len(packet) < PACKET:
            break
    yield from retried(partial(device.token_out, 0, b""))
    return got


class UsbHost(ABC):
    """A host controller: it talks only when somebody lets it, on the thread of the board's CPU."""

    def __init__(self, device: Usbd) -> None:
        self.device = device
        device.pump = self.pump
        self._seen = -1  # resets of the device when it was last seen

    def pump(self) -> None:
        """Send the tokens that are due, until all of them are answered by NAK."""
        if not self.device.attached or self._seen not in (-1, self.device.resets):
            if self._seen != -1:
                self._seen = -1
                self.detached()
            if not self.device.attached:
                return
        if self._seen == -1:
            self._seen = self.device.resets
            self.plugged_in()
        while not self.device.busy and self.step():
            pass

    @abstractmethod
    def plugged_in(self) -> None:
        """A device has appeared."""

    @abstractmethod
    def detached(self) -> None:
        """The device is gone."""

    @abstractmethod
    def step(self) -> bool:
        """Send some tokens; False if all of them were answered by NAK."""


class CdcHost(UsbHost):
    """Enumerates the device in the order of Linux, and carries its bytes to and from a line.

    Args:
        device: at the other end of the cable.
        line: the serial port that the computer makes of it.

    Attributes:
        identity: vendor, product and serial number, once enumerated; None before.
        on_port: called with whether there is a port now, when it appears and when it vanishes.
        fetched: bytes that have come from the device for the port.
        disturb: called before tokens are sent, for faults on purpose.
        packet_size: gives the length of the next packet to the device; full ones where it is None.
    """

    def __init__(self, device: Usbd, line: Line) -> None:
        super().__init__(device)
        self.line = line
        self.identity: tuple[int, int, str] | None = None
        self.on_port: Callable[[bool], None] = lambda there: None  # noqa: ARG005
        self._wanted: list[Generator[None, None, None]] = []
        self._job: Generator[None, None, None] | None = None
        self._to_device = b""
        self._read = b""
        self._ends: tuple[int, int] = (0, 0)
        self.fetched = 0
        self.disturb: Callable[[], None] | None = None
        self.packet_size: Callable[[], int] | None = None

    def plugged_in(self) -> None:
        """Reset the bus, and begin to enumerate."""
        self.device.bus_reset()
        self._wanted, self._to_device, self._read = [], b"", b""
        self._job = self._enumerate()

    def detached(self) -> None:
        """Let the port vanish."""
        self._job = None
        if self.identity is not None:
            self.identity = None
            self.on_port(False)  # noqa: FBT003 - the only argument

    def reset_bus(self) -> None:
        """Reset the device and enumerate it anew, on the CPU's thread or while that is paused."""
        self.detached()
        self.plugged_in()

    def touch(self, baud: int) -> None:
        """Open the port, set a baud rate and close it again, as the system tells the device."""
        self._wanted.append(self._told(3))
        self._wanted.append(self._coded(baud))
        self._wanted.append(self._told(0))

    def halt(self, endpoint: int) -> None:
        """Halt an endpoint, as any program may that speaks to the device; bit 7 says that it is one to the host."""
        self._wanted.append(self._feature(_SET_FEATURE, endpoint))

    def step(self) -> bool:
        """Go on with control transfers, and carry a packet each way."""
        if self.disturb is not None:
            self.disturb()
        if self.line.asleep:
            return False
        moved = self._advance_job()
        if self.identity is None:
            return moved
        return self._carry_out() or self._carry_in() or moved

    def _advance_job(self) -> bool:
        if self._job is None and self._wanted:
            self._job = self._wanted.pop(0)
        if self._job is None:
            return False
        try:
            next(self._job)
        except StopIteration:
            self._job = None
            return True
        return False

    def _carry_out(self) -> bool:
        self._to_device = self._to_device or self.line.receive()
        if not self._to_device:
            return False
        size = PACKET if self.packet_size is None else self.packet_size()
        answer = self.device.token_out(self._ends[1], self._to_device[:size])
        if answer is Handshake.STALL:  # Linux drops what it was to write, and doesn't end the halt
            self._to_device = b""
            return False
        if answer is not Handshake.ACK:
            return False
        self._to_device = self._to_device[size:]
        return True

    def _carry_in(self) -> bool:
        if not self.line.flush():  # the program doesn't read, so the system doesn't either
            return False
        packet = self.device.token_in(self._ends[0])
        if packet is Handshake.STALL and not self._wanted:
            self._wanted.append(self._feature(_CLEAR_FEATURE, 0x80 | self._ends[0]))
            return True
        if not isinstance(packet, bytes):
            return False
        self.fetched += len(packet)
        self._read += packet
        if len(packet) < PACKET or len(self._read) >= _READ_BYTES:
            self.line.send(self._read)
            self._read = b""
            self.line.flush()
        return True

    # ------------------------------------------------------------------ enumeration

    def _ask(self, kind: int, index: int, length: int, language: int = 0) -> Generator[None, None, bytes]:
        request = struct.pack("<BBBBHH", _TO_HOST, _GET_DESCRIPTOR, index, kind, language, length)
        return (yield from control(self.device, request))

    def _enumerate(self) -> Generator[None, None, None]:
        yield from self._ask(_DEVICE, 0, 64)
        self.device.bus_reset()
        yield from control(self.device, struct.pack("<BBHHH", 0, _SET_ADDRESS, 7, 0, 0))
        about = yield from self._ask(_DEVICE, 0, 18)
        vendor, product = struct.unpack_from("<HH", about, 8)
        with contextlib.suppress(StalledError):  # a full-speed device has none
            yield from self._ask(_QUALIFIER, 0, 10)
        (total,) = struct.unpack_from("<H", (yield from self._ask(_CONFIGURATION, 0, 9)), 2)
        self._ends = _bulk_endpoints((yield from self._ask(_CONFIGURATION, 0, total)))
        yield from self._ask(_STRING, 0, 255)
        serial = yield from self._ask(_STRING, about[16], 255, _ENGLISH)
        yield from control(self.device, struct.pack("<BBHHH", 0, _SET_CONFIGURATION, 1, 0, 0))
        yield from self._told(3)
        yield from self._coded(9600)
        self.identity = vendor, product, serial[2:].decode("utf-16-le")
        self.on_port(True)  # noqa: FBT003 - the only argument

    def _feature(self, request: int, endpoint: int) -> Generator[None, None, None]:
        yield from control(self.device, struct.pack("<BBHHH", _TO_ENDPOINT, request, 0, endpoint, 0))

    def _told(self, state: int) -> Generator[None, None, None]:
        request = struct.pack("<BBHHH", _TO_INTERFACE, _SET_CONTROL_LINE_STATE, state, 0, 0)
        yield from control(self.device, request)

    def _coded(self, baud: int) -> Generator[None, None, None]:
        request = struct.pack("<BBHHH", _TO_INTERFACE, _SET_LINE_CODING, 0, 0, 7)
        yield from control(self.device, request, struct.pack("<IBBB", baud, 0, 0, 8))


def _bulk_endpoints(configuration: bytes) -> tuple[int, int]:
    """Return the numbers of the bulk endpoints, in and out, from a configuration's descriptors."""
    ends = {0x80: 0, 0: 0}
    while configuration:
        if configuration[1] == 5 and configuration[3] == 2:  # an endpoint, bulk
            ends[configuration[2] & 0x80] = configuration[2] & 15
        configuration = configuration[configuration[0] :]
    return ends[0x80], ends[0]
