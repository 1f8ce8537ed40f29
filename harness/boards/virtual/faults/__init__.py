"""Faults that are put into a virtual board on purpose, by their names. See docs/faults.md."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from harness.boards.virtual.faults.board_faults import BOARD_FAULTS
from harness.boards.virtual.faults.fault import ActiveFault, Fault
from harness.boards.virtual.faults.probe_faults import PROBE_FAULTS
from harness.boards.virtual.faults.serial_faults import SERIAL_FAULTS
from harness.boards.virtual.faults.usb_faults import USB_FAULTS
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.boards.virtual.faults.fault import Install, Parts

#: Every kind of fault, and what puts it into a board.
KINDS: Mapping[str, Install] = {**SERIAL_FAULTS, **USB_FAULTS, **PROBE_FAULTS, **BOARD_FAULTS}
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


def activate(board: Parts, fault: Fault) -> ActiveFault:
    """Put a fault into a board, and return it with its count."""
    active = ActiveFault(fault)
    KINDS[fault.kind](board, active)
    return active
