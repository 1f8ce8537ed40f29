"""Names of registers, for messages only: looked up in the chip description that pyOCD brings along."""

from __future__ import annotations

import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.boards.virtual.chips.nrf52840 import Page

# Peripherals that share registers are chosen by ENABLE.
_ENABLED_BY = {"SPI": 1, "SPIS": 2, "TWI": 5, "TWIM": 6, "SPIM": 7, "TWIS": 9, "UART": 4, "UARTE": 8}
_ENABLED_BY |= {"CCM": 2, "AAR": 3, "COMP": 2, "LPCOMP": 1}


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


def register_name(page: Page, offset: int, enable: int) -> str:
    """Return "TWI0.EVENTS_STOPPED" for a register, or "TWI0+0x6f0" where it has no name.

    Args:
        page: the peripheral that has the register.
        offset: from the page's first byte.
        enable: what the page's ENABLE register holds, which tells shared peripherals apart.
    """
    try:
        known = _names().get(page.base + offset, {})
    except (OSError, KeyError, ImportError):  # another pyOCD may keep its description elsewhere
        known = {}
    chosen = [name for name in page.names if _ENABLED_BY.get(name.rstrip("0123456789")) == enable] or list(page.names)
    named = [f"{name}.{known[name]}" for name in chosen if name in known]
    named = named or [f"{name}.{register}" for name, register in known.items()]
    return " or ".join(named) or f"{chosen[0]}+{offset:#05x}"
