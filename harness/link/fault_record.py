"""What a FAULT says: the registers of a Cortex-M that stopped, in words."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FAULT_BYTES = 32
_FAULT = struct.Struct("<8I")


def describe_fault(payload: bytes, where: Callable[[int], str | None] = lambda _: None) -> str:
    """Say in one line why a Cortex-M stopped, from a FAULT payload.

    Bits as in the Armv7-M reference manual, B3.2.15 (CFSR).

    Args:
        payload: as sent, or as read from the fault record in RAM.
        where: names the function at an address, if it is known.
    """
    if len(payload) != _FAULT.size:
        return f"a fault whose record of {len(payload)} bytes can't be decoded"
    pc, lr, psr, sp, cfsr, hfsr, mmfar, bfar = _FAULT.unpack(payload)
    causes = [text for bit, text in _CFSR_BITS.items() if cfsr & bit]
    if cfsr & _BFAR_VALID:
        causes.append(f"address 0x{bfar:08X}")
    elif cfsr & _MMFAR_VALID:
        causes.append(f"address 0x{mmfar:08X}")
    cause = ", ".join(causes) or "hard fault"
    function = where(pc)
    place = f" in {function}" if function else ""
    return (
        f"{cause} at PC 0x{pc:08X}{place} "
        f"(LR 0x{lr:08X}, SP 0x{sp:08X}, xPSR 0x{psr:08X}, CFSR 0x{cfsr:08X}, HFSR 0x{hfsr:08X})"
    )


_MMFAR_VALID = 1 << 7
_BFAR_VALID = 1 << 15
_CFSR_BITS = {
    1 << 0: "instruction access violation",
    1 << 1: "data access violation",
    1 << 3: "stack violation on exception return",
    1 << 4: "stack violation on exception entry",
    1 << 8: "instruction bus error",
    1 << 9: "bus error",
    1 << 10: "imprecise bus error",
    1 << 11: "bus error on exception return",
    1 << 12: "bus error on exception entry",
    1 << 16: "undefined instruction",
    1 << 17: "invalid execution state",
    1 << 18: "invalid exception return",
    1 << 19: "floating point without the FPU enabled",
    1 << 24: "unaligned access",
    1 << 25: "division by zero",
}
