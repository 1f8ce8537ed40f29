"""What emulators count, for who reads their figures."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

#: Of each counter that isn't a real board's: what its ticks are.
MEANINGS: Final = MappingProxyType(
    {
        "instructions": "what an emulated CPU executed; they are not cycles",
        "emulated cycles": "what an emulator takes instructions to last; they are not a board's cycles",
    }
)
