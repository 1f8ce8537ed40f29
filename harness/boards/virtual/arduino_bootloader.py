"""The bootloader of the Arduino Nano 33 BLE, as a computer and an application see it.

It is modelled, not emulated: in flash stands a loop that sleeps, and what the bootloader would do in between is done
here. How it waits, what it answers and what it leaves behind was read in a disassembly of the one that Arduino ships,
and compared with what that one left when it ran on the virtual chip.
"""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.device import RESET_SOFT
from harness.boards.virtual.core.scs import CCR, CCR_DIV_0_TRP, CCR_STKALIGN, MPU_CTRL, VTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.machine import Machine
    from harness.boards.virtual.ports.serial_line import Line

USB_IDS = 0x2341, 0x005A
APPLICATION = 0x10000
_STUB = struct.pack("<II", 0x20008D48, 9) + bytes.fromhex("30bf fde7")  # wfi, and again
_RAM_BASE, _RAM_BYTES = 0x20000000, 0x9E14
_FLASH_BYTES, _PAGE_BYTES = 0x100000, 0x1000
_DOUBLE_TAP_WORD, _DOUBLE_TAP = 0x20007FFC, 0x07738135
_GPREGRET, _STAY = 0x4000051C, 0xB0
_TICKS_PER_S = 16e6
_WINDOW_S = 0.5  # in which a second reset makes it stay
_TOUCH_POLL_S = 0.05
_BUFFER_BYTES, _CRC_BYTES, _COMMAND_BYTES = 8192, 4096, 64
_ABOUT = {
    b"N": b"\n\r",
    b"V": b"Arduino Bootloader (SAM-BA extended) 2.0 [Arduino:IKXYZ]\n\r\0n",
    b"I": b"nRF52840-QIAA\n\r\0X",
    b"X": b"X\n\r",  # it says that it has erased, and doesn't
}
_CRC16 = 0x1021
_RTC1, _UARTE0, _GPIOTE = 0x40011000, 0x40002000, 0x40006000
_LEFT_BEHIND = (  # registers and values, in the order in which they are written
    (0x40000518, 1),  # CLOCK LFCLKSRC: the crystal
    (0x40000008, 1),  # LFCLKSTART
    (0x40000000, 1),  # HFCLKSTART, whose event stays
    (0x40000004, 1),  # HFCLKSTOP
    (0x40000578, 1),  # POWER DCDCEN
    (0x4001E540, 1),  # NVMC ICACHECNF
    (_RTC1 + 0x540, 0x3F44),
    (_RTC1 + 0x344, 0x10000),  # EVTENSET
    (_RTC1 + 0x304, 0x10000),
    (_RTC1 + 0x000, 1),
    (_GPIOTE + 0x304, 0x80000000),
    *(
        (base + offset, value)
        for base in (0x4001C000, 0x40021000, 0x40022000, 0x4002D000)  # PWM0 to PWM3
        for offset, value in ((0x508, 1000), (0x50C, 4), (0x510, 0x102), (0x500, 1))
    ),
    (0x4001C560, 13),  # PWM0's first output: the LED
    (_UARTE0 + 0x50C, 0x23),
    (_UARTE0 + 0x514, 0x2A),
    (_UARTE0 + 0x524, 0x275000),  # 9,600 baud
    (_UARTE0 + 0x500, 8),
    (_UARTE0 + 0x534, 0x20009BD4),  # a byte that comes in goes there, whatever the application has there
    (_UARTE0 + 0x538, 1),
    (_UARTE0 + 0x000, 1),  # STARTRX
    (_UARTE0 + 0x120, 1),  # ENDTX
    (_UARTE0 + 0x124, 1),  # ERROR: noise on an open pin
    (_UARTE0 + 0x150, 1),
    (_UARTE0 + 0x158, 1),
)


class ArduinoBootloader:
    """What runs after each reset, before the application; for `Bus.timed`.

    Args:
        machine: the chip, into whose flash it is written.
        line: the serial port that the computer makes of the board's USB.
        on_port: called with whether the bootloader's port is there, when it appears and when it vanishes.
        touched: tells whether a program has opened the application's port at 1200 baud.
        touch: tells the application so.

    Attributes:
        stays: whether it waits for commands.
        serial: the serial number that it reports: that of the application, behind 16 zeros.
    """

    stays = False

    def __init__(
        self,
        machine: Machine,
        line: Line,
        on_port: Callable[[bool], None],
        touched: Callable[[], bool],
        touch: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._line = line
        self._on_port = on_port
        self._touched = touched
        self._touch = touch
        self._boot = 0  # the boot of the chip that was seen last
        self._until: float | None = None  # when it starts the application
        self._look_at = 0.0  # when to see next whether the application's port was touched
        self._command = bytearray()
        self._buffer = bytearray(_BUFFER_BYTES)
        self._source = 0
        self._room: tuple[int, int] | None = None  # where in the buffer data goes, and how many bytes are yet to come
        self.serial = "0" * 16 + "".join(f"{machine.memory.read_word(at) or 0:08X}" for at in (0x100000A8, 0x100000A4))
        machine.memory.flash[: len(_STUB)] = np.frombuffer(_STUB, np.uint8)
        machine.bus.timed.append(self)
        machine.reset(0)

    @property
    def _runs(self) -> bool:
        """Whether the CPU sleeps in the bootloader, rather than being held by a debugger or in the application."""
        return self._machine.sleeping and self._machine.cpu.read("pc") < APPLICATION

    def deadline(self) -> float | None:
        """Return when to look again, in ticks of 16 MHz; never while the CPU runs."""
        if not self._machine.sleeping or self.stays:
            return None
        return self._until if self._runs else self._look_at

    def advance(self) -> None:
        """Do what is due by now, on the CPU's thread."""
        machine = self._machine
        if machine.boots != self._boot:
            self._boot, self._until = machine.boots, None
            if self.stays:
                self.stays = False
                self._on_port(False)  # noqa: FBT003 - the only argument
        if not self._runs:
            if machine.ticks() >= self._look_at:
                self._look_at = machine.ticks() + _TOUCH_POLL_S * _TICKS_PER_S
                if self._touched():
                    self._touch()
        elif self.stays:
            self._serve()
        elif self._until is None:
            self._begin()
        elif machine.ticks() >= self._until:
            self._end_window()

    def _begin(self) -> None:
        """Use RAM as it does, which leaves the word alone that tells a second reset, and open the window for that."""
        memory = self._machine.memory
        tapped = memory.read_word(_DOUBLE_TAP_WORD) == _DOUBLE_TAP
        memory.write_ram(_RAM_BASE, random.Random(0).randbytes(_RAM_BYTES))  # noqa: S311 - always the same, as it is
        self._machine.code_changed(_RAM_BASE, _RAM_BASE + _RAM_BYTES)
        if tapped:
            self._stay()
        else:
            memory.write_ram(_DOUBLE_TAP_WORD, struct.pack("<I", _DOUBLE_TAP))
            self._until = self._machine.ticks() + _WINDOW_S * _TICKS_PER_S

    def _end_window(self) -> None:
        memory = self._machine.memory
        memory.write_ram(_DOUBLE_TAP_WORD, bytes(4))
        vectors = memory.read(APPLICATION, 8) or b""
        stack, entry = struct.unpack("<II", vectors)
        wanted = self._machine.bus.read(_GPREGRET, 4) == _STAY
        if wanted or 0xFFFFFFFF in (stack, entry):
            self._stay()
        else:
            self._start_application(stack, entry)

    def _start_application(self, stack: int, entry: int) -> None:
        machine = self._machine
        for address, value in _LEFT_BEHIND:
            machine.bus.write(address, value)
        machine.scs.write(CCR, CCR_STKALIGN | CCR_DIV_0_TRP)
        machine.scs.write(VTOR, APPLICATION)
        machine.scs.registers[MPU_CTRL] = 5  # on, with RAM that may not be executed; what it refuses isn't modelled
        for name, value in (("control", 0), ("primask", 0), ("psp", 0x20008CF8), ("msp", stack), ("sp", stack)):
            machine.cpu.write(name, value)
        machine.cpu.branch(entry)
        machine.pc_written()

    def _stay(self) -> None:
        self._machine.memory.write_ram(_DOUBLE_TAP_WORD, bytes(4))
        self._machine.bus.write(_GPREGRET, 0)
        self._command.clear()
        self._source, self._room = 0, None
        self.stays = True
        self._on_port(True)  # noqa: FBT003 - the only argument

    # ------------------------------------------------------------------ the SAM-BA dialect

    def _serve(self) -> None:
        data = self._line.receive()
        while data:
            if self._room is not None:
                at, left = self._room
                piece = data[:left]
                self._buffer[at : at + len(piece)] = piece
                data = data[len(piece) :]
                self._room = (at + len(piece), left - len(piece)) if left > len(piece) else None
            else:
                self._command += data[:1]
                data = data[1:]
                if self._command[-1:] == b"#":
                    self._obey(bytes(self._command[:_COMMAND_BYTES]))
                    self._command.clear()
        self._line.flush()

    def _obey(self, command: bytes) -> None:
        """Do what a command says; what isn't one is ignored, and so is what would read memory."""
        name = command[:1]
        first, second = (_hex(command[begin:]) for begin in (1, 10))
        if name in _ABOUT:
            self._line.send(_ABOUT[name])
        elif name == b"S":
            if first + second > _BUFFER_BYTES:
                self._machine.misuse(f"the bootloader is sent {second} bytes at {first} of its {_BUFFER_BYTES}")
            self._room = (first, second) if second else None
        elif name == b"Y":
            if second:
                self._program(first + APPLICATION & 0xFFFFFFFF, second)
            else:
                self._source = first
            self._line.send(b"Y\n\r")
        elif name == b"Z":
            if second > _CRC_BYTES:
                self._machine.misuse(f"the bootloader is asked for the CRC of {second} bytes; it has room for 4,096")
            content = self._machine.memory.read(first + APPLICATION & 0xFFFFFFFF, second) or bytes(second)
            self._line.send(b"Z%08X#\n\r" % crc16(content))
        elif name == b"K":
            self._machine.request_reset(RESET_SOFT)
            self._machine.sleeping = False

    def _program(self, address: int, size: int) -> None:
        """Erase and write flash. It doesn't erase less than whole pages, and doesn't say so: bits are only cleared."""
        if address + size > _FLASH_BYTES:
            return
        content = self._machine.memory.flash[address : address + size]
        if address % _PAGE_BYTES == 0 and size % _PAGE_BYTES == 0:
            content[:] = 0xFF
        content &= np.frombuffer(self._buffer, np.uint8)[self._source : self._source + size]
        self._machine.code_changed(address, address + size)


def _hex(text: bytes) -> int:
    """Return the number at the beginning of a text, as strtoul does; 0 if there is none."""
    digits = text[: next((at for at, byte in enumerate(text) if byte not in b"0123456789abcdefABCDEF"), len(text))]
    return int(digits or b"0", 16)


def crc16(data: bytes) -> int:
    """Return the CRC of the polynomial 0x1021, from 0, highest bit first."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (_CRC16 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc
