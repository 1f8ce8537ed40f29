"""USART and DMA of the STM32L4, as far as a serial line needs them (reference manual RM0351, USART and DMA)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.boards.virtual.chips.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line

_CR1, _CR3, _BRR, _ISR, _ICR, _RDR, _TDR = 0x00, 0x08, 0x0C, 0x1C, 0x20, 0x24, 0x28
_UE, _RE, _TE, _FIFOEN, _INTERRUPTS = 1 << 0, 1 << 2, 1 << 3, 1 << 29, 0xC00001F0
_DMAR, _DMAT = 1 << 6, 1 << 7
_ORE, _RXNE, _TC_TXE, _ACKNOWLEDGED = 1 << 3, 1 << 5, 3 << 6, 3 << 21
_DMA_ISR, _IFCR, _FIRST, _CHANNEL, _CHANNELS, _CSELR = 0x00, 0x04, 0x08, 20, 7, 0xA8
_CCR, _CNDTR, _CPAR, _CMAR = 0, 4, 8, 12
_EN, _TCIE, _DIR, _MINC, _BYTES = 1 << 0, 1 << 1, 1 << 4, 1 << 7, 0xF00  # the last: PSIZE and MSIZE, 0 for bytes
_FIRST_IRQ = 11
SEND, RECEIVE = 4, 5  # DMA1's channels of the serial line


@dataclass(frozen=True)
class SerialPort:
    """One of the chip's USARTs.

    Attributes:
        name: what the manual calls it.
        base: the address of its registers.
        clock: the register of RCC, and the bit in it, that give it its clock.
        function: the alternate function of its pins.
        requests: the numbers of its requests to DMA, by channel.
        baud_factor: BRR is the clock times this, divided by the baud rate.
        fifo_bytes: how many bytes wait for reception if FIFOEN is set.
    """

    name: str
    base: int
    clock: tuple[int, int]
    function: int
    requests: dict[int, int]
    baud_factor: int = 1
    fifo_bytes: int = 1


USART1 = SerialPort("USART1", 0x40013800, (0x60, 14), 7, {SEND: 2, RECEIVE: 2})


class Channels(Protocol):
    """The DMA that serves a serial port, by the channels `SEND` and `RECEIVE`.

    Attributes:
        on_armed: called when a channel was enabled.
    """

    on_armed: Callable[[], None]

    def ready(self, channel: int, register: int) -> tuple[int, int] | None:
        """Return where in memory a channel that serves a peripheral's register goes on, and the bytes that are left."""

    def moved(self, channel: int, count: int) -> None:
        """Note that a channel has moved so many bytes; it is complete when none is left."""


class Dma(Device):
    """DMA1. Its channels are moved by the peripherals that they serve.

    Attributes:
        on_armed: called when a channel was enabled.
    """

    def __init__(self, host: Host, base: int, port: SerialPort) -> None:
        self._port = port
        self.on_armed: Callable[[], None] = lambda: None
        super().__init__(host, base)

    def reset(self) -> None:
        """Stop every channel."""
        super().reset()
        self._flags = 0
        self._done = dict.fromkeys(range(1, _CHANNELS + 1), 0)  # bytes moved since the channel was enabled
        self._drive()

    def _of(self, channel: int, register: int) -> int:
        return self.get(_FIRST + _CHANNEL * (channel - 1) + register)

    def read(self, offset: int) -> int:
        """Return a register. Looking at the flags lets the line move first, so that polling works."""
        if offset != _DMA_ISR:
            return super().read(offset)
        self.on_armed()
        return self._flags

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset == _IFCR:
            for channel in range(_CHANNELS):
                nibble = value >> 4 * channel & 0xF
                self._flags &= ~((0xF if nibble & 1 else nibble) << 4 * channel)
            self._drive()
            return
        super().write(offset, value)
        place = offset - _FIRST
        if 0 <= place < _CHANNEL * _CHANNELS and place % _CHANNEL == _CCR:
            self._drive()
            if value & _EN:
                channel = place // _CHANNEL + 1
                self._done[channel] = 0
                self._check(channel, value)
                self.on_armed()

    def request(self, channel: int) -> int:
        """Return the number of the request that moves a channel."""
        return self.get(_CSELR) >> 4 * (channel - 1) & 0xF

    def _check(self, channel: int, control: int) -> None:
        served = self._port.requests.get(channel) == self.request(channel)
        bytes_forward = control & _MINC and not control & _BYTES and bool(control & _DIR) == (channel == SEND)
        if not served or not bytes_forward:
            self.host.limit(
                f"the firmware enables DMA1 channel {channel} with CCR = {control:#x} and request "
                f"{self.request(channel)}; only channels 4 and 5 moving bytes of {self._port.name} are modelled"
            )

    def ready(self, channel: int, register: int) -> tuple[int, int] | None:
        """Return where in memory a channel that serves a peripheral's register goes on, and the bytes that are left."""
        left = self._of(channel, _CNDTR) & 0xFFFF
        if not self._of(channel, _CCR) & _EN or not left or self._of(channel, _CPAR) != register:
            return None
        return self._of(channel, _CMAR) + self._done[channel], left

    def moved(self, channel: int, count: int) -> None:
        """Note that a channel has moved so many bytes; it is complete when none is left."""
        place = _FIRST + _CHANNEL * (channel - 1) + _CNDTR
        self._done[channel] += count
        self.registers[place] = self.registers[place] - count & 0xFFFF
        if not self.registers[place]:
            self._flags |= 3 << 4 * (channel - 1)  # TCIF and GIF
            self._drive()

    def _drive(self) -> None:
        for channel in range(1, _CHANNELS + 1):
            high = self._of(channel, _CCR) & _TCIE and self._flags >> 4 * (channel - 1) & 2
            self.host.set_interrupt_line(_FIRST_IRQ + channel - 1, high=bool(high))


class Usart(Device):
    """A USART: a byte waits in RDR, or some in its FIFO, and what comes while there is no room is lost and sets ORE."""

    def __init__(
        self,
        host: Host,
        port: SerialPort,
        memory: Memory,
        line: Line,
        dma: Channels,
        clock_hz: int,
        connected: Callable[[], str | None],
    ) -> None:
        """Connect to memory and line.

        Args:
            host: the chip.
            port: which of the chip's it is.
            memory: where DMA reads and writes.
            line: what its pins are the end of.
            dma: whose channels serve it.
            clock_hz: what its baud rate is divided from.
            connected: tells what is wrong with the pins; None if nothing is.
        """
        self._port, self._memory, self._line, self._dma = port, memory, line, dma
        self._clock_hz, self._connected = clock_hz, connected
        dma.on_armed = self.pump
        super().__init__(host, port.base)

    def reset(self) -> None:
        """Lose what was under way."""
        super().reset()
        self._received = b""
        self._overrun = False
        self._line.drop_outgoing()

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""
        return bool(self.get(_CR1) & _UE)

    def slept(self) -> None:
        """Nothing changes: nothing here counts how often it is asked."""

    def read(self, offset: int) -> int:
        """Return a register."""
        if offset == _ISR:
            self.pump()
            flags = _TC_TXE | (_ACKNOWLEDGED if self.enabled else 0) | (_ORE if self._overrun else 0)
            return flags | (_RXNE if self._received else 0)
        if offset == _RDR:
            value, self._received = self._received[:1], self._received[1:]
            return value[0] if value else 0
        return super().read(offset)

    def written(self, offset: int, value: int) -> None:
        """Act on what was set."""
        if offset == _TDR and self.get(_CR1) & (_UE | _TE) == _UE | _TE:
            self._line.send(bytes([value & 0xFF]))
            self._line.flush()
        elif offset == _ICR and value & _ORE:
            self._overrun = False
        elif offset == _BRR and value:
            self._line.board_baud = round(self._clock_hz * self._port.baud_factor / value)
        elif offset == _CR1:
            self._switched(value)
        elif offset == _CR3:
            self.pump()

    def _switched(self, control: int) -> None:
        if control & _INTERRUPTS:
            self.host.limit(f"the firmware enables an interrupt of {self._port.name}, which isn't modelled; DMA1's are")
        if control & _UE:
            wrong = self._connected()
            if wrong is not None:
                self.host.limit(wrong)
            self.pump()
        else:
            self._received = b""

    def pump(self) -> None:
        """Let the line move: bytes from the host into RAM, bytes to the host out."""
        control, dma = self.get(_CR1), self.get(_CR3)
        if control & _UE and control & _TE and dma & _DMAT:
            self._send()
        self._line.flush()
        data = self._line.receive()
        if not control & _UE or not control & _RE:
            return
        data = self._received + data
        if data and dma & _DMAR:
            data = self._to_ram(data)
        room = self._port.fifo_bytes if control & _FIFOEN else 1
        self._received = data[:room]
        self._overrun = self._overrun or len(data) > room

    def _send(self) -> None:
        ready = self._dma.ready(SEND, self.base + _TDR)
        if ready is None:
            return
        address, left = ready
        data = self._memory.read(address, left)
        if data is None:
            self.host.bus_fault(f"DMA1 reads {left} bytes at {address:#010x}, where there is no memory")
            return
        self._line.send(data)
        self._dma.moved(SEND, left)

    def _to_ram(self, data: bytes) -> bytes:
        """Move what the armed channel takes; return the rest."""
        ready = self._dma.ready(RECEIVE, self.base + _RDR)
        if ready is None:
            return data
        address, left = ready
        part = data[:left]
        if not self._memory.write_ram(address, part):
            self.host.bus_fault(f"DMA1 writes to {address:#010x}, where there is no RAM")
            return b""
        self.host.code_changed(address, address + len(part))
        self._dma.moved(RECEIVE, len(part))
        return data[left:]
