"""`hil crosscheck`: do two backends say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.boards.opening import choose_backend
from harness.cli.crosscheck.comparison import EXIT_CODES, measure, verdict
from harness.cli.options import LAB, RESULTS, TIMEOUT, WAIT, load_lab, patience_of, single_device
from harness.cli.tables import print_table
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.boards.base import Backend

_WORD = {True: "equal", False: "DIFFERENT", None: "not compared"}


@click.command()
@click.argument("device")
@click.argument("first", type=click.Choice(["hardware", "renode", "virtual"]))
@click.argument("second", type=click.Choice(["hardware", "renode", "virtual"]))
@click.option(
    "--suite",
    "suites",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="On this suite (default: all in suites/).",
)
@click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="Use only N inputs of each suite, of each class its share."
)
@RESULTS
@LAB
@WAIT
@TIMEOUT
def crosscheck(
    device: str,
    first: Backend,
    second: Backend,
    suites: tuple[Path, ...],
    samples: int | None,
    results_dir: Path,
    lab: str | None,
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Run suites of DEVICE on two backends, and compare predictions, outputs, instructions and RAM.

    \b
    hil crosscheck nano33 virtual renode

    Ends with 0 if all are equal, 1 if one differs, 6 if something that had to be compared could not be, because a case
    failed, for instance.
    """  # noqa: D301 (click reads the \b)
    loaded, backends = load_lab(lab), (first, second)
    chosen = single_device(loaded, device)
    for backend in backends:
        choose_backend(chosen, backend)  # before anything is measured
    checks, runs = measure(
        suites or _default_suites(),
        chosen.name,
        backends,
        samples=samples,
        results_dir=results_dir,
        lab_file=loaded.path,
        on_run=lambda backend: click.echo(f"{chosen.name} on {backend} ..."),
        patience=patience_of(wait, timeout),
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
    raise SystemExit(EXIT_CODES[found])


def _default_suites() -> tuple[Path, ...]:
    found = tuple(sorted(Path("suites").glob("*.yaml")))
    if not found:
        raise ConfigError("there is no suites/*.yaml here; give a suite with --suite")
    return found
