"""pyOCD sessions on the virtual board, and the small images that exercise it."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import serial
from elftools.elf.elffile import ELFFile
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.flash.loader import MemoryLoader

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.link.client import Link

PAIR_INPUT = 784
FIRMWARE = Path(__file__).parent / "firmware"
OPTIONS = {
    "hide_programming_progress": True,
    "reset.post_delay": 0.0,
    "auto_unlock": False,
    "vector_catch": "",
    "target_override": "nrf52840",
}


@dataclass(frozen=True)
class Firmware:
    segments: list[tuple[int, bytes]]
    symbols: dict[str, int]

    @property
    def base(self):
        return self.segments[0][0]


def load(name):
    with (FIRMWARE / f"{name}.elf").open("rb") as file:
        elf = ELFFile(file)
        segments = [
            (segment["p_paddr"], segment.data())
            for segment in elf.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        ]
        symbols = {
            symbol.name: symbol["st_value"]
            for symbol in elf.get_section_by_name(".symtab").iter_symbols()
            if symbol.name and not symbol.name.startswith("$")
        }
    return Firmware(segments, symbols)


@contextmanager
def session(twin, **options):
    (probe,) = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=twin.probe_uid)
    opened = Session(probe, options=OPTIONS | options)
    description = opened.target._svd_location  # of the registers, which takes longer to read than most tests
    opened.target._svd_location = None
    with contextlib.closing(description.filename), contextlib.closing(description.filename._fileobj._file), opened:
        yield opened


def flash(opened, firmware):
    loader = MemoryLoader(opened, chip_erase="sector")
    for address, data in firmware.segments:
        loader.add_data(address, data)
    loader.commit()


def start(opened, firmware):
    """Start an image from its own vector table, whatever is at 0."""
    target = opened.target
    target.reset_and_halt()
    sp, pc = struct.unpack("<II", firmware.segments[0][1][:8])
    target.write_core_register("sp", sp)
    target.write_core_register("pc", pc)
    target.write32(0xE000ED08, firmware.base)
    target.resume()


def wait_until(condition, timeout=60.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def is_asleep(machine):
    """Whether the CPU's thread waits for the line, rather than being about to."""
    return machine.sleeping and machine._busy


class Lab:
    """Talks to lab.elf."""

    def __init__(self, twin, **options):
        self.twin = twin
        self.port = serial.serial_for_url(twin.port, baudrate=1_000_000, timeout=60, **options)

    def read(self, count):
        data = self.port.read(count)
        assert len(data) == count, f"{len(data)} of {count} bytes; {self.story()}"
        return data

    def story(self):
        return str(self.twin.crash)

    def command(self, op, arg=0, payload=b""):
        self.port.write(struct.pack("<cBHI", op, 0, len(payload), arg))
        if payload:
            assert self.read(1) == b"C"
            self.port.write(payload)

    def echo(self, data):
        self.command(b"E", payload=data)
        return self.read(len(data))

    def words(self, op, count, arg=0):
        self.command(op, arg)
        return struct.unpack(f"<{count}I", self.read(4 * count))

    def close(self):
        self.port.close()


@contextmanager
def running_lab(name="lab", **board):
    firmware = load(name)
    with VirtualNrf52840("nano33", **board) as twin:
        with session(twin) as opened:
            flash(opened, firmware)
            start(opened, firmware)
        wait_until(lambda: twin.machine.sleeping)
        lab = Lab(twin)
        try:
            yield lab
        finally:
            lab.close()


@contextmanager
def halted_counts(name="counts", **board):
    """An image, started and halted: `call` runs one of its functions."""
    firmware = load(name)
    with VirtualNrf52840("nano33", **board) as twin, session(twin) as opened:
        flash(opened, firmware)
        start(opened, firmware)
        wait_until(lambda: twin.machine.sleeping)
        opened.target.halt()
        yield Caller(twin, opened.target, firmware.symbols)


@dataclass(frozen=True)
class Caller:
    twin: VirtualNrf52840
    target: object
    symbols: dict[str, int]

    def prepare(self, name, **registers):
        for register, value in registers.items():
            self.target.write_core_register(register, value)
        self.target.write_core_register("sp", self.symbols["stack_top"])
        self.target.write_core_register("xpsr", 0x01000000)
        self.target.write_core_register("pc", self.symbols[name] & ~1)

    def word(self, name, index=0):
        return struct.unpack("<I", self.twin.machine.memory.read(self.symbols[name] + 4 * index, 4))[0]

    def restart(self):
        """Reset, and halt once the image has set itself up."""
        self.target.reset()
        wait_until(lambda: self.twin.machine.sleeping)
        self.target.halt()

    def wait(self):
        wait_until(lambda: self.twin.machine.halted or self.twin.crash)

    def call(self, name, **registers):
        """Run a function up to its BKPT and return the instructions that took."""
        self.prepare(name, **registers)
        before = self.twin.instructions()
        self.target.resume()
        self.wait()
        assert self.twin.crash is None
        return self.twin.instructions() - before


@contextmanager
def running(device, image, faults=()):
    with open_board(device, "virtual", faults) as board:
        link = Link(board.link(), board.name)
        start_image(board, image, link)
        yield board, link


def conversation(link):
    """Everything that a board can be asked, over lengths around those of packets."""
    draw = random.Random(4)
    echoes = [draw.randbytes(size) for size in (1, 44, 45, 60, 63, 64, 65, 108, 128, 600, PAIR_INPUT)]
    assert [link.echo(data) for data in echoes] == echoes
    inputs = [np.array([draw.randrange(-9000, 9000) for _ in range(8)], "<i2").tobytes() + bytes(4) for _ in range(4)]
    inputs = [data[:16] + np.float32(draw.uniform(-2, 2)).tobytes() for data in inputs]
    ran = [link.infer(inputs[0], count) for count in (1, 2, 15, 16, 17, 32, 128)]
    return [*ran, *link.infer_each(inputs)]
