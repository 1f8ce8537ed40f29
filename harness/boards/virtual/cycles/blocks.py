"""What one block of code costs at zero wait states: its instructions, one after the other, and how it is left and met.

The rules are those of the Cortex-M4's manual and of what runs side by side in its pipeline; costs.yaml has the cycles
of each event with its source.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from harness.boards.virtual.cycles.costs import PARTS
from harness.boards.virtual.cycles.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.boards.virtual.cycles.costs import Costs
    from harness.boards.virtual.cycles.decode import Instruction

_BRANCHES: Final = {"branch_direct", "branch_register", "branch_table"}
_SEVERAL: Final = {
    **dict.fromkeys(("load_double", "load_multiple", "float_load", "float_load_multiple"), "load"),
    **dict.fromkeys(("store_double", "store_multiple", "float_store", "float_store_multiple"), "store"),
}
_NAMED: Final = {
    "branch_direct": "branch",
    "branch_register": "branch",
    "branch_table": "table_branch",
    "unknown": "arithmetic",
}
_COMPUTES: Final = {"arithmetic", "multiply", "divide"}


@dataclass(frozen=True)
class BlockEvents:
    """What happens in one execution of a block.

    Attributes:
        straight: how often each event of costs.yaml happens from its first instruction to its last.
        leave: the event of leaving it by a jump; None if its last instruction can't jump.
        enter: the event of meeting it by a jump; None if that costs nothing more.
    """

    straight: Counter[str]
    leave: str | None
    enter: str | None


@dataclass(frozen=True)
class BlockCost:
    """The cycles of a block.

    Attributes:
        straight: of one execution, by part, in the order of `PARTS`.
        leave: more of them when it is left by a jump.
        enter: more of them when it is met by a jump.
    """

    straight: tuple[float, ...]
    leave: float
    enter: float


def block_events(address: int, code: bytes) -> BlockEvents:
    """Return what happens in a block at an address, whose `code` is a whole number of instructions."""
    straight: Counter[str] = Counter()
    leave: str | None = None
    before: Instruction | None = None
    #: Of each instruction whether it holds the pipeline up, and whether it is 32 bits beside a word boundary.
    history: list[tuple[bool, bool]] = []
    instructions = decode(address, code)
    for one in instructions:
        events = _events(one, before)
        straight.update(events)
        leave = _way_out(one) or leave
        history.append((_holds_up(one, events), one.wide and not one.aligned))
        if len(history) > 3 and history[-4][0] and all(across for _, across in history[-3:]):
            straight["wide_after_several"] += 1
        before = one
    first = instructions[0] if instructions else None
    across = first is not None and first.wide and not first.aligned
    return BlockEvents(straight, leave, "wide_target" if across else None)


def _way_out(one: Instruction) -> str | None:
    """Return the event of an instruction's jump, if it makes one."""
    if one.kind in _BRANCHES:
        return one.kind
    if not one.to_pc:
        return None
    return "branch_loaded" if one.kind in ("load", "load_multiple") else "branch_register"


def _holds_up(one: Instruction, events: list[str]) -> bool:
    """Tell whether an instruction takes the pipeline several cycles. A store after a load waits in the buffer."""
    if one.kind in ("load", "store"):
        return "load" in events or "store_indexed" in events
    several = {"divide", "float_divide", "float_pair", "branch_table"}
    return one.kind in several or "several" in " ".join(events)


def _events(one: Instruction, before: Instruction | None) -> list[str]:
    """Return the events of an instruction after another one."""
    last = "" if before is None else before.kind
    dependent = before is not None and bool(before.writes & one.address)
    chained = (
        before is not None and last in ("load", "float_load") and before.words == 1 and not (before.to_pc or dependent)
    )
    events = _own_events(one, before, chained=chained)
    if one.kind == "load" and one.literal:
        events.append("literal")
    stored = last == "store" and one.kind in ("load", "load_multiple", "float_load")
    if stored or (last == "float_store" and one.kind in ("load", "float_load")):
        events.append("load_after_store")
    if dependent and last in _COMPUTES:
        events.append("address_dependency")
    if before is not None and before.arithmetic and before.writes & one.reads:
        events.append("float_result_used")
    return events


def _own_events(one: Instruction, before: Instruction | None, *, chained: bool) -> list[str]:
    """Return the events of an instruction itself; `chained` if it follows a load that it doesn't wait for."""
    kind = one.kind
    if kind == "load":
        across = chained and one.wide and not one.aligned
        return ["load_pipelined" if chained else "load", *["wide_load_in_chain"] * across]
    if kind == "store":
        return ["store_indexed" if one.indexed else "store"]
    if kind == "if_then":
        return ["if_then" if before is None or before.wide else "if_then_folded"]
    if way := _SEVERAL.get(kind):
        pipelined = chained and kind in ("float_load", "float_store")
        return [*[f"{way}_several"] * (not pipelined), *[f"{way}_word"] * one.words]
    return [_NAMED.get(kind, kind)]


def event_counts(rows: Iterable[tuple[int, bytes, int, int]]) -> dict[str, int]:
    """Return how often each event happened in some blocks.

    Args:
        rows: of each block its address, its code, how often it was executed, and how often of these the block in front
            of it ran into it.
    """
    found: Counter[str] = Counter()
    known = [(address, code, block_events(address, code), ran, fell) for address, code, ran, fell in rows]
    leaves = {address + len(code): events.leave for address, code, events, _, _ in known}
    for address, _, events, ran, fell in known:
        found.update({name: times * ran for name, times in events.straight.items()})
        jumps = ((events.leave, ran), (events.enter, ran - fell), (leaves.get(address), -fell))
        for name, times in jumps:
            if name is not None:
                found[name] += times
    return {name: times for name, times in found.items() if times}


@lru_cache(maxsize=1 << 15)
def block_cost(beside: int, code: bytes, costs: Costs) -> BlockCost:
    """Return the cycles of a block.

    Args:
        beside: its address modulo 4: nothing else of it matters.
        code: a whole number of instructions.
        costs: of each event.
    """
    events = block_events(beside, code)
    parts = dict.fromkeys(PARTS, 0.0)
    for name, times in events.straight.items():
        parts[costs.part[name]] += times * costs.cycles[name]
    leave, enter = (0 if name is None else costs.cycles[name] for name in (events.leave, events.enter))
    return BlockCost(tuple(parts.values()), leave, enter)
