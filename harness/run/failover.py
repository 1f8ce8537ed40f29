"""A case that goes from board to board until one of them can measure it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import BoardError, QuarantinedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config import Device, Suite, Variant
    from harness.errors import LeaseLostError
    from harness.run.targets import Target
    from harness.store.cases import CaseRecord
    from harness.store.runs import Run


@dataclass
class Case:
    """A case that is being measured.

    Attributes:
        target: what it was asked of.
        suite: the task.
        variant: which of its models.
        record: of it.
        run: that it is a case of.
        on_progress: called with the stage, how much is done, and of how much.
        failed: why each board that was tried couldn't measure it.
        unfit: why other boards aren't even tried: they are out of use.
        lost: how often a board was taken away in the middle of it.
    """

    target: Target
    suite: Suite
    variant: Variant
    record: CaseRecord
    run: Run
    on_progress: Callable[[str, int, int], None] | None
    failed: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, BoardError] = field(default_factory=dict)
    lost: int = 0

    def give_up(self, device: Device, error: BoardError) -> None:
        """Note that a board can't measure it, and begin anew for the next one."""
        self.failed[device.name] = str(error)
        self.record.hand_on(f"{error} (next: another board)")

    def lose(self, error: LeaseLostError) -> None:
        """Note that its board was taken away, which is nobody's fault, and begin anew."""
        self.lost += 1
        self.record.hand_on(f"{error} (next: asking for a board again)")

    def none_left(self) -> BoardError:
        """Say why no board can measure it; if nothing else, they are in quarantine."""
        reasons = list(self.unfit.values())
        if len(reasons) == 1 and not self.failed:
            return reasons[0]
        text = "no board is left: " + "; ".join([*self.failed.values(), *map(str, reasons)])
        quarantine = not self.failed and all(isinstance(error, QuarantinedError) for error in reasons)
        return QuarantinedError(text) if quarantine else BoardError(text)
