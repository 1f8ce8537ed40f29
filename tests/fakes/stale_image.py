"""An image that differs from another one in its weights only: same build id, same vectors, same card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile

if TYPE_CHECKING:
    from pathlib import Path


def zero_weights(source: Path, target: Path, name: str = "weights") -> Path:
    """Write `source` with its constants called `name` and a number zeroed, and return `target`."""
    content = bytearray(source.read_bytes())
    with source.open("rb") as file:
        elf = ELFFile(file)
        constants = elf.get_section_by_name(".rodata")
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.removeprefix(name).isdigit():
                start = constants["sh_offset"] + symbol["st_value"] - constants["sh_addr"]
                content[start : start + symbol["st_size"]] = bytes(symbol["st_size"])
    assert content != source.read_bytes()
    target.write_bytes(content)
    return target
