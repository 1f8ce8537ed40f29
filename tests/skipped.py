"""What a run of the tests left out, and what to install for it: the last thing that `make test` says."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

AVR = "gcc-avr avr-libc libsimavr-dev avrdude arduino-core-avr"
#: What a reason says is missing, and how to get it. The first that fits counts.
INSTALL = (
    (r"renode", ".venv/bin/hil renode install"),
    (r"labgrid", "make labgrid, and HIL_LABGRID_VENV=$PWD/.venv-labgrid"),
    (r"arm-none-eabi-g\+\+|libstdc\+\+", "apt-get install libstdc++-arm-none-eabi-newlib"),
    (r"arm-none-eabi", "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    (r"avr-gcc|avrdude|optiboot|simavr", f"apt-get install --no-install-recommends {AVR}"),
    (r"\bgcc\b", "apt-get install gcc libc6-dev"),
    (r"chromium", "apt-get install chromium"),
    (r"librosa", ".venv/bin/pip install librosa"),
    (r"mlflow", ".venv/bin/pip install -e '.[mlflow]'"),
    (r"systemd", "apt-get install systemd"),
    (
        r"tflite-micro|ai-edge-litert|the oracle",
        ".venv/bin/pip install -e '.[dev]' (tflite-micro: Linux on x86-64 only)",
    ),
)


def remedy(reason: str) -> str:
    """Return what to run so that what was skipped for this reason isn't any more."""
    found = (line for pattern, line in INSTALL if re.search(pattern, reason, re.IGNORECASE))
    return next(found, "nothing to install: it doesn't go on this computer")


def left_out(reasons: list[str]) -> Iterator[str]:
    """Say each reason once, the most frequent first, and what helps."""
    for reason, count in Counter(reasons).most_common():
        yield f"{count:5} {'test: ' if count == 1 else 'tests:'} {reason.partition('. ')[0]}"
        yield f"              -> {remedy(reason)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Add a section on what was skipped, so that nobody takes it for passed."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped]
    lines = list(left_out(reasons))
    if "not slow" in config.getoption("markexpr", ""):
        lines += ["      tests: marked slow", "              -> make test SLOW=1"]
    if lines:
        terminalreporter.section("not run, so neither passed nor failed")
        for line in lines:
            terminalreporter.line(line)
