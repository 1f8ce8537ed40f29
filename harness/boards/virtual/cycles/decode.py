"""Reads Thumb-2 code as far as an estimate of cycles needs: kinds of instructions, and which registers they pass on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import capstone
from capstone import arm as _arm

_LOADS = {"ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrt", "ldrex", "ldrexb", "ldrexh"}
_STORES = {"str", "strb", "strh", "strt"}
_STACK = {"push", "pop", "vpush", "vpop"}
_FLOAT_ARITHMETIC = ("vadd", "vsub", "vmul", "vnm", "vml", "vfm", "vfn", "vdiv", "vsqrt", "vcvt", "vabs", "vneg")
_CONDITIONS = {"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"}
_KINDS = {
    **dict.fromkeys(_LOADS, "load"),
    **dict.fromkeys(_STORES, "store"),
    **dict.fromkeys(("b", "bl", "cbz", "cbnz"), "branch_direct"),
    **dict.fromkeys(("bx", "blx"), "branch_register"),
    **dict.fromkeys(("tbb", "tbh"), "branch_table"),
    **dict.fromkeys(("sdiv", "udiv"), "divide"),
    "ldrd": "load_double",
    "strd": "store_double",
    "vldr": "float_load",
    "vstr": "float_store",
    "pop": "load_multiple",
    "push": "store_multiple",
    "vpop": "float_load_multiple",
    "vpush": "float_store_multiple",
    "vdiv": "float_divide",
    "vsqrt": "float_divide",
    "it": "if_then",
}
#: Kinds of names that begin like these, of which the first that fits is taken.
_BEGINNINGS = {
    "ldm": "load_multiple",
    "stm": "store_multiple",
    "vldm": "float_load_multiple",
    "vstm": "float_store_multiple",
    **dict.fromkeys(("vmla", "vmls", "vnml", "vfma", "vfms", "vfnm"), "float_multiply_accumulate"),
    "v": "float",
    **dict.fromkeys(("mul", "mla", "mls", "smul", "smla", "smls", "smm", "smua", "smus"), "multiply"),
    **dict.fromkeys(("umul", "umla", "umaa"), "multiply"),
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """What matters of one instruction.

    Attributes:
        kind: one of `arithmetic`, `multiply`, `divide`, `load`, `store`, `load_double`, `store_double`,
            `load_multiple`, `store_multiple`, `float_load`, `float_store`, `float_load_multiple`,
            `float_store_multiple`, `if_then`,
            `branch_direct`, `branch_register`, `branch_table`, `float`, `float_multiply_accumulate`, `float_divide`,
            `float_pair`, `unknown`.
        wide: whether it is a 32-bit instruction.
        aligned: whether it stands at a word boundary.
        words: that it moves between registers and memory; 1 for one that isn't of several words.
        reads: registers that it reads.
        writes: registers that it writes.
        address: registers that its address is made of.
        indexed: whether one of them is an offset.
        literal: whether its address is relative to the PC.
        to_pc: whether it writes the PC.
        arithmetic: whether it is of the FPU and computes.
    """

    kind: str
    wide: bool
    aligned: bool
    words: int = 1
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    address: frozenset[int] = frozenset()
    indexed: bool = False
    literal: bool = False
    to_pc: bool = False
    arithmetic: bool = False


@cache
def _disassembler() -> Any:
    disassembler: Any = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    disassembler.detail = True
    return disassembler


def decode(address: int, code: bytes) -> list[Instruction]:
    """Return the instructions of a stretch of code; what can't be read is of kind `unknown`."""
    found: list[Instruction] = []
    at = 0
    while at < len(code):
        for one in _disassembler().disasm(code[at:], address + at):
            found.append(_instruction(one))
            at += one.size
        if at < len(code):
            wide = int.from_bytes(code[at : at + 2], "little") >= 0xE800  # A5.1
            found.append(Instruction("unknown", wide, not (address + at) & 2))
            at += 4 if wide else 2
    return found


def _base_name(one: Any) -> str:
    """Return the mnemonic without condition and type."""
    name: str = one.mnemonic.split(".")[0]
    if name.startswith("it") and not name[2:].strip("te"):
        return "it"
    conditional = one.cc not in (_arm.ARM_CC_AL, _arm.ARM_CC_INVALID)
    return name[:-2] if conditional and name[-2:] in _CONDITIONS else name


def _kind(name: str, operands: int) -> str:
    """Return the kind of an instruction by its name and the number of its register operands."""
    if name == "vmov" and operands >= 3:
        return "float_pair"
    beginnings = (kind for start, kind in _BEGINNINGS.items() if name.startswith(start))
    return _KINDS.get(name) or next(beginnings, "arithmetic")


def _instruction(one: Any) -> Instruction:
    name = _base_name(one)
    registers = [operand.reg for operand in one.operands if operand.type == _arm.ARM_OP_REG]
    memory = next((operand.mem for operand in one.operands if operand.type == _arm.ARM_OP_MEM), None)
    reads, writes = one.regs_access()
    kind = _kind(name, len(registers))
    address: set[int] = set()
    words = 1
    if memory is not None:
        address = {register for register in (memory.base, memory.index) if register}
    if kind.endswith("_multiple"):
        address = {_arm.ARM_REG_SP} if name in _STACK else {registers[0]}
        moved = registers if name in _STACK else registers[1:]
        words = sum(_words(register) for register in moved)
    elif kind in ("float_load", "float_store"):
        words = _words(registers[0])
    elif kind in ("load_double", "store_double"):
        words = 2
    return Instruction(
        kind=kind,
        wide=one.size == 4,
        aligned=not one.address & 2,
        words=words,
        reads=frozenset(reads),
        writes=frozenset(writes),
        address=frozenset(address),
        indexed=bool(memory is not None and memory.index),
        literal=bool(memory is not None and memory.base == _arm.ARM_REG_PC),
        to_pc=_arm.ARM_REG_PC in writes,
        arithmetic=name.startswith(_FLOAT_ARITHMETIC),
    )


def _words(register: int) -> int:
    return 2 if _arm.ARM_REG_D0 <= register <= _arm.ARM_REG_D31 else 1
