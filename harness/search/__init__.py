"""Architecture search with the board in the loop: candidates are measured, not estimated."""

from __future__ import annotations

from harness.search.run import Judged, Search, run_search
from harness.search.space import Candidate, Space, load_space

__all__ = ["Candidate", "Judged", "Search", "Space", "load_space", "run_search"]
