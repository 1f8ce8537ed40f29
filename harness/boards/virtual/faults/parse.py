"""What can go wrong with a virtual board: faults by name, and how they are put into a twin. See docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from harness.boards.virtual.faults.board_faults import BOARD_FAULTS
from harness.boards.virtual.faults.serial_faults import SERIAL_FAULTS
from harness.boards.virtual.faults.swd_faults import SWD_FAULTS
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.board import VirtualNrf52840


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: its name, as in `KINDS`.
        value: how much of it; what that means depends on the kind.
        seed: of the random numbers, where there are any.
        after: serial: bytes in one direction, swd: transfers of a block of memory, that come through before it begins.
        times: how often it happens; 0 for always.
        inference: board: it happens in every one of this many RUNs, the warm-up counted.
        at: board: how many instructions after the start of the inference.
    """

    kind: str
    value: float = 0.0
    seed: int = 0
    after: int = 0
    times: int = 1
    inference: int = 4
    at: int = 100_000


@dataclass
class ActiveFault:
    """A fault in a twin.

    Attributes:
        fault: which.
        struck: how often it has happened so far.
    """

    fault: Fault
    struck: int = 0

    def strike(self) -> bool:
        """Count one more, unless it has happened often enough."""
        if self.fault.times and self.struck >= self.fault.times:
            return False
        self.struck += 1
        return True


#: Every kind, and what puts it into a twin.
KINDS: Mapping[str, Callable[[VirtualNrf52840, ActiveFault], None]] = {**SERIAL_FAULTS, **SWD_FAULTS, **BOARD_FAULTS}
_RATES = ("serial.flip", "serial.drop", "serial.double", "serial.reorder")


def parse_fault(text: str) -> Fault:
    """Read a fault as it stands on the command line: `KIND[=VALUE][,KEY=NUMBER]...`.

    Raises:
        ConfigError: it isn't understood.
    """
    head, *rest = text.split(",")
    kind, _, value = head.partition("=")
    if kind not in KINDS:
        raise ConfigError(f"there is no fault {kind!r}; the faults are {', '.join(KINDS)} (docs/faults.md)")
    keys = {field.name for field in fields(Fault)} - {"kind", "value"}
    numbers: dict[str, int] = {}
    for part in rest:
        key, _, number = part.partition("=")
        if key not in keys or not number.isdecimal() or key in numbers:
            raise ConfigError(
                f"fault {text!r}: {part!r} isn't understood; after the kind come {', '.join(sorted(keys))}, each "
                "once, as KEY=WHOLE NUMBER"
            )
        numbers[key] = int(number)
    try:
        amount = float(int(value, 0)) if value.startswith("0x") else float(value or 0)
    except ValueError:
        raise ConfigError(f"fault {text!r}: {value!r} is not a number") from None
    fault = Fault(kind, amount, **numbers)
    if kind in _RATES and not 0 < fault.value <= 1:
        raise ConfigError(f"fault {text!r}: a rate must be above 0 and at most 1")
    if not 0 <= fault.value < 2**32 or fault.inference < 1:
        raise ConfigError(f"fault {text!r}: the value must be 0 to 2^32 - 1, and inference at least 1")
    return fault


def activate(twin: VirtualNrf52840, fault: Fault) -> ActiveFault:
    """Put a fault into a twin."""
    active = ActiveFault(fault)
    KINDS[fault.kind](twin, active)
    return active
