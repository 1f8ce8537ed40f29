"""The record of why the firmware stopped, and its description in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Crash:
    """A fault of the firmware, or something that the virtual board can't do.

    Attributes:
        kind: "bus fault", "usage fault NOCP", ..., "hard fault", "lockup", or "emulator limit".
        text: what happened, in one sentence.
        pc: address of the instruction that did it.
        registers: r0 to r12, sp, lr, pc, xpsr, and the fault status registers.
        address: the data address concerned, if there is one.
    """

    kind: str
    text: str
    pc: int
    registers: Mapping[str, int] = field(default_factory=dict)
    address: int | None = None


def nearest_symbol(symbols: Mapping[str, int] | Iterable[tuple[str, int]], address: int) -> str | None:
    """Return "name+0x1a" for the last symbol at or before `address`, or None if there is none.

    Args:
        symbols: addresses by name; bit 0 of a function's address is ignored.
        address: where the processor was.
    """
    pairs = symbols.items() if hasattr(symbols, "items") else symbols
    best: tuple[int, str] | None = None
    for name, value in pairs:
        start = value & ~1
        if name and start <= address and (best is None or start > best[0]):
            best = (start, name)
    if best is None or address - best[0] > 0x100000:
        return None
    return best[1] if address == best[0] else f"{best[1]}+{address - best[0]:#x}"


def describe(crash: Crash, symbols: Mapping[str, int] | Iterable[tuple[str, int]] = ()) -> str:
    """Say in a few lines why the firmware stopped and where.

    Args:
        crash: what the board recorded.
        symbols: the image's symbols, for names instead of bare addresses.
    """
    table = dict(symbols)

    def where(address: int) -> str:
        name = nearest_symbol(table, address)
        return f"{address:#010x} ({name})" if name else f"{address:#010x}"

    lines = [f"{crash.kind} at {where(crash.pc)}: {crash.text}"]
    lr = crash.registers.get("lr")
    if lr is not None and lr < 0xF0000000:
        lines.append(f"called from {where(lr & ~1)}")
    items = [f"{name}={value:08x}" for name, value in crash.registers.items()]
    lines.extend("  " + " ".join(items[start : start + 6]) for start in range(0, len(items), 6))
    return "\n".join(lines)
