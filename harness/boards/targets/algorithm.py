"""A flash algorithm of this package's own, in the form that pyOCD takes: built by firmware/flash into an ELF."""

from __future__ import annotations

import io
import struct
from importlib import resources
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

#: Behind the code: the stack, two pages, so that one is sent while the other is programmed, and pyOCD's CRC.
_STACK_BYTES = 0x400
_ENTRIES = {
    "pc_init": "flash_init",
    "pc_unInit": "flash_uninit",
    "pc_eraseAll": "flash_erase_all",
    "pc_erase_sector": "flash_erase_sector",
    "pc_program_page": "flash_program_page",
}


def load_algorithm(name: str, page_bytes: int) -> dict[str, Any]:
    """Return the flash algorithm in harness/boards/targets/NAME.elf.

    Args:
        name: of the file.
        page_bytes: how much is programmed at once.
    """
    content = (resources.files("harness.boards.targets") / f"{name}.elf").read_bytes()
    elf = ELFFile(io.BytesIO(content))
    loaded = elf.get_segment(0)
    code, begin = loaded.data(), loaded["p_vaddr"]
    tables = (section for section in elf.iter_sections() if isinstance(section, SymbolTableSection))
    symbols = {symbol.name: symbol["st_value"] for table in tables for symbol in table.iter_symbols()}
    stack = begin + -(-(len(code) + _STACK_BYTES) // 8) * 8
    return {
        "load_address": begin,
        "instructions": list(struct.unpack(f"<{len(code) // 4}I", code)),
        **{entry: symbols[symbol] for entry, symbol in _ENTRIES.items()},
        "static_base": 0,
        "begin_stack": stack,
        "end_stack": stack - _STACK_BYTES,
        "page_buffers": [stack, stack + page_bytes],
        "min_program_length": 8,
        "analyzer_supported": True,
        "analyzer_address": stack + 2 * page_bytes,
    }
