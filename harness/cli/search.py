"""`hil search`: which architecture is worth having, measured on the board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import BACKEND, DEVICE, LAB, TIMEOUT, WAIT, load_lab, patience_of


@click.command()
@click.argument("space", type=click.Path(path_type=Path))
@DEVICE
@BACKEND
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where models and verdicts go.")
@click.option("--candidates", type=click.IntRange(1), default=32, show_default=True, help="Try at most so many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses them, if there are more.")
@click.option("--train", type=click.IntRange(1), metavar="N", help="Train at most the N largest within the limits.")
@click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="Use N validation inputs, of each class its share."
)
@click.option("--limit", "limits", multiple=True, metavar="COLUMN=N", help="A budget, like ram_peak_bytes=20000.")
@click.option("--python", metavar="PATH", help="Interpreter that {python} in `make` stands for (default: this one).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@LAB
@WAIT
@TIMEOUT
def search(
    space: Path,
    device: str,
    backend: Any,
    out: Path | None,
    candidates: int,
    seed: int,
    train: int | None,
    samples: int | None,
    limits: tuple[str, ...],
    python: str | None,
    as_json: bool,  # noqa: FBT001 (click passes it)
    lab: str | None,
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Search the architectures that SPACE (a YAML file) lists, with the board in the loop.

    \b
    hil search search.yaml --device nano33 --limit ram_peak_bytes=20000 --limit ticks_median=1500000

    The cost of every candidate is measured on the board before it is trained; only those within the limits are. What no
    other candidate beats in accuracy, ticks, RAM and flash is the front. See docs/search.md.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.search import Wish
    from harness.commands.search import search as run
    from harness.config import find_lab

    folder = out or Path("results") / f"search-{space.stem}"
    patience = patience_of(wait, timeout)
    wish = Wish(device, backend, folder, candidates, seed, train, samples, limits, python, as_json, patience)
    run(space, load_lab(lab), find_lab(lab, [Path()]), wish)
