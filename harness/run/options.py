"""What the user chose for a session of measuring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.locks.waiting import NOW, Patience
from harness.power.meter import PowerOptions

if TYPE_CHECKING:
    from pathlib import Path

    from harness.boards.backends import Wanted


@dataclass(frozen=True)
class SharedRun:
    """A run that this process writes together with others.

    Attributes:
        path: its folder.
        writer: this process's name in it.
        turn: which of the processes this is, from 0; it tries the boards of a pool from there on.
        waits: whether to wait for a board that another of the processes holds, however long it takes. Who has claimed
            a case must not: the other one may wait for that case, and keep its board meanwhile.
    """

    path: Path
    writer: str
    turn: int = 0
    waits: bool = True


@dataclass(frozen=True)
class Options:
    """What the user chose."""

    selectors: tuple[str, ...]
    backend: Wanted
    lab_file: Path | None
    results_dir: Path
    samples: int | None
    retries: int
    virtual_faults: tuple[str, ...] = ()
    force_flash: bool = False
    allow_mass_erase: bool = False
    twin_estimate: bool = False
    power: PowerOptions = field(default_factory=PowerOptions)
    each: bool = False
    patience: Patience = NOW
    shared: SharedRun | None = None
