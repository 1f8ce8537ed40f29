"""The memories of a chip: flash, RAM, and pages of information."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from harness.config.chip import Bank, ChipData

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, eq=False)
class Region:
    """A memory: where the CPU sees it, and what it may do there without asking the flash controller."""

    base: int
    content: Bytes
    executable: bool = False
    writable: bool = False

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.base + len(self.content)


class Memory:
    """Contents of all memories, as the bus and the debugger see them.

    Attributes:
        flash: what the flash holds.
        ram: what the first bank of RAM holds, which has stack and variables.
        banks: all of the RAM.
        information: the pages that firmware only reads, by their addresses.
        regions: all of these, each where it is once.
        code_regions: where code runs, with the other addresses of flash and RAM.
    """

    def __init__(self, chip: ChipData, identity: bytes) -> None:
        """Make a part as it leaves the factory: erased, its identity where the chip has it."""
        self._aliases: list[tuple[int, int, int]] = []  # begin, end, how far above the memory itself
        flash = self._region(chip.flash, 0xFF, executable=True)
        self.banks = tuple(self._region(bank, 0, executable=True, writable=True) for bank in chip.ram)
        pages = [Region(page.start, np.full(page.size, 0xFF, np.uint8), page.executable) for page in chip.information]
        self.flash, self.ram = flash.content, self.banks[0].content
        self.information = {page.base: page.content for page in pages}
        self.regions = (flash, *self.banks, *pages)
        also = [
            Region(begin, found[0])
            for begin, _, _ in self._aliases
            if (found := self.find(self.data_address(begin), 1)) is not None
        ]
        self.code_regions = (flash, *self.banks, *also, *(page for page in pages if page.executable))
        for page in chip.information:
            for words in page.words:
                self.put(page.start + words.at, struct.pack(f"<{len(words.are)}I", *words.are))
        if chip.identity is not None:
            self.put(chip.identity.start, identity)

    def _region(self, bank: Bank, fill: int, *, executable: bool, writable: bool = False) -> Region:
        self._aliases += [(alias, alias + bank.size, alias - bank.start) for alias in bank.aliases]
        return Region(bank.start, np.full(bank.size, fill, np.uint8), executable, writable)

    def data_address(self, address: int) -> int:
        """Return where the memory that is seen at `address` itself is, which may be an alias."""
        for begin, end, above in self._aliases:
            if begin <= address < end:
                return address - above
        return address

    def spans(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return [begin, end), and where else the CPU sees the same bytes."""
        also = [(first, last, above) for first, last, above in self._aliases if first <= begin + above < last]
        return [(begin, end), *((begin + above, end + above) for _, _, above in also)]

    def find(self, address: int, size: int) -> tuple[Bytes, int] | None:
        """Return the memory that holds all of [address, address + size) and the offset in it, or None."""
        address = self.data_address(address)
        for region in self.regions:
            if region.base <= address and address + size <= region.end:
                return region.content, address - region.base
        return None

    def read(self, address: int, size: int) -> bytes | None:
        """Return `size` bytes of memory, or None where there is none."""
        found = self.find(address, size)
        return found[0][found[1] : found[1] + size].tobytes() if found else None

    def read_word(self, address: int) -> int | None:
        """Return the word at `address`, or None where there is no memory."""
        data = self.read(address, 4)
        return None if data is None else int.from_bytes(data, "little")

    def in_ram(self, address: int, size: int) -> bool:
        """Tell whether all of [address, address + size) is one bank of RAM."""
        return self._bank(address, size) is not None

    def _bank(self, address: int, size: int) -> Region | None:
        for bank in self.banks:
            if address >= bank.base and address + size <= bank.end:
                return bank
        return None

    def write_ram(self, address: int, data: bytes) -> bool:
        """Write to RAM; False, and nothing written, if that isn't all RAM."""
        bank = self._bank(address, len(data))
        if bank is None:
            return False
        offset = address - bank.base
        bank.content[offset : offset + len(data)] = np.frombuffer(data, np.uint8)
        return True

    def put(self, address: int, data: bytes) -> None:
        """Change a memory from outside, whatever it is; the caller says which code that changes.

        Raises:
            ValueError: there is no memory.
        """
        found = self.find(address, len(data))
        if found is None:
            raise ValueError(f"there is no memory at {address:#010x}")
        content, offset = found
        content[offset : offset + len(data)] = np.frombuffer(data, np.uint8)
