"""`hil crosscheck`: do two backends say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.boards.opening import choose_backend
from harness.commands.flash import single_device
from harness.commands.printing import print_table
from harness.crosscheck import crosscheck
from harness.errors import ConfigError
from harness.farm.patience import NOW

if TYPE_CHECKING:
    from harness.boards.base import Backend
    from harness.config import Lab
    from harness.farm.patience import Patience

_WORD = {True: "equal", False: "DIFFERENT", None: "not compared"}


def crosscheck_backends(
    lab: Lab,
    device: str,
    backends: tuple[Backend, Backend],
    suites: tuple[Path, ...],
    *,
    samples: int | None,
    results_dir: Path,
    patience: Patience = NOW,
) -> bool:
    """Run suites on two backends, print what was compared, and the verdict.

    Returns:
        True if all that must be equal is.

    Raises:
        HilError: a suite, the device or a backend is wrong.
    """
    chosen = single_device(lab, device)
    for backend in backends:
        choose_backend(chosen, backend)  # before anything is measured
    checks, runs = crosscheck(
        suites or _default_suites(),
        chosen.name,
        backends,
        samples=samples,
        results_dir=results_dir,
        lab_file=lab.path,
        on_run=lambda backend: click.echo(f"{chosen.name} on {backend} ..."),
        patience=patience,
    )
    print_table(
        f"{chosen.name}: {backends[0]} against {backends[1]}",
        ("suite", "variant", "compared", "verdict", ""),
        [(check.suite, check.variant, check.what, _WORD[check.equal], check.text) for check in checks],
    )
    different = [check for check in checks if check.equal is False]
    open_ones = sum(check.equal is None for check in checks)
    for backend, results in zip(backends, runs, strict=True):
        click.echo(f"{backend}: {results.runs.iloc[0]['path']}")
    if different:
        click.echo(f"Verdict: {backends[0]} and {backends[1]} DIFFER in {len(different)} of {len(checks)} comparisons.")
        return False
    rest = f"; {open_ones} could not be compared" if open_ones else ""
    click.echo(f"Verdict: {backends[0]} and {backends[1]} agree in {len(checks) - open_ones} comparisons{rest}.")
    return True


def _default_suites() -> tuple[Path, ...]:
    found = tuple(sorted(Path("suites").glob("*.yaml")))
    if not found:
        raise ConfigError("there is no suites/*.yaml here; give a suite with --suite")
    return found
