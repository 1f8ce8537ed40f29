"""Chips as data: what an emulated chip is made of, apart from the code of its family."""

from __future__ import annotations

from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from harness.config.board import Region
from harness.config.document import Model, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The cores that can be emulated, as Arm calls them.
CORE_TITLES = MappingProxyType({"cortex-m4": "Cortex-M4", "cortex-m0plus": "Cortex-M0+", "cortex-m7": "Cortex-M7"})

#: Chips that simavr emulates, a program of others: nothing of them is data here.
SIMAVR_CHIPS = ("atmega328p",)

_Word = Annotated[int, Field(ge=0, lt=2**32)]


class Bank(Region):
    """A memory, and where else the CPU finds the same bytes."""

    aliases: tuple[_Word, ...] = ()


class Flash(Bank):
    """The flash, and how many bytes of it are erased at once."""

    page: Annotated[int, Field(gt=0)]


class Words(Model):
    """Words that stand one behind the other, the first of them at an address or offset."""

    at: _Word
    are: Annotated[tuple[_Word, ...], Field(min_length=1)]


class Page(Region):
    """Memory that firmware only reads or executes, and the words in it that aren't erased, by their offsets."""

    executable: bool = False
    words: tuple[Words, ...] = ()


class RomTable(Model):
    """What the core's ROM table tells of the chip: the JEP106 code of its maker (continuation, 7 bits) and its part."""

    designer: Annotated[int, Field(ge=0, lt=0x1000)]
    part: Annotated[int, Field(ge=0, lt=0x1000)]
    revision: Annotated[int, Field(ge=0, lt=16)] = 0


class Cache(Model):
    """A cache in front of flash. `ways` lines may hold the same address; None: every line any."""

    bytes: Annotated[int, Field(gt=0)]
    line_bytes: Annotated[int, Field(gt=0)]
    ways: Annotated[int, Field(gt=0)] | None = None


class FlashTiming(Region):
    """How the chip reads its flash, for estimates of cycles.

    `clock_hz` is the clock of the core that they hold at. `read_bytes` is what one read gives. An instruction read
    that misses the cache, or every one where there is none, takes `instruction_wait` cycles more than one that
    doesn't; a data read `data_wait`. `source` says where these figures are from, and `validated` the range of the
    estimates' error on this memory, in percent, where published measurements tell; None where none do.
    """

    clock_hz: Annotated[int, Field(gt=0)]
    read_bytes: Annotated[int, Field(gt=0)]
    instruction_wait: Annotated[int, Field(ge=0)]
    data_wait: Annotated[int, Field(ge=0)]
    instruction_cache: Cache | None = None
    data_cache: Cache | None = None
    source: Annotated[str, Field(min_length=1)]
    validated: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _fits(self) -> FlashTiming:
        for each in (self.instruction_cache, self.data_cache):
            if each is None:
                continue
            lines, ways = each.bytes // each.line_bytes, each.ways or 1
            if each.bytes % each.line_bytes or each.line_bytes % self.read_bytes or lines % ways:
                raise ValueError("a cache is a whole number of lines, in whole sets, and a line one of reads of flash")
        return self


class CycleCosts(Model):
    """What events of boards/virtual/cycles/costs.yaml cost on this chip, in cycles, where that differs.

    `source` says which board told, and how.
    """

    source: Annotated[str, Field(min_length=1)]
    cycles: dict[str, Annotated[float, Field(ge=0, le=64)]]


class Calibrated(Model):
    """What `hil calibrate --keep` writes: keys of a chip's file."""

    cycle_costs: CycleCosts
    flash_timing: FlashTiming | None = None


class ChipData(Model):
    """A chip, as harness/boards/chips/NAME.yaml has it.

    `family` names the code for what is no data: flash controller, serial line, clocks.
    `cpu` is the core that is emulated, `cpuid` what its CPUID says.
    `interrupts` are the lines of the NVIC, `fpu_interrupt` is the one of FP exceptions, if there is an FPU; a priority
    has `priority_bits`.
    `ram` has the bank of stack and variables first.
    `information` are pages that firmware only reads, `identity` is where they tell one chip from another, if they do.
    `vectors` is where a reset looks for the vector table.
    `dpidr` and `ap_idr` are what debug port and memory access port say they are, `targetid` what selects it
    among several on the same wires.
    `rom_table` is how the chip names itself to a debugger.
    `words` are further words of the private peripheral bus that can only be read, by their addresses.
    `absent` are pages of peripherals that others of the family have there.
    `flash_timing` is how the chip reads flash, for estimates of cycles; None if nothing is known of it. `cycle_costs`
    are its own costs for the same; None for those of the core.
    """

    family: Literal["nrf52", "stm32l4", "stm32l4plus", "stm32h7", "rp2040"]
    cpu: Literal["cortex-m4", "cortex-m0plus", "cortex-m7"]
    cpuid: _Word
    interrupts: Annotated[int, Field(gt=0, le=240)]
    priority_bits: Annotated[int, Field(ge=2, le=8)]
    fpu_interrupt: Annotated[int, Field(ge=0)] | None = None
    flash: Flash
    ram: Annotated[tuple[Bank, ...], Field(min_length=1)]
    information: tuple[Page, ...] = ()
    identity: Region | None = None
    vectors: _Word
    dpidr: _Word
    targetid: _Word | None = None
    ap_idr: _Word
    rom_table: RomTable
    words: tuple[Words, ...] = ()
    absent: tuple[_Word, ...] = ()
    flash_timing: FlashTiming | None = None
    cycle_costs: CycleCosts | None = None

    @property
    def emulated_core(self) -> str:
        """What core is emulated, in words, with what a reader of its figures has to know is missing."""
        return CORE_TITLES[self.cpu] + (" without its caches" if self.cpu == "cortex-m7" else "")


@cache
def shipped_chips() -> Mapping[str, ChipData]:
    """Return the chips that can be emulated, by name: what `twin` of a kind may be."""
    chips = {}
    with resources.as_file(resources.files("harness.boards") / "chips") as folder:
        for path in sorted(folder.glob("*.yaml")):
            document = read_document(path)
            chips[path.stem] = document.build(ChipData, document.data, ())
    return MappingProxyType(chips)


def load_flash_timing(path: Path) -> FlashTiming:
    """Read how a chip reads its flash from a YAML file of its own.

    Raises:
        ConfigError: the file can't be read, or a key is unknown, missing or wrong.
    """
    document = read_document(path)
    return document.build(FlashTiming, document.data, ())


def load_calibrated(path: Path) -> Calibrated:
    """Read what a calibration kept.

    Raises:
        ConfigError: the file can't be read, or a key is unknown, missing or wrong.
    """
    document = read_document(path)
    return document.build(Calibrated, document.data, ())
