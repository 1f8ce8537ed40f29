"""The registers of a peripheral as a table: which there are, of what kind, what they hold after reset, and their names.

A table is written as text, its items separated by blanks: `kind:offsets`, or `kind:offsets=reset value`, all in
hexadecimal. Offsets are single ones, `500-50C` for consecutive words, or `510-580/10` for every sixteenth byte.
Kinds: `t` a task that starts something, `s` one that stops it, `e` an event, `w` a register that can be read and
written, `r` one that can only be read, `o` one that can only be written. `x` marks a register of these whose writing
starts something, with the bits that do as value; without a value, any write does.

Names, which only messages need, are looked up in the chip description that pyOCD brings along.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Peripherals that share registers are chosen by ENABLE.
_ENABLED_BY = {"SPI": 1, "SPIS": 2, "TWI": 5, "TWIM": 6, "SPIM": 7, "TWIS": 9, "UART": 4, "UARTE": 8}
_ENABLED_BY |= {"CCM": 2, "AAR": 3, "COMP": 2, "LPCOMP": 1}


@dataclass(frozen=True)
class Layout:
    """Which registers a page of peripherals has. Offsets are from the page's first byte.

    Attributes:
        tasks: those that start something.
        stops: tasks that end something, or change nothing that is visible.
        events: registers that say that something happened.
        resets: reset value of each plain register that can be read.
        writable: plain registers that can be written.
        starters: plain registers whose writing starts something: the bits that do, or 0 for any write.
    """

    tasks: frozenset[int]
    stops: frozenset[int]
    events: frozenset[int]
    resets: dict[int, int]
    writable: frozenset[int]
    starters: dict[int, int]

    def __contains__(self, offset: int) -> bool:
        """Tell whether there is a register at `offset`."""
        known = (self.tasks, self.stops, self.events, self.resets, self.writable)
        return any(offset in registers for registers in known)


def _offsets(text: str) -> Iterator[int]:
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1, int(step or "4", 16))


@cache
def parse_layout(*tables: str) -> Layout:
    """Return the registers of peripherals that share a page; where several have one, the first one counts."""
    kinds: dict[str, dict[int, int]] = {kind: {} for kind in "tsewrox"}
    for table in tables:
        for item in table.split():
            kind, _, rest = item.partition(":")
            offsets, _, value = rest.partition("=")
            for offset in _offsets(offsets):
                kinds[kind].setdefault(offset, int(value or "0", 16))
    return Layout(
        tasks=frozenset(kinds["t"]),
        stops=frozenset(kinds["s"]),
        events=frozenset(kinds["e"]),
        resets=kinds["r"] | kinds["w"],
        writable=frozenset(kinds["w"]) | frozenset(kinds["o"]),
        starters=kinds["x"],
    )


@dataclass(frozen=True)
class DescribedRegister:
    """A register of Nordic's description of the chip (SVD), with its absolute address."""

    address: int
    peripheral: str
    name: str
    access: str
    reset: int


def _expanded(node: ET.Element, base: int, prefix: str, access: str) -> Iterator[tuple[int, str, str, int]]:
    """Yield (offset, name, access, reset value) of every register in `node`, clusters and arrays included."""
    for child in node:
        if child.tag not in ("register", "cluster"):
            continue
        own_access = child.findtext("access", access)
        for index in range(int(child.findtext("dim", "1"), 0)):
            name = prefix + child.findtext("name", "").replace("%s", str(index))
            offset = base + int(child.findtext("addressOffset", "0"), 0)
            offset += index * int(child.findtext("dimIncrement", "0"), 0)
            if child.tag == "cluster":
                yield from _expanded(child, offset, name + ".", own_access)
            else:
                yield offset, name, own_access, int(child.findtext("resetValue", "0"), 0)


def described_registers() -> Iterator[DescribedRegister]:
    """Yield every register of the nRF52840. Takes about 0.3 s."""
    archive = resources.files("pyocd").joinpath("debug/svd/svd_data.zip")
    with archive.open("rb") as file, zipfile.ZipFile(file) as members:
        root = ET.fromstring(members.read("nrf52840.svd"))  # noqa: S314 - a file of an installed package
    peripherals = {node.findtext("name", ""): node for node in root.iterfind("peripherals/peripheral")}
    for peripheral, node in peripherals.items():
        registers = peripherals[node.get("derivedFrom", peripheral)].find("registers")
        base = int(node.findtext("baseAddress", "0"), 0)
        if registers is not None:
            for offset, name, access, reset in _expanded(registers, base, "", "read-write"):
                yield DescribedRegister(offset, peripheral, name, access, reset)


@cache
def _names() -> dict[int, dict[str, str]]:
    """Return {address: {peripheral: register}}."""
    names: dict[int, dict[str, str]] = {}
    for register in described_registers():
        names.setdefault(register.address, {})[register.peripheral] = register.name
    return names


def register_name(base: int, peripherals: tuple[str, ...], offset: int, enable: int) -> str:
    """Return "TWI0.EVENTS_STOPPED" for a register, or "TWI0+0x6f0" where it has no name.

    Args:
        base: address of the page.
        peripherals: those that share it.
        offset: of the register, from the page's first byte.
        enable: what the page's ENABLE register holds, which tells them apart.
    """
    try:
        known = _names().get(base + offset, {})
    except (OSError, KeyError, ImportError):  # another pyOCD may keep its description elsewhere
        known = {}
    chosen = [name for name in peripherals if _ENABLED_BY.get(name.rstrip("0123456789")) == enable] or peripherals
    named = [f"{name}.{known[name]}" for name in chosen if name in known]
    named = named or [f"{name}.{register}" for name, register in known.items()]
    return " or ".join(named) or f"{chosen[0]}+{offset:#05x}"
