"""Why firmware doesn't answer, as far as the probe can tell: where it is, and what its fault handler wrote down."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyocd.core.target import Target

from harness.link.fault_record import FAULT_BYTES, describe_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.image.elf import Image

_FAULT_EXCEPTIONS = range(2, 7)  # NMI, HardFault, MemManage, BusFault, UsageFault
_SETTLE_S = 0.1
_LOOK_S = 0.001
_LOOKS = 20


def why_stopped(target: Any, image: Image | None, read_memory: Callable[[int, int], bytes]) -> str | None:
    """Say why the firmware stopped, or where it is executing; None if it sleeps as it does while waiting.

    Args:
        target: the core, as pyOCD has it.
        image: what is in flash, if that is known.
        read_memory: reads so many bytes at an address.

    Raises:
        pyocd.core.exceptions.Error, ProbeError: the probe can't tell.
    """
    deadline, looks = time.monotonic() + _SETTLE_S, 1
    # It may be about to sleep. It is looked at several times, however late this computer is.
    while (state := target.get_state()) == Target.State.RUNNING and (time.monotonic() < deadline or looks < _LOOKS):
        time.sleep(_LOOK_S)
        looks += 1
    if state == Target.State.LOCKUP:
        return f"the CPU is locked up (a fault inside a fault handler){_place(target, image)}"
    if (_register(target, "xpsr") & 0x1FF) in _FAULT_EXCEPTIONS:
        return f"the firmware stopped in its fault handler: {_fault_record(target, image, read_memory)}"
    if state == Target.State.SLEEPING:
        return None
    return f"the firmware is {state.name.lower()}{_place(target, image)}"


def _register(target: Any, name: str) -> int:
    """Read a core register; the core is halted for it, and goes on if it ran."""
    running = not target.is_halted()
    if running:
        target.halt()
    value = int(target.read_core_register(name))
    if running:
        target.resume()
    return value


def _place(target: Any, image: Image | None) -> str:
    pc = _register(target, "pc")
    name = image.function_at(pc) if image else None
    return f" at PC 0x{pc:08X}" + (f" in {name}" if name else "")


def _fault_record(target: Any, image: Image | None, read_memory: Callable[[int, int], bytes]) -> str:
    if image is None or "hil_fault_record" not in image.symbols:
        return f"no record{_place(target, image)}"
    return describe_fault(read_memory(image.symbols["hil_fault_record"], FAULT_BYTES), image.function_at)
