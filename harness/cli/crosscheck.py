"""`hil crosscheck`: do two backends say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import LAB, RESULTS, TIMEOUT, WAIT, load_lab, patience_of


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
    first: Any,
    second: Any,
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
    from harness.commands.crosscheck import crosscheck_backends

    loaded = load_lab(lab)
    patience = patience_of(wait, timeout)
    raise SystemExit(
        crosscheck_backends(
            loaded, device, (first, second), suites, samples=samples, results_dir=results_dir, patience=patience
        )
    )
