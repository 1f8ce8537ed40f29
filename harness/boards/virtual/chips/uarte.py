"""UARTE0: a UART whose bytes move by DMA, with exactly the credit that firmware arms.

PTR and MAXCNT are latched by STARTRX and STARTTX; AMOUNT changes at the end of a transfer only. Bytes that
come while no reception is armed wait in a FIFO of six; further ones are lost and set ERROR (overrun). Bytes
that come before the first STARTRX, or while the UARTE is off, are lost silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.peripheral import Peripheral

if TYPE_CHECKING:
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.chips.nrf52840 import Page
    from harness.boards.virtual.ports.serial_line import Line

FIFO_BYTES = 6
CTS, NCTS, RXDRDY, ENDRX, TXDRDY, ENDTX = 0x100, 0x104, 0x108, 0x110, 0x11C, 0x120
ERROR, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED = 0x124, 0x144, 0x14C, 0x150, 0x158
_STARTRX, _STOPRX, _STARTTX, _STOPTX, _FLUSHRX = 0x000, 0x004, 0x008, 0x00C, 0x02C
_ERRORSRC, _ENABLE, _PSEL_TXD, _PSEL_RXD, _BAUDRATE = 0x480, 0x500, 0x50C, 0x514, 0x524
_RXD_PTR, _RXD_MAXCNT, _RXD_AMOUNT = 0x534, 0x538, 0x53C
_TXD_PTR, _TXD_MAXCNT, _TXD_AMOUNT = 0x544, 0x548, 0x54C
_OVERRUN = 1
_DISCONNECTED = 1 << 31
_SHORT_ENDRX_STARTRX, _SHORT_ENDRX_STOPRX = 5, 6
_IDLE_POLLS = 100  # event reads without news or sleep of the CPU after which the host may sleep a little


@dataclass(frozen=True)
class Pins:
    """The pins of the board's serial line, as PSEL numbers them: port x 32 + pin."""

    tx: int
    rx: int


class Uarte(Peripheral):
    """The UART at 0x40002000."""

    tasks = (_STARTRX, _STOPRX, _STARTTX, _STOPTX, _FLUSHRX)
    events = (CTS, NCTS, RXDRDY, ENDRX, TXDRDY, ENDTX, ERROR, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED)
    flags = (_ERRORSRC,)

    def __init__(self, host: Host, page: Page, memory: Memory, line: Line, pins: Pins) -> None:
        self._memory = memory
        self._line = line
        self._pins = pins
        super().__init__(host, page)

    def reset(self) -> None:
        """Stop both directions and lose what was under way."""
        super().reset()
        self._forget_transfers()
        self._idle_polls = 0

    def _forget_transfers(self) -> None:
        self._receiving = False  # from STARTRX to STOPRX
        self._armed: tuple[int, int] | None = None  # latched PTR, MAXCNT
        self._got = 0
        self._sending: int | None = None  # bytes of the transfer under way
        self._fifo = bytearray()
        self._line.drop_outgoing()

    def slept(self) -> None:
        """Note that the CPU has slept, so that it isn't one that polls in a loop."""
        self._idle_polls = 0

    @property
    def enabled(self) -> bool:
        """True while the UARTE has its pins."""
        return self.registers.get(_ENABLE, 0) == 8

    def read(self, offset: int) -> int:
        """Return a register. Reading an event lets the line move first, so that polling works."""
        if offset in self.event and not self.event[offset] and (self._receiving or self._sending is not None):
            self.pump()
            self._idle_polls += 1
            if self._idle_polls > _IDLE_POLLS:
                self._line.wait(0.002)
        return super().read(offset)

    def written(self, offset: int, value: int) -> None:
        if offset == _ENABLE:
            self._check_enable(value)
        elif offset in (_RXD_MAXCNT, _TXD_MAXCNT):
            self.registers[offset] = value & 0xFFFF
        elif offset == _BAUDRATE:
            self._line.board_baud = round(value * 16e6 / 2**32)  # as the product specification has it

    def _check_enable(self, value: int) -> None:
        if value == 4:
            self.host.limit("the firmware enables the legacy UART (ENABLE = 4); only UARTE (8) is modelled")
        if value != 8:
            self._forget_transfers()
            return
        for name, register, ours in (("TXD", _PSEL_TXD, self._pins.tx), ("RXD", _PSEL_RXD, self._pins.rx)):
            psel = self.registers.get(register, _DISCONNECTED)
            if not psel & _DISCONNECTED and psel & 0x3F != ours:
                self.host.limit(
                    f"the firmware puts UARTE0's {name} on P{psel >> 5 & 1}.{psel & 31:02d}; this board's serial "
                    f"line is on P{ours >> 5}.{ours & 31:02d}"
                )

    def task(self, offset: int) -> None:
        if not self.enabled:
            return
        self._idle_polls = 0
        if offset in (_STARTRX, _STOPRX):
            self.pump()
        {
            _STARTRX: self._arm,
            _STOPRX: self._stop_receiving,
            _FLUSHRX: self._flush_fifo,
            _STARTTX: self._start_sending,
            _STOPTX: self._stop_sending,
        }[offset]()

    def _latch(self, pointer: int, maxcnt: int) -> tuple[int, int] | None:
        address, size = self.registers.get(pointer, 0), self.registers.get(maxcnt, 0)
        if self._memory.in_ram(address, size):
            return address, size
        self.host.bus_fault(f"UARTE0's DMA pointer {address:#010x} with {size} bytes leaves RAM")
        return None

    def _arm(self) -> None:
        self._armed = self._latch(_RXD_PTR, _RXD_MAXCNT)
        if self._armed is None:
            return
        self._receiving = True
        self._got = 0
        self.raise_events(RXSTARTED)
        waiting, self._fifo = bytes(self._fifo), bytearray()
        self._deliver(waiting)
        self.pump()

    def _stop_receiving(self) -> None:
        if self._armed is not None:
            self._end_reception(stopped=True)
        self._receiving = False
        self.raise_events(RXTO)

    def _flush_fifo(self) -> None:
        """Move what the FIFO still holds to RAM. AMOUNT stays stale if it holds nothing (as on silicon)."""
        target = self._latch(_RXD_PTR, _RXD_MAXCNT)
        if target is None:
            return
        address, size = target
        data, self._fifo = bytes(self._fifo[:size]), bytearray()
        if data:
            self._to_ram(address, data)
            self.registers[_RXD_AMOUNT] = len(data)
        self.raise_events(ENDRX)

    def _start_sending(self) -> None:
        source = self._latch(_TXD_PTR, _TXD_MAXCNT)
        if source is None:
            return
        address, size = source
        data = self._memory.read(address, size) or b""
        self._sending = size
        if self.registers.get(_PSEL_TXD, _DISCONNECTED) & _DISCONNECTED == 0:
            self._line.send(data)
        self.raise_events(TXSTARTED)
        self.pump()

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self.registers[_TXD_AMOUNT] = max(self._sending - self._line.drop_outgoing(), 0)
            self._sending = None
            self.raise_events(ENDTX)
        self.raise_events(TXSTOPPED)

    def pump(self) -> None:
        """Let the line move: bytes from the host into RAM, bytes to the host out."""
        sent = self._line.flush()
        if self._sending is not None and sent:
            size = self.registers[_TXD_AMOUNT] = self._sending
            self._sending = None
            self._idle_polls = 0
            self._raise_for_each(TXDRDY, size)
            self.raise_events(ENDTX)
        data = self._line.receive()
        if not data or not self.enabled or not self._receiving:
            return
        if self.registers.get(_PSEL_RXD, _DISCONNECTED) & _DISCONNECTED == 0:
            self._idle_polls = 0
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        """Take bytes from the line: into the armed buffer, then the FIFO, then nowhere."""
        while data and self._receiving:
            if self._armed is None:
                room = FIFO_BYTES - len(self._fifo)
                self._fifo += data[:room]
                if len(data) > room:
                    self.registers[_ERRORSRC] = self.get(_ERRORSRC) | _OVERRUN
                    self.raise_events(ERROR)
                return
            address, size = self._armed
            part, data = data[: size - self._got], data[size - self._got :]
            self._to_ram(address + self._got, part)
            self._got += len(part)
            self._raise_for_each(RXDRDY, len(part))
            if self._got >= size:
                self._end_reception(stopped=False)
        if self._armed is not None and self._got >= self._armed[1]:
            self._end_reception(stopped=False)

    def _raise_for_each(self, event: int, count: int) -> None:
        """Raise an event that comes with each byte. The CPU sees it once; what PPI connects to it counts bytes."""
        for _ in range(count if event in self.routed else min(count, 1)):
            self.raise_events(event)

    def _end_reception(self, *, stopped: bool) -> None:
        self.registers[_RXD_AMOUNT] = self._got
        self._armed = None
        self.raise_events(ENDRX)
        if stopped:
            return
        if self.short(_SHORT_ENDRX_STARTRX):
            self._armed = self._latch(_RXD_PTR, _RXD_MAXCNT)
            self._got = 0
            if self._armed is not None and self._armed[1] == 0:
                self._armed = None  # would end and start for ever
            self.raise_events(RXSTARTED)
        elif self.short(_SHORT_ENDRX_STOPRX):
            self._receiving = False
            self.raise_events(RXTO)

    def _to_ram(self, address: int, data: bytes) -> None:
        if data:
            self._memory.write_ram(address, data)
            self.host.code_changed(address, address + len(data))
