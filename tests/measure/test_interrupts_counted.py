"""What interrupts mean for counts, in columns and words."""

from __future__ import annotations

import re
import struct

import pytest

from harness.link.messages import parse_stats
from harness.measure.interrupts import interrupt_columns, interrupt_warning, without_interrupts

KNOWN = struct.pack("<8I", 4096, 300, 0, 0, 0, 0, 0, 0)
ROW = {"counter": "instructions", "ticks_min": 1_000_000, "ticks_max": 1_000_200}


@pytest.mark.parametrize(
    ("more", "columns", "said"),
    [
        (b"", {"interrupts_per_inference": 0}, None),  # an older agent, which masks them
        (struct.pack("<2I", 20, 0), {"interrupts_per_inference": 0}, None),
        (struct.pack("<2I", 20, 50), {"interrupts_per_inference": 2.5}, "^2.5 interrupts .* 1,000,000 to 1,000,200"),
        (struct.pack("<2I", 20, 2**32 - 1), None, "^the program .* nobody counts them"),
    ],
)
def test_interrupts_are_told_and_take_the_estimate_of_cycles_away(more, columns, said):
    found = interrupt_columns(parse_stats(KNOWN + more))
    assert columns is None or found == columns
    warning, estimate = interrupt_warning(ROW | found), {"estimated_cycles_median": 1.0}
    if said is None:
        assert warning is None
        assert without_interrupts(estimate, found) == estimate
    else:
        assert re.search(said, warning)
        (reason,) = without_interrupts(estimate, found).values()
        assert reason.startswith(
            "interrupts were taken: " if columns else "whether interrupts were taken isn't known (the"
        )
