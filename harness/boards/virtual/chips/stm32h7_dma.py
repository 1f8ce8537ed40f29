"""DMA1 and DMAMUX1 of the STM32H7, as far as a serial line needs them (reference manual RM0433, DMA and DMAMUX)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import Device
from harness.boards.virtual.chips.stm32l4_usart import RECEIVE, SEND

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.stm32l4_usart import SerialPort

_LISR, _LIFCR, _FIRST, _STREAM, _STREAMS = 0x00, 0x08, 0x10, 0x18, 8
_CR, _NDTR, _PAR, _M0AR, _FCR = 0x00, 0x04, 0x08, 0x0C, 0x14
_EN, _TCIE, _FROM_MEMORY, _MINC, _DMDIS = 1 << 0, 1 << 4, 1 << 6, 1 << 10, 1 << 2
_DIRECTION, _BUFFERED = 3 << 6, 1 << 20
#: PFCTRL, CIRC, PINC, the sizes, PINCOS, DBM, CT, bursts: only bytes one by one, once, are modelled.
_MORE = 1 << 5 | 7 << 8 & ~_MINC | 0xF << 11 | 1 << 15 | 3 << 18 | 0xF << 21
_TCIF, _PLACES = 1 << 5, (0, 6, 16, 22)  # of a stream's six flags; where they are in a register for four of them
_IRQS = (11, 12, 13, 14, 15, 16, 17, 47)


class Dma(Device):
    """DMA1, which DMAMUX1 connects to what asks for transfers. The peripherals that they serve move its streams.

    Attributes:
        on_armed: called when a stream was enabled.
    """

    def __init__(
        self,
        host: Host,
        base: int,
        requests: Device,
        port: SerialPort,
        reaches: Callable[[int, int], str | None],
    ) -> None:
        """Make it idle.

        Args:
            host: the chip.
            base: the address of its registers.
            requests: DMAMUX1.
            port: the serial port that it serves.
            reaches: says what is wrong with an address and a length in memory; None if nothing is.
        """
        self._requests, self._port, self._reaches = requests, port, reaches
        self.on_armed: Callable[[], None] = lambda: None
        super().__init__(host, base)

    def reset(self) -> None:
        """Stop every stream."""
        super().reset()
        self._flags = [0] * _STREAMS
        self._done = [0] * _STREAMS  # bytes moved since the stream was enabled
        self._drive()

    def _of(self, stream: int, register: int) -> int:
        return self.get(_FIRST + _STREAM * stream + register)

    def read(self, offset: int) -> int:
        """Return a register. Looking at the flags lets the line move first, so that polling works."""
        if offset >= _LIFCR:
            return super().read(offset)
        self.on_armed()
        first = offset - _LISR  # LISR has streams 0 to 3, HISR 4 to 7
        return sum(self._flags[first + n] << place for n, place in enumerate(_PLACES))

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset < _LIFCR:
            return
        if offset < _FIRST:
            for n, place in enumerate(_PLACES):
                self._flags[offset - _LIFCR + n] &= ~(value >> place & 0x3F)
            self._drive()
            return
        stream, register = divmod(offset - _FIRST, _STREAM)
        if register == _CR:
            self._switch(stream, self._of(stream, _CR), value)
        else:
            super().write(offset, value)

    def _switch(self, stream: int, before: int, value: int) -> None:
        self.registers[_FIRST + _STREAM * stream + _CR] = value
        if before & ~value & _EN:
            self._flags[stream] |= _TCIF  # a stream that is switched off ends like one that is complete
        elif value & ~before & _EN:
            if self._flags[stream]:
                self.host.misuse(f"the firmware enables DMA1 stream {stream} while flags of its last transfer are set")
            self._done[stream] = 0
            self._check(stream, value)
            self.on_armed()
        self._drive()

    def _check(self, stream: int, control: int) -> None:
        request = self._requests.get(4 * stream) & 0x7F
        served = self._port.requests[SEND if control & _FROM_MEMORY else RECEIVE]
        forward = control & _MINC and not control & _MORE and not self._of(stream, _FCR) & _DMDIS
        if not forward or control & _DIRECTION not in (0, _FROM_MEMORY) or request != served:
            self.host.limit(
                f"the firmware enables DMA1 stream {stream} with CR = {control:#x} for request {request}; only bytes "
                f"of {self._port.name}, without the FIFO, are modelled"
            )
        elif not control & _BUFFERED:
            self.host.misuse(
                f"DMA1 stream {stream} serves {self._port.name} without CR.TRBUFF: on the chip it may then stand still"
            )
        wrong = self._reaches(self._of(stream, _M0AR), self._of(stream, _NDTR) & 0xFFFF)
        if wrong is not None:
            self.host.misuse(wrong)

    def _stream(self, channel: int, register: int | None = None) -> int | None:
        """Return the stream that is on for the serial port's `SEND` or `RECEIVE`, and for a register of it."""
        for stream in range(_STREAMS):
            is_on = self._of(stream, _CR) & _EN and self._of(stream, _NDTR) & 0xFFFF
            serves = self._requests.get(4 * stream) & 0x7F == self._port.requests[channel]
            if is_on and serves and register in (None, self._of(stream, _PAR)):
                return stream
        return None

    def ready(self, channel: int, register: int) -> tuple[int, int] | None:
        """Return where in memory the stream of a register goes on, and the bytes that are left; None: none does."""
        stream = self._stream(channel, register)
        if stream is None:
            return None
        return self._of(stream, _M0AR) + self._done[stream], self._of(stream, _NDTR) & 0xFFFF

    def moved(self, channel: int, count: int) -> None:
        """Note that the stream has moved so many bytes; it is complete when none is left."""
        stream = self._stream(channel)
        if stream is None:
            return
        place = _FIRST + _STREAM * stream
        self._done[stream] += count
        self.registers[place + _NDTR] = (self._of(stream, _NDTR) - count) & 0xFFFF
        if not self.registers[place + _NDTR]:
            self._flags[stream] |= _TCIF
            self.registers[place + _CR] &= ~_EN  # as the hardware does at the end
            self._drive()

    def _drive(self) -> None:
        for stream, irq in enumerate(_IRQS):
            high = self._of(stream, _CR) & _TCIE and self._flags[stream] & _TCIF
            self.host.set_interrupt_line(irq, high=bool(high))
