"""`hil crosscheck`: do two backends say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.boards.opening import choose_backend
from harness.cli.crosscheck_backends import EXIT_CODES, crosscheck, verdict
from harness.commands.flash import single_device
from harness.commands.printing import print_table
from harness.errors import ConfigError
from harness.locks.waiting import NOW

if TYPE_CHECKING:
    from harness.boards.base import Backend
    from harness.config import Lab
    from harness.locks.waiting import Patience

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
) -> int:
    """Run suites on two backends, print what was compared, and the verdict.

    Returns:
        The exit code of the verdict.

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
    for backend, results in zip(backends, runs, strict=True):
        click.echo(f"{backend}: {results.runs.iloc[0]['path']}")
    found = verdict(checks)
    equal, different = (sum(check.equal is outcome for check in checks) for outcome in (True, False))
    names, left = " and ".join(backends), len(checks) - equal - different
    rest = f"; {left} could not be compared" if left else ""
    if found == "differ":
        click.echo(f"Verdict: {names} DIFFER in {different} of {len(checks)} comparisons{rest}.")
    elif found == "agree":
        click.echo(f"Verdict: {names} agree in {equal} comparisons{rest}.")
    elif equal:
        click.echo(f"Verdict: NOT COMPARED: {names} are equal in {equal} comparisons, but {left} could not be made.")
    else:
        click.echo(f"Verdict: NOT COMPARED: there is nothing that {names} both measured.")
    return EXIT_CODES[found]


def _default_suites() -> tuple[Path, ...]:
    found = tuple(sorted(Path("suites").glob("*.yaml")))
    if not found:
        raise ConfigError("there is no suites/*.yaml here; give a suite with --suite")
    return found
