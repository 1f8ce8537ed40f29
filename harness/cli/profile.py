"""`hil profile`: where the work of an inference goes, by layer or by function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import BACKEND, DEVICE, IMAGE, LAB, TIMEOUT, WAIT, load_lab, patience_of


@click.command()
@IMAGE
@DEVICE
@BACKEND
@click.option("--suite", type=click.Path(path_type=Path), metavar="FILE", help="Run on a sample of this suite.")
@click.option("--sample", type=click.IntRange(min=0), metavar="N", help="With --suite: which sample (default: 0).")
@click.option(
    "--input", "file", type=click.Path(path_type=Path), metavar="FILE", help="Run on this .npy file, floats or raw."
)
@click.option("--functions", is_flag=True, help="By C function instead (virtual board only).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@LAB
@WAIT
@TIMEOUT
def profile(image: Path, device: str, lab: str | None, functions: bool, **options: Any) -> None:  # noqa: FBT001
    """Show which layers of IMAGE an inference spends its cycles or instructions in.

    The input is random unless --suite or --input name one. A board that runs IMAGE already is not flashed.
    """
    from harness.commands.flash import single_device
    from harness.commands.profile import show_functions, show_layers

    suite, sample, file = options["suite"], options["sample"], options["file"]
    if suite and file:
        raise click.UsageError("--suite and --input exclude each other")
    if sample is not None and not suite:
        raise click.UsageError("--sample goes with --suite")
    show = show_functions if functions else show_layers
    chosen = single_device(load_lab(lab), device)
    show(
        image,
        chosen,
        options["backend"],
        suite=suite,
        sample=sample or 0,
        file=file,
        as_json=options["as_json"],
        patience=patience_of(options["wait"], options["timeout"]),
    )
