"""What the sections of an ELF file say of an image: contents, symbols, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elftools.elf.constants import SH_FLAGS
from elftools.elf.sections import SymbolTableSection

from harness.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from elftools.elf.elffile import ELFFile

#: So much higher than the CPU's addresses are those of RAM in an ELF file for AVR, whose flash begins at 0, too.
_AVR_RAM = 0x800000


def content_of(path: Path, elf: ELFFile, name: str) -> bytes | None:
    """Return what is in a section; None if there is no such section.

    Raises:
        ImageError: it is compressed.
    """
    section = elf.get_section_by_name(name)
    if section is None:
        return None
    if section.compressed:  # a few bytes could unpack to gigabytes, and nothing of ours is compressed
        raise ImageError(f"{path}: section {name} is compressed; link it without")
    return bytes(section.data())


def _as_the_cpu_sees(elf: ELFFile, address: int) -> int:
    return address & ~_AVR_RAM if elf["e_machine"] == "EM_AVR" and address >> 16 == _AVR_RAM >> 16 else address


def symbols_of(elf: ELFFile) -> tuple[dict[str, int], tuple[tuple[int, int, str], ...]]:
    """Return the symbols' values by name, and begin, size and name of each function, by address."""
    table = elf.get_section_by_name(".symtab")
    values: dict[str, int] = {}
    functions = []
    if isinstance(table, SymbolTableSection):
        for symbol in table.iter_symbols():
            if not symbol.name or symbol.name.startswith("$"):
                continue
            if symbol["st_info"]["type"] == "STT_FUNC":
                functions.append((symbol["st_value"] & ~1, symbol["st_size"], symbol.name))
            if symbol["st_info"]["bind"] != "STB_LOCAL" or symbol.name not in values:
                values[symbol.name] = _as_the_cpu_sees(elf, symbol["st_value"])
    return values, tuple(sorted(functions))


def ram_of(elf: ELFFile) -> tuple[int | None, int, int]:
    """Return where the tensor arena is, its bytes, and those of all else in RAM but the heap, which is measured.

    That is what is writable, and what is copied to RAM before it is used. The arena is the section .arena; or
    .arena.NAME where it has a memory of its own, and then .arena is no more than what aligns it.
    """
    copied = [s for s in elf.iter_segments("PT_LOAD") if s["p_filesz"] and s["p_vaddr"] != s["p_paddr"]]
    sizes: dict[str, int] = {}
    places: dict[str, int] = {}
    for section in elf.iter_sections():
        flags, address, size = section["sh_flags"], section["sh_addr"], section["sh_size"]
        if not flags & SH_FLAGS.SHF_ALLOC or not size:
            continue
        if flags & SH_FLAGS.SHF_WRITE or any(s["p_vaddr"] <= address < s["p_vaddr"] + s["p_filesz"] for s in copied):
            sizes[section.name] = sizes.get(section.name, 0) + size
            places.setdefault(section.name, _as_the_cpu_sees(elf, address))
    sizes.pop(".heap", 0)
    arena = next((name for name in sizes if name.startswith(".arena.")), ".arena")
    arena_bytes = sizes.pop(arena, 0)
    return places.get(arena), arena_bytes, sum(sizes.values())


def toolchain_of(path: Path, elf: ELFFile) -> str:
    """Return what the compiler says of itself."""
    text = (content_of(path, elf, ".comment") or b"").split(b"\0")[0].decode(errors="replace")
    return text or "unknown"
