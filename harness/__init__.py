"""Benchmark optimized TinyML models on real and emulated boards."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import benchmark
    from harness.config import load_suite
    from harness.errors import HilError
    from harness.report.asking import Results, load_results

__all__ = ["HilError", "Results", "benchmark", "load_results", "load_suite"]

_HOMES = {
    "HilError": "harness.errors",
    "Results": "harness.report.asking",
    "benchmark": "harness.api",
    "load_results": "harness.report.asking",
    "load_suite": "harness.config",
}


def __getattr__(name: str) -> Any:
    # Late, because pytest imports this package on every run, and pandas alone takes longer than that should.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
