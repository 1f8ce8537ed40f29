"""UART0 and DMA of the RP2040, as far as a serial line needs them (RP2040 datasheet, chapters UART and DMA)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import RESET_SOFT, Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line

_DR, _RSR, _FR, _IBRD, _FBRD, _LCR, _CR, _IMSC, _DMACR = 0x00, 0x04, 0x18, 0x24, 0x28, 0x2C, 0x30, 0x38, 0x48
_UARTEN, _TXE, _RXE = 1 << 0, 1 << 8, 1 << 9
_RXDMAE, _TXDMAE, _OVERRUN = 1 << 0, 1 << 1, 1 << 3
_RXFE, _TXFE, _FEN, _FIFO = 1 << 4, 1 << 7, 1 << 4, 32
_CHANNEL, _CHANNELS = 0x40, 12
_READ, _WRITE, _COUNT, _CTRL = 0x0, 0x4, 0x8, 0xC
_INTR, _INTE0, _INTS0, _ABORT = 0x400, 0x404, 0x40C, 0x444
_EN, _INCR_READ, _INCR_WRITE, _BUSY = 1 << 0, 1 << 4, 1 << 5, 1 << 24
_DMA_IRQ_0 = 11
SEND, RECEIVE = 20, 21  # DREQs of UART0


class Dma(Device):
    """The channels, which are moved by the peripheral that they serve.

    Attributes:
        on_armed: called when a channel was started, and before somebody looks at its state.
    """

    survives = RESET_SOFT

    def __init__(self, host: Host, base: int, data: int) -> None:
        """Build them; `data` is the address that the serial line's bytes pass."""
        self.on_armed: Callable[[], None] = lambda: None
        self._data = data
        super().__init__(host, base)

    def reset(self) -> None:
        """Stop every channel."""
        super().reset()
        self._drive()

    def read(self, offset: int) -> int:
        """Return a register. Looking lets the line move first, so that polling works."""
        if offset < _CHANNEL * _CHANNELS or offset in (_INTR, _INTS0):
            self.on_armed()
        if offset == _ABORT:
            return 0
        if offset == _INTS0:
            return self.get(_INTR) & self.get(_INTE0)
        value = super().read(offset)
        if offset < _CHANNEL * _CHANNELS and offset % _CHANNEL == _CTRL:
            value |= _BUSY if value & _EN and self.get(offset - _CTRL + _COUNT) else 0
        return value

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset in (_INTR, _INTS0):
            self.registers[_INTR] = self.get(_INTR) & ~value
        elif offset == _ABORT:
            for channel in range(_CHANNELS):
                if value >> channel & 1:
                    self.registers[_CHANNEL * channel + _COUNT] = 0
        elif offset < _CHANNEL * _CHANNELS and offset % _CHANNEL <= _CTRL:
            super().write(offset, value & ~_BUSY)
            if offset % _CHANNEL == _CTRL and value & _EN:
                self._check(offset // _CHANNEL, value)
                self.on_armed()
        elif offset == _INTE0:
            super().write(offset, value)
        else:
            self.host.limit(f"the firmware writes to the DMA's register {offset:#05x}, which isn't modelled")
        self._drive()

    def _check(self, channel: int, control: int) -> None:
        request, chained = control >> 15 & 0x3F, control >> 11 & 0xF
        increments = {SEND: _INCR_READ, RECEIVE: _INCR_WRITE}.get(request)
        place = self.get(_CHANNEL * channel + (_WRITE if request == SEND else _READ))
        if control & (_INCR_READ | _INCR_WRITE | 0x3CC) != increments or chained != channel or place != self._data:
            self.host.limit(
                f"the firmware starts DMA channel {channel} with CTRL = {control:#x}; only bytes to and from UART0, "
                "not chained, are modelled"
            )

    def ready(self, request: int) -> tuple[int, int, int] | None:
        """Return the channel that serves a request, where in memory it goes on, and the bytes that are left."""
        for channel in range(_CHANNELS):
            base = _CHANNEL * channel
            control, left = self.get(base + _CTRL), self.get(base + _COUNT)
            if control & _EN and control >> 15 & 0x3F == request and left:
                return channel, self.get(base + (_READ if request == SEND else _WRITE)), left
        return None

    def moved(self, channel: int, request: int, count: int) -> None:
        """Note that a channel has moved so many bytes; it is complete when none is left."""
        base = _CHANNEL * channel
        place = base + (_READ if request == SEND else _WRITE)
        self.registers[place] += count
        self.registers[base + _COUNT] -= count
        if not self.registers[base + _COUNT]:
            self.registers[_INTR] = self.get(_INTR) | 1 << channel
            self._drive()

    def _drive(self) -> None:
        self.host.set_interrupt_line(_DMA_IRQ_0, high=bool(self.get(_INTR) & self.get(_INTE0)))


class Uart(Device):
    """UART0, a PL011. It keeps 32 bytes that nothing fetches; what comes then is lost and sets the overrun flag."""

    survives = RESET_SOFT

    def __init__(
        self,
        host: Host,
        base: int,
        memory: Memory,
        line: Line,
        dma: Dma,
        clock_hz: int,
        wrong: Callable[[], str | None],
    ) -> None:
        """Connect to memory and line.

        Args:
            host: the chip.
            base: the address of its registers.
            memory: where DMA reads and writes.
            line: what its pins are the end of.
            dma: whose channels serve it.
            clock_hz: what its baud rate is divided from.
            wrong: tells what is wrong with pins or clock; None if nothing is.
        """
        self._memory, self._line, self._dma, self._clock_hz, self._wrong = memory, line, dma, clock_hz, wrong
        dma.on_armed = self.pump
        super().__init__(host, base)

    def reset(self) -> None:
        """Lose what was under way."""
        super().reset()
        self._fifo = b""
        self._line.drop_outgoing()

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""
        return bool(self.get(_CR) & _UARTEN)

    def slept(self) -> None:
        """Nothing changes: nothing here counts how often it is asked."""

    def read(self, offset: int) -> int:
        """Return a register."""
        if offset in (_FR, _RSR):
            self.pump()
        if offset == _FR:
            return _TXFE | (0 if self._fifo else _RXFE)
        if offset == _DR:
            value, self._fifo = self._fifo[:1], self._fifo[1:]
            return value[0] if value else 0
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset == _RSR:
            self.registers[_RSR] = 0
        elif offset == _DR:
            if self.get(_CR) & (_UARTEN | _TXE) == _UARTEN | _TXE:
                self._line.send(bytes([value & 0xFF]))
                self._line.flush()
        else:
            super().write(offset, value)

    def written(self, offset: int, value: int) -> None:
        """Act on what was set."""
        if offset == _IMSC and value:
            self.host.limit("the firmware enables an interrupt of UART0, which isn't modelled; DMA_IRQ_0 is")
        elif offset == _LCR:  # takes the divisor over
            divisor = self.get(_IBRD) + self.get(_FBRD) / 64
            if divisor:
                self._line.board_baud = round(self._clock_hz / (16 * divisor))
        elif offset == _CR and value & _UARTEN and (text := self._wrong()) is not None:
            self.host.limit(text)
        if offset in (_CR, _DMACR):
            self.pump()

    def pump(self) -> None:
        """Let the line move: bytes from the host into RAM, bytes to the host out."""
        control, dma = self.get(_CR), self.get(_DMACR)
        if control & _UARTEN and control & _TXE and dma & _TXDMAE:
            self._send()
        self._line.flush()
        data = self._line.receive()
        if not control & _UARTEN or not control & _RXE:
            return
        data = self._fifo + data
        if data and dma & _RXDMAE:
            data = self._to_ram(data)
        room = _FIFO if self.get(_LCR) & _FEN else 1
        self._fifo = data[:room]
        if len(data) > room:
            self.registers[_RSR] = _OVERRUN

    def _send(self) -> None:
        if (ready := self._dma.ready(SEND)) is None:
            return
        channel, address, left = ready
        data = self._memory.read(address, left)
        if data is None:
            self.host.bus_fault(f"the DMA reads {left} bytes at {address:#010x}, where there is no memory")
            return
        self._line.send(data)
        self._dma.moved(channel, SEND, left)

    def _to_ram(self, data: bytes) -> bytes:
        """Move what the started channel takes; return the rest."""
        if (ready := self._dma.ready(RECEIVE)) is None:
            return data
        channel, address, left = ready
        part = data[:left]
        if not self._memory.write_ram(address, part):
            self.host.bus_fault(f"the DMA writes to {address:#010x}, where there is no RAM")
            return b""
        self.host.code_changed(address, address + len(part))
        self._dma.moved(channel, RECEIVE, len(part))
        return data[left:]
