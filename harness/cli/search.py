"""`hil search`: which architecture is worth having, measured on the board."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import AS_JSON, BACKEND, DEVICE, FILE, LAB, load_lab, single_device, waits
from harness.cli.tables import print_table
from harness.errors import ConfigError
from harness.files.starter import firmware_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.boards.backends import Wanted
    from harness.config import Suite
    from harness.config.suite import Limits
    from harness.locks.waiting import Patience
    from harness.search import Judged, Space


@click.command()
@click.argument("space", type=FILE)
@DEVICE
@BACKEND
@click.option("--out", type=FILE, metavar="DIR", help="Where models and verdicts go.")
@click.option("--candidates", type=click.IntRange(1), default=32, show_default=True, help="Try at most so many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses them, if there are more.")
@click.option("--train", type=click.IntRange(1), metavar="N", help="Train at most the N largest within the limits.")
@click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="Use N validation inputs, of each class its share."
)
@click.option("--limit", "limits", multiple=True, metavar="COLUMN=N", help="A budget, like ram_peak_bytes=20000.")
@click.option("--python", metavar="PATH", help="Interpreter that {python} in `make` stands for (default: this one).")
@AS_JSON
@click.option("--scheduler", metavar="ADDRESS", help="A farm's, like tls://lab:8786: measure on its boards at once.")
@LAB
@waits
def search(
    *,
    space: Path,
    device: str,
    backend: Wanted,
    out: Path | None,
    candidates: int,
    seed: int,
    train: int | None,
    samples: int | None,
    limits: tuple[str, ...],
    python: str | None,
    as_json: bool,
    scheduler: str | None,
    lab: str | None,
    patience: Patience,
) -> None:
    """Search the architectures that SPACE (a YAML file) lists, with the board in the loop.

    \b
    hil search search.yaml --device nano33 --limit ram_peak_bytes=20000 --limit ticks_median=1500000

    The cost of every candidate is measured on the board before it is trained; only those within the limits are. What no
    other candidate beats in accuracy, ticks, RAM and flash is the front. See docs/search.md.
    """  # noqa: D301 (click reads the \b)
    from harness.boards.backends import choose_backend
    from harness.boards.base import counter_of
    from harness.build.making import Making
    from harness.build.sources import target_for
    from harness.build.toolchain import find_toolchain
    from harness.search import Search, load_space, run_search
    from harness.search.making import Maker

    loaded, given = load_lab(lab), load_space(space)
    chosen = single_device(loaded, device)
    where, why = choose_backend(chosen, backend)
    counter = counter_of(chosen.kind, where)
    budget = {**given.limits, **_given(limits, counter)}
    wanted = given.candidates(candidates, seed)
    out = out or Path("results") / f"search-{space.stem}"
    out.mkdir(parents=True, exist_ok=True)
    target = target_for(chosen.kind, loaded.kinds, firmware_root().resolve())
    making = Making(target, find_toolchain(target.cross), kept=(out / "objects").resolve())
    start = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - start:6.0f} s] {text}", err=as_json)

    say(f"{chosen.name} on {where} ({why}); {len(wanted)} of {given.size} candidates; limits: {_words(budget)}")
    address = scheduler or loaded.farm.scheduler

    def on_farm(suite: Suite, samples: int | None, runs: Path) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
        from harness.config.nightly import Nightly
        from harness.farm.nightly import measure_suite
        from harness.farm.seats import Wish

        asked = Nightly(suites=(suite.path,), devices=(device,), backend=backend, samples=samples, check=False)
        return measure_suite(Wish(loaded, asked, suite.path.parent, runs, resume=False, say=say, scheduler=address))

    judged = run_search(
        Search(
            Maker(given, out, making, python or sys.executable),
            device,
            backend,
            loaded.path,
            budget,
            train,
            samples,
            say,
            patience,
            elsewhere=None if address is None else on_farm,
        ),
        wanted,
    )
    if as_json:
        click.echo((out / "search.json").read_text())
    else:
        _show(given, judged, counter, out)
    if not any(each.verdict == "front" for each in judged):
        raise ConfigError(f"no candidate of {space} is within the limits; the verdicts say why")


def _given(texts: Iterable[str], counter: str) -> Limits:
    from harness.config.suite import Limit, no_limit_on
    from harness.schema import CASE_COLUMNS
    from harness.search.space import read_limit

    limits = {}
    for text in texts:
        name, most = read_limit(text)
        column = CASE_COLUMNS.get(name)
        if column is None or not column.limitable:
            raise ConfigError(f'--limit {text}: "{name}" {no_limit_on(name)}')
        limits[name] = Limit.model_validate(
            {"min" if name == "accuracy" else "max": most, "counter": counter if name.startswith("ticks_") else None}
        )
    return limits


def _words(limits: Limits) -> str:
    parts = []
    for name, limit in limits.items():
        unit = f" {limit.counter}" if limit.counter else ""
        parts += [f"{name} >= {limit.min:,.6g}{unit}"] if limit.min is not None else []
        parts += [f"{name} <= {limit.max:,.10g}{unit}"] if limit.max is not None else []
    return ", ".join(parts) or "none"


def _show(space: Space, judged: Sequence[Judged], counter: str, out: Path) -> None:
    columns = ("candidate", "choices", "verdict", "accuracy", "95 % interval", counter, "peak RAM", "flash", "MACs")
    click.echo(f"\nChoices: {', '.join(space.space)}")
    order = {"front": 0, "dominated": 1, "over a limit": 2, "not trained": 3, "failed": 4}
    rows = [_row(each) for each in sorted(judged, key=lambda each: (order[each.verdict], _ticks(each)))]
    print_table(f"{space.task}: validation accuracy and cost, as measured", columns, rows, columns[-6:])
    for each in judged:
        if each.verdict != "front":
            click.echo(f"{each.candidate.name} {each.verdict}: {each.reason}")
    counts = {each.row["samples"] for each in judged if each.row and each.trained}
    if counts:
        click.echo(
            f"\nAccuracy is that of {max(counts):,} validation inputs: candidates whose intervals overlap may not "
            "differ, and the best of many looks better than it is."
        )
    if (out / "front.yaml").is_file() and any(each.verdict == "front" for each in judged):
        data = "the test inputs" if space.test else "the same inputs"
        click.echo(f"The front on {data}: pytest {out / 'front.yaml'} --device NAME")
    click.echo(f"Everything: {out / 'search.json'}")


def _ticks(each: Judged) -> float:
    return float((each.row or {}).get("ticks_median") or 0)


def _row(each: Judged) -> list[str | None]:
    row: dict[str, Any] = dict(each.row or {})

    def count(name: str) -> str | None:
        return None if row.get(name) is None else f"{row[name]:,.0f}"

    accuracy = interval = None
    if each.trained and row.get("accuracy") is not None:
        accuracy = f"{100 * row['accuracy']:.1f} %"
        interval = f"{100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f} %"
    params = [json.dumps(value) if isinstance(value, bool) else str(value) for value in each.candidate.params.values()]
    figures = [count(name) for name in ("ticks_median", "ram_peak_bytes", "flash_bytes")]
    macs = None if each.macs is None else f"{each.macs:,}"
    return [each.candidate.name, ", ".join(params), each.verdict, accuracy, interval, *figures, macs]
