"""Which fault a core takes for what it stopped at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.boards.virtual.core import scs
from harness.boards.virtual.core.engine import Stop
from harness.boards.virtual.core.exceptions import Fault

if TYPE_CHECKING:
    from harness.boards.virtual.core.engine import Engine

_FAULTS = {
    Stop.SVC: Fault("supervisor call", "SVC while its exception can't be taken", is_call=True),
    Stop.BKPT: Fault("hard fault", "BKPT without a debugger", hfsr=scs.HFSR_DEBUGEVT),
    Stop.FETCH: Fault("bus fault", "no code at {:#010x}", cfsr=scs.IBUSERR),
    Stop.UNDEFINED: Fault("usage fault UNDEFINSTR", "undefined instruction", cfsr=scs.UNDEFINSTR),
    Stop.UNALIGNED: Fault("usage fault UNALIGNED", "unaligned access", cfsr=scs.UNALIGNED),
    Stop.STATE: Fault("usage fault INVSTATE", "branch to an address with bit 0 clear", cfsr=scs.INVSTATE),
}
_NO_FPU = Fault("usage fault NOCP", "an FP instruction, but CPACR doesn't enable the FPU", cfsr=scs.NOCP)


def refused_at(engine: Engine, pc: int) -> Fault | None:
    """Return the fault that the instruction at `pc`, whose condition holds, takes before it does anything; or None."""
    if engine.lacks(pc):
        return _FAULTS[Stop.UNDEFINED]
    return _NO_FPU if pc in engine.fp_traps else engine.suspects.fault_at(pc)


def fault_of(stop: Stop, engine: Engine) -> Fault:
    """Return the fault of what the core stopped at, where it stands."""
    pc = engine.cpu.read("pc")
    if stop is Stop.UNALIGNED and (fault := engine.suspects.fault_at(pc)) is not None:
        return fault
    fault = _FAULTS[stop]
    return replace(fault, text=fault.text.format(pc))
