"""Results: written through a journal so that a killed run loses nothing, read as tidy tables."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.store.cases import CaseRecord
    from harness.store.folders import find_run
    from harness.store.read import RunInfo, list_runs, load_results
    from harness.store.results import Results
    from harness.store.runs import Run, recover

__all__ = ["CaseRecord", "Results", "Run", "RunInfo", "find_run", "list_runs", "load_results", "recover"]

_HOMES = {"CaseRecord": "cases", "Results": "results", "Run": "runs", "recover": "runs", "find_run": "folders"}


def __getattr__(name: str) -> Any:
    # Late, because who writes a short run must not wait for pandas.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"harness.store.{_HOMES.get(name, 'read')}"), name)
