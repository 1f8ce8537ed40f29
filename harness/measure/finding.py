"""One line of `hil doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "optional", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. A problem and a missing option say what to do."""

    state: State
    what: str
    text: str
