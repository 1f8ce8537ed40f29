"""What a virtual chip is made of: its data, and how the board uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.board import SerialPins, pin_number

if TYPE_CHECKING:
    from harness.config import BoardKind
    from harness.config.chip import ChipData

_SERIAL, _SYNC = SerialPins(tx="P1.03", rx="P1.10"), "P1.11"


@dataclass(frozen=True)
class Wiring:
    """How a board uses its chip. Pins are as the chip numbers them.

    Attributes:
        clock_hz: of the core.
        tx: the pin that the serial line leaves by.
        rx: the one that it comes in by.
        sync: the pin that is high while inferences run.
        part: where the chip's part number is; None if that isn't known.
    """

    clock_hz: int
    tx: int
    rx: int
    sync: int
    part: int | None

    @property
    def serial(self) -> tuple[int, int]:
        """The pins of the serial line."""
        return self.tx, self.rx

    @classmethod
    def of(cls, kind: BoardKind) -> Wiring:
        """Return how a kind of board uses its chip: pins that it doesn't name are those of the Nano 33."""
        serial, sync = kind.serial or _SERIAL, kind.sync_pin or _SYNC
        part = kind.part.address if kind.part else None
        return cls(kind.clock_hz, pin_number(serial.tx), pin_number(serial.rx), pin_number(sync), part)


@dataclass(frozen=True)
class Made:
    """What a chip is made of.

    Attributes:
        data: what all chips of its name have.
        identity: what tells it from others, as its information page has it.
        wiring: how the board uses it.
        seed: of its random numbers.
    """

    data: ChipData
    identity: bytes
    wiring: Wiring
    seed: str
