"""Kinds of boards: what a device is, apart from which one it is."""

from __future__ import annotations

from functools import cache, reduce
from importlib import resources
from operator import xor
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.config.access import PortFlasher  # noqa: TC001 (pydantic needs it)
from harness.config.document import Document, Model, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names that can stand on a command line, in a test's id and in a file name.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]


class Region(Model):
    """A range of addresses, in bytes."""

    start: Annotated[int, Field(ge=0, lt=2**32)]
    size: Annotated[int, Field(gt=0, le=2**32)]

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.start + self.size

    def contains(self, address: int, size: int = 1) -> bool:
        """Tell whether all `size` bytes from `address` on are in the region."""
        return self.start <= address and address + size <= self.end


class Ram(Region):
    """A memory that firmware may write, and what the chip's manual calls it."""

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9 _-]*$", max_length=32)] = "RAM"


class Part(Model):
    """A word of memory that tells which chip it is, by those of its bits that `mask` has."""

    address: Annotated[int, Field(ge=0, lt=2**32)]
    value: Annotated[int, Field(ge=0, lt=2**32)]
    mask: Annotated[int, Field(gt=0, lt=2**32)] = 0xFFFFFFFF


#: A pin as its chip's maker calls it: P1.03 of Nordic, PB6 of ST, GP2 of Raspberry Pi.
Pin = Annotated[str, Field(pattern=r"^(P([01]\.[0-3]\d|[A-K]\d{1,2})|GP[0-2]?\d)$")]


def pin_number(pin: str) -> int:
    """Return a pin as chips number it: with Nordic port x 32 + pin, with ST port x 16 + pin; else its number."""
    if pin.startswith("GP"):
        return int(pin[2:])
    if "." in pin:
        port, number = pin[1:].split(".")
        return 32 * int(port) + int(number)
    return 16 * (ord(pin[1]) - ord("A")) + int(pin[2:])


def fold_chip_id(content: bytes) -> int:
    """Return 64 bits of a chip's identity, as the agent does: the exclusive or of all 8 bytes, little-endian."""
    pieces = (content[at : at + 8] for at in range(0, len(content), 8))
    return reduce(xor, (int.from_bytes(piece, "little") for piece in pieces), 0)


class SerialPins(Model):
    """The chip's pins of a board's serial line."""

    tx: Pin
    rx: Pin


class Build(Model):
    """How firmware is built for a kind: what only the board knows. Its sources are in firmware/boards/NAME.

    `cpu` are the compiler's options for the CPU, `linker_script` is a file beside the sources, `shared` are folders
    beside NAME with sources that boards have in common, in the order in which they are linked. `further_scripts` are
    tried one after the other where an image doesn't fit; `ram_script` places code and constants in RAM, None if
    firmware for the kind can't run from there. `cross` is what the names of the compiler's programs begin with.
    `kernels` is a folder of firmware/engine with plain C kernels for the CPU, which are all that it has; None: those
    of firmware/engine.
    """

    cpu: Annotated[tuple[str, ...], Field(min_length=1)]
    linker_script: Annotated[str, Field(min_length=1)]
    further_scripts: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    ram_script: Annotated[str, Field(min_length=1)] | None = None
    shared: tuple[Name, ...] = ()
    cross: Annotated[str, Field(min_length=1)] = "arm-none-eabi-"
    kernels: Name | None = None


class KindEntry(Model):
    """A kind as it stands under `boards:` or in a file of its own."""

    title: str
    mcu: str
    pyocd_target: str = ""
    clock_hz: Annotated[int, Field(gt=0)]
    flash: Region
    ram: Ram
    more_ram: tuple[Ram, ...] = ()
    baud: Annotated[int, Field(gt=0)] = 1_000_000
    twin: str | None = None
    part: Part | None = None
    chip_id: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    chip_id_bytes: Literal[8, 12] = 8
    serial: SerialPins | None = None
    sync_pin: Pin | None = None
    usb: bool = True
    flash_whole: bool = False
    port_flasher: PortFlasher | None = None
    build: Build | None = None

    @property
    def memories(self) -> tuple[Ram, ...]:
        """Every RAM that firmware may use."""
        return (self.ram, *self.more_ram)

    @property
    def ram_bytes(self) -> int:
        """How large they are together."""
        return sum(ram.size for ram in self.memories)

    def ram_name(self, address: int | None) -> str | None:
        """Return the name of the RAM that has an address; None if none has."""
        ram = None if address is None else self.memory_at(address)
        return None if ram is None else ram.name

    def code_memory(self, address: int | None) -> str | None:
        """Return what the memory with code at an address is called: flash, or the name of a RAM; None if neither."""
        return "flash" if address is not None and self.flash.contains(address) else self.ram_name(address)

    def memory_at(self, address: int, size: int = 1) -> Ram | None:
        """Return the RAM that has all `size` bytes from `address` on; None if none has."""
        return next((ram for ram in self.memories if ram.contains(address, size)), None)


class BoardKind(KindEntry):
    """A kind of board: its MCU, memory map, clock and serial speed.

    `pyocd_target` is what pyOCD calls the chip; empty if it doesn't know it, as none of those without an Arm core.
    `flash` is the part that an application may use: a bootloader below it is never touched.
    `ram` is the one that firmware has its variables in, `more_ram` are others that it uses, too.
    `twin` names the emulated chip of the virtual backend (harness/boards/chips); None if there is none.
    `part` is how the chip is told from others; None if that can't be read.
    `chip_id` is the address of the bytes, `chip_id_bytes` of them, that tell one chip from another and that the agent
    reports (`fold_chip_id`); None if the chip has none.
    `serial` and `sync_pin` are the pins that its firmware uses, for the virtual board; None: those of the Nano 33.
    `usb` tells whether its firmware has a serial port on the chip's own USB, for `link: usb`.
    `flash_whole` has the probe write what is in flash already, too: pyOCD's algorithm for the chip erases more than it
    is asked to.
    `port_flasher` is what writes its flash through its port, without a probe; None if nothing known does.
    `build` is how `hil build` makes firmware for it; None if it can't.
    """

    name: Name


def build_kind(document: Document, name: str, where: tuple[str, ...] = (), over: BoardKind | None = None) -> BoardKind:
    """Read the kind that stands at `where`; what `over` already says need not be repeated.

    Raises:
        ConfigError: a key is unknown, missing or wrong.
    """
    given: object = document.data
    for part in where:
        given = given[part] if isinstance(given, dict) else None
    if over is not None and isinstance(given, dict):
        given = {**over.model_dump(exclude={"name"}), **given}
    entry = document.build(KindEntry, given, where)
    return document.build(BoardKind, {**entry.model_dump(), "name": name}, where)


@cache
def shipped_kinds() -> Mapping[str, BoardKind]:
    """Return the kinds that come with the package, by name."""
    kinds = {}
    with resources.as_file(resources.files("harness.boards") / "kinds") as folder:
        for path in sorted(folder.glob("*.yaml")):
            kinds[path.stem] = build_kind(read_document(path), path.stem)
    return MappingProxyType(kinds)
