"""USBD: the full-speed USB device of the nRF52840, as strict as silicon is unforgiving.

What goes unnoticed until packets are lost on a real board stops the board here, as misuse: another access while DMA
runs, a second packet before the first was fetched, SIZE.EPOUT written twice, anything before READY, DMA from flash,
a forgotten workaround (anomalies 171, 187, 199 and 211), a pull-up without crystal oscillator or regulator. Sources:
the chapter USBD of the product specification, Nordic's errata, and what drivers of others ran into. Isochronous
endpoints, other shorts than the one from data to status, and low power aren't modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.peripheral import ENABLE, INTEN, SHORTS, Peripheral
from harness.boards.virtual.usb.tokens import PACKET, Handshake
from harness.boards.virtual.usb.workarounds import Workarounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.chips.nrf52840 import Page
    from harness.boards.virtual.chips.peripherals import ClockPower

_ENDPOINTS = 8
_STARTEPIN, _STARTEPOUT = range(0x004, 0x024, 4), range(0x028, 0x048, 4)
_EP0RCVOUT, _EP0STATUS, _EP0STALL = 0x04C, 0x050, 0x054
_USBRESET, _STARTED, _ENDEPIN, _EP0DATADONE, _ENDEPOUT = 0x100, 0x104, 0x108, 0x128, 0x130
_USBEVENT, _EP0SETUP, _EPDATA = 0x158, 0x15C, 0x160
_EVENTCAUSE, _HALTED_IN, _HALTED_OUT, _EPSTATUS, _EPDATASTATUS = 0x400, 0x420, 0x444, 0x468, 0x46C
_USBADDR, _SETUP, _SIZE, _PULLUP, _DTOGGLE = 0x470, 0x480, 0x4A0, 0x504, 0x50C
_EPINEN, _EPOUTEN, _EPSTALL, _LOWPOWER, _EPIN, _EPOUT = 0x510, 0x514, 0x518, 0x52C, 0x600, 0x700
_DMA_WORKAROUND = 0xC1C  # undocumented; the workaround of anomaly 199
_SUSPEND, _RESUME, _READY = 1 << 8, 1 << 9, 1 << 11  # of EVENTCAUSE
_STATUS_AFTER_DATA = 1 << 2  # of SHORTS: EP0DATADONE to EP0STATUS
_SET_ADDRESS = bytes((0x00, 0x05))
_ENABLE_TICKS, _DMA_TICKS, _BYTES_PER_TICK = 20, 1, 32
# What may be touched at any time: events, interrupts, what tells that the USBD is ready, and the workaround.
_HARMLESS = {*range(0x100, 0x164, 4), INTEN, INTEN + 4, INTEN + 8, _EVENTCAUSE, _DMA_WORKAROUND}


class Usbd(Peripheral):
    """The USB device at 0x40027000. What the host at the other end of the cable does to it has methods of its own.

    Attributes:
        resets: how often the chip was reset, so that the host sees a device that was away for less than it looks.
        pump: lets the host send what is due; None without one.
    """

    tasks = (*_STARTEPIN, *_STARTEPOUT, _EP0RCVOUT, _EP0STATUS, _EP0STALL)
    events = (
        *(_USBRESET, _STARTED, *range(_ENDEPIN, _ENDEPIN + 32, 4), _EP0DATADONE),
        *(*range(_ENDEPOUT, _ENDEPOUT + 32, 4), 0x154, _USBEVENT, _EP0SETUP, _EPDATA),
    )
    flags = (_EVENTCAUSE, _EPSTATUS, _EPDATASTATUS)
    resets = 0
    pump: Callable[[], None] | None = None

    def __init__(self, host: Host, page: Page, memory: Memory, clock: ClockPower, workarounds: Workarounds) -> None:
        self._memory = memory
        self._clock = clock
        self._workarounds = workarounds
        super().__init__(host, page)

    def reset(self) -> None:
        """Leave the bus, as any reset of the chip does."""
        super().reset()
        self.resets += 1
        self._ready = False
        self._ready_at: float | None = None
        self._dma: tuple[int, int, float] | None = None  # END event, endpoint, and when it ends
        self._halted: set[int] = set()  # endpoints, 0x80 for IN
        self._forget()

    def _forget(self) -> None:
        self._in: dict[int, bytes] = {}  # what waits for the host
        self._out: dict[int, bytes] = {}  # what waits for DMA
        self._armed: set[int] = set()  # OUT endpoints whose SIZE was written
        self._stage = ""  # of the control transfer: in, out, none; address is the hardware's
        self._stalled = self._may_end = self._takes_data = False

    def _wrong(self, text: str) -> None:
        self.host.misuse(f"USB: {text}")

    def read(self, offset: int) -> int:
        """Return a register; an event is looked at with what is due by now."""
        self.advance()
        if offset in self.event:
            if not self.event[offset] and self.pump is not None:
                self.pump()
        else:
            self._check_access(offset, "reads")
        for halted, way in ((_HALTED_IN, 0x80), (_HALTED_OUT, 0)):
            if halted <= offset < halted + 4 * _ENDPOINTS:
                return int((offset - halted) // 4 | way in self._halted)
        if _SIZE <= offset < _SIZE + 4 * _ENDPOINTS:
            return len(self._out.get((offset - _SIZE) // 4, b""))
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register, or start a task."""
        self.advance()
        self._check_access(offset, "writes")
        if offset == _DMA_WORKAROUND:
            self.registers[offset] = value
        super().write(offset, value)

    def _check_access(self, offset: int, does: str) -> None:
        if offset in _HARMLESS:
            return
        if self._dma is not None:
            self._wrong(f"the firmware {does} {self.name(offset)} while DMA runs ({self.name(self._dma[0])} not come)")
        elif not self._ready and offset != ENABLE:
            self._wrong(f"the firmware {does} {self.name(offset)} before EVENTCAUSE.READY")

    def written(self, offset: int, value: int) -> None:
        if offset == ENABLE:
            self._enable(value)
        elif offset == _PULLUP and value:
            if not self._clock.crystal_runs or not self._clock.vbus:
                self._wrong("USBPULLUP is set, but the crystal oscillator or the USB regulator isn't ready")
            if self._workarounds.get(Workarounds.wake_up):
                self._wrong("USBPULLUP is set, but the workaround of anomaly 171 was not ended after READY")
        elif _SIZE <= offset < _SIZE + 4 * _ENDPOINTS:
            self._arm_out((offset - _SIZE) // 4)
        elif offset == _EPOUTEN:
            self._armed = {n for n in self._armed if value >> n & 1}
        elif offset == _EPSTALL:
            (self._halted.add if value & 0x100 else self._halted.discard)(value & 0x87)
        elif offset == SHORTS and value & ~_STATUS_AFTER_DATA:
            self.host.limit(f"the firmware sets USBD.SHORTS to {value:#x}; only EP0DATADONE to EP0STATUS is modelled")
        elif offset == _LOWPOWER and value:
            self.host.limit("the firmware puts the USBD into low power, which isn't modelled")

    def _enable(self, value: int) -> None:
        if not value:
            if self._ready:
                self.host.limit("the firmware disables the USBD, which isn't modelled")
            return
        if not self._clock.vbus:
            self._wrong("ENABLE is set without a USB supply")
        if self._workarounds.get(Workarounds.wake_up) != 0xC0 or self._workarounds.get(Workarounds.speed) != 3:
            self._wrong("ENABLE is set without the workarounds of anomalies 171 and 187/211")
        if self.get(_EVENTCAUSE) & _READY:
            self._wrong("ENABLE is set while EVENTCAUSE.READY of before was not cleared")
        self._ready_at = self.host.ticks() + _ENABLE_TICKS
        if self.deadline() is not None:
            self.host.attention()

    def _arm_out(self, endpoint: int) -> None:
        if endpoint in self._armed:
            self._wrong(f"SIZE.EPOUT[{endpoint}] is written twice: a packet that has come meanwhile would be lost")
        elif not self.get(_EPOUTEN) >> endpoint & 1:
            self._wrong(f"SIZE.EPOUT[{endpoint}] is written before the endpoint is enabled")
        self._armed.add(endpoint)

    def task(self, offset: int) -> None:
        if not self._ready:
            self._wrong(f"{self.name(offset)} is started before EVENTCAUSE.READY")
        elif offset in _STARTEPIN:
            self._start_in((offset - _STARTEPIN.start) // 4)
        elif offset in _STARTEPOUT:
            self._start_out((offset - _STARTEPOUT.start) // 4)
        elif not self._stage or self._stage == "address":
            self._wrong(f"{self.name(offset)} without a control transfer; SET_ADDRESS is answered by the hardware")
        elif offset == _EP0STALL:
            self._stalled = True
        elif offset == _EP0STATUS:
            self._may_end = True
        elif self._stage != "out" or self._takes_data:
            self._wrong("EP0RCVOUT twice, or without a data stage from the host")
        else:
            self._takes_data = True

    def _start_in(self, endpoint: int) -> None:
        if not self.get(_EPINEN) >> endpoint & 1:
            self._wrong(f"STARTEPIN[{endpoint}], but the endpoint isn't enabled")
        elif endpoint in self._in:
            self._wrong(f"STARTEPIN[{endpoint}] before the host has fetched the packet before")
        elif endpoint == 0 and self._stage != "in":
            self._wrong("STARTEPIN[0] without a data stage to the host")
        elif (place := self._place(_EPIN, endpoint)) is not None:
            self._in[endpoint] = self._memory.read(*place) or b""
            self._begin(_ENDEPIN, _EPIN, endpoint, place[1])

    def _start_out(self, endpoint: int) -> None:
        data = self._out.get(endpoint)
        if data is None:
            self._wrong(f"STARTEPOUT[{endpoint}], but no packet has come")
        elif (place := self._place(_EPOUT, endpoint)) is not None:
            if place[1] < len(data):
                self._wrong(f"STARTEPOUT[{endpoint}] with MAXCNT {place[1]}, but the packet has {len(data)} bytes")
            elif data:
                self._memory.write_ram(place[0], data)
                self.host.code_changed(place[0], place[0] + len(data))
            self._begin(_ENDEPOUT, _EPOUT, endpoint, len(data))

    def _place(self, block: int, endpoint: int) -> tuple[int, int] | None:
        address, size = self.get(block + 0x14 * endpoint), self.get(block + 0x14 * endpoint + 4)
        if not self._memory.in_ram(address, size):
            self._wrong(f"the DMA pointer {address:#010x} with {size} bytes leaves RAM")
        elif size > PACKET:
            self._wrong(f"MAXCNT is {size}; a packet has at most {PACKET} bytes")
        elif self.get(_DMA_WORKAROUND) != 0x82:
            self._wrong("DMA is started without the workaround of anomaly 199")
        else:
            return address, size
        return None

    def _begin(self, end: int, block: int, endpoint: int, size: int) -> None:
        self.registers[block + 0x14 * endpoint + 8] = size
        self._dma = end + 4 * endpoint, endpoint, self.host.ticks() + _DMA_TICKS + size / _BYTES_PER_TICK
        self.raise_events(_STARTED)
        if self.deadline() is not None:
            self.host.attention()

    def deadline(self) -> float | None:
        """Return when something ends that firmware may sleep for; what it polls for is looked at when it does."""
        if self._dma is not None:
            return self._dma[2] if self._wakes(self._dma[0]) else None
        return self._ready_at if self._wakes(_USBEVENT) else None

    def _wakes(self, event: int) -> bool:
        return bool(self.inten >> (event - 0x100) // 4 & 1 or event in self.routed)

    def advance(self) -> None:
        """End what takes a while."""
        now = self.host.ticks()
        if self._dma is not None and now >= self._dma[2]:
            (end, endpoint, _), self._dma = self._dma, None
            if end >= _ENDEPOUT:
                self._out.pop(endpoint, None)
            self._set(_EPSTATUS, 1 << endpoint + (16 if end >= _ENDEPOUT else 0))
            self.raise_events(end)
        if self._ready_at is not None and now >= self._ready_at:
            self._ready_at, self._ready = None, True
            self._set(_EVENTCAUSE, _READY)
            self.raise_events(_USBEVENT)

    def _set(self, offset: int, bits: int) -> None:
        self.registers[offset] = self.get(offset) | bits

    # ------------------------------------------------------------------ what the host does

    @property
    def attached(self) -> bool:
        """Whether the host sees a device."""
        return self._ready and bool(self.get(_PULLUP) & 1) and self._clock.vbus

    @property
    def busy(self) -> bool:
        """Whether DMA runs; the host's next token comes later than it ends."""
        return self._dma is not None

    def bus_reset(self) -> None:
        """Drive the bus to reset: the device has no address and no configuration any more."""
        self._forget()
        self._halted.clear()
        self.registers[_USBADDR] = self.registers[_EPDATASTATUS] = 0
        self.raise_events(_USBRESET)

    def suspend(self, *, entered: bool) -> None:
        """Let the bus be idle for longer than 3 ms, or go on again."""
        self._set(_EVENTCAUSE, _SUSPEND if entered else _RESUME)
        self.raise_events(_USBEVENT)

    def setup(self, request: bytes) -> None:
        """Begin a control transfer by its eight bytes; one that was under way is over."""
        self._in.pop(0, None)
        self._out.pop(0, None)
        self._stalled = self._takes_data = False
        self._may_end = request[:2] == _SET_ADDRESS
        to_host, length = request[0] & 0x80, int.from_bytes(request[6:8], "little")
        self._stage = "address" if self._may_end else ("in" if to_host else "out") if length else "none"
        if self._may_end:
            self.registers[_USBADDR] = request[2]
        self.registers.update({_SETUP + 4 * n: byte for n, byte in enumerate(request)})
        self.raise_events(_EP0SETUP)

    def token_in(self, endpoint: int) -> bytes | Handshake:
        """Ask an endpoint for a packet."""
        if self._stalled if endpoint == 0 else endpoint | 0x80 in self._halted:
            return Handshake.STALL
        if endpoint == 0 and self._stage != "in":
            return self._end_status(b"")
        if endpoint not in self._in:
            return Handshake.NAK
        data = self._in.pop(endpoint)
        if endpoint:
            self._set(_EPDATASTATUS, 1 << endpoint)
            self.raise_events(_EPDATA)
        else:
            self._may_end = bool(self.get(SHORTS) & _STATUS_AFTER_DATA)
            self.raise_events(_EP0DATADONE)
        return data

    def token_out(self, endpoint: int, data: bytes) -> bytes | Handshake:
        """Send a packet to an endpoint."""
        if self._stalled if endpoint == 0 else endpoint in self._halted:
            return Handshake.STALL
        if endpoint == 0 and self._stage == "in":
            return self._end_status(Handshake.ACK)
        ready = self._takes_data if endpoint == 0 else endpoint in self._armed and endpoint not in self._out
        if not ready:
            return Handshake.NAK
        self._out[endpoint] = data
        if endpoint:
            self._set(_EPDATASTATUS, 1 << 16 + endpoint)
            self.raise_events(_EPDATA)
        else:
            self._takes_data = False
            self.raise_events(_EP0DATADONE)
        return Handshake.ACK

    def _end_status(self, done: bytes | Handshake) -> bytes | Handshake:
        if not self._may_end:
            return Handshake.NAK
        self._may_end, self._stage = False, ""
        return done
