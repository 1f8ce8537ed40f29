"""`hil search`: which architecture is worth having, measured on the board."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import AS_JSON, BACKEND, DEVICE, FILE, LAB, load_lab, single_device, waits
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from harness.boards.opening import Wanted
    from harness.config import Lab, Suite
    from harness.config.suite import Limits
    from harness.locks.waiting import Patience
    from harness.search import Judged, Space

_COUNTED = {"hardware": "cycles"}


@dataclass(frozen=True)
class _Wish:
    """What the user asked for; see `hil search --help`."""

    device: str
    backend: Wanted
    out: Path
    candidates: int
    seed: int
    train: int | None
    samples: int | None
    limits: tuple[str, ...]
    python: str | None
    as_json: bool
    patience: Patience
    scheduler: str | None


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
def search(space: Path, lab: str | None, **options: Any) -> None:
    """Search the architectures that SPACE (a YAML file) lists, with the board in the loop.

    \b
    hil search search.yaml --device nano33 --limit ram_peak_bytes=20000 --limit ticks_median=1500000

    The cost of every candidate is measured on the board before it is trained; only those within the limits are. What no
    other candidate beats in accuracy, ticks, RAM and flash is the front. See docs/search.md.
    """  # noqa: D301 (click reads the \b)
    options["out"] = options["out"] or Path("results") / f"search-{space.stem}"
    _search(space, load_lab(lab), _Wish(**options))


def _search(path: Path, lab: Lab, wish: _Wish) -> None:
    """Search, then print every candidate with its verdict, and the front."""
    from harness.boards.opening import choose_backend
    from harness.build.making import Making
    from harness.build.sources import target_for
    from harness.build.toolchain import find_toolchain
    from harness.files.starter import firmware_root
    from harness.search import Search, load_space, run_search
    from harness.search.making import Maker

    space = load_space(path)
    device = single_device(lab, wish.device)
    backend, why = choose_backend(device, wish.backend)
    counter = _COUNTED.get(backend, "instructions")
    limits = {**space.limits, **_given(wish.limits, counter)}
    candidates = space.candidates(wish.candidates, wish.seed)
    wish.out.mkdir(parents=True, exist_ok=True)
    making = Making(
        target_for(device.kind, lab.kinds, firmware_root().resolve()),
        find_toolchain(),
        kept=(wish.out / "objects").resolve(),
    )
    start = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - start:6.0f} s] {text}", err=wish.as_json)

    say(f"{device.name} on {backend} ({why}); {len(candidates)} of {space.size} candidates; limits: {_words(limits)}")
    maker = Maker(space, wish.out, making, wish.python or sys.executable)
    address = wish.scheduler or lab.farm.scheduler
    judged = run_search(
        Search(
            maker,
            wish.device,
            wish.backend,
            lab.path,
            limits,
            wish.train,
            wish.samples,
            say,
            wish.patience,
            elsewhere=None if address is None else partial(_on_farm, lab, wish, address, say),
        ),
        candidates,
    )
    if wish.as_json:
        click.echo((wish.out / "search.json").read_text())
    else:
        _show(space, judged, counter, wish.out)
    if not any(each.verdict == "front" for each in judged):
        raise ConfigError(f"no candidate of {path} is within the limits; the verdicts say why")


def _on_farm(
    lab: Lab, wish: _Wish, address: str, say: Callable[[str], None], suite: Suite, samples: int | None, runs: Path
) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Measure the variants of a suite on the boards that a scheduler knows."""
    from harness.config.nightly import Nightly
    from harness.farm.nightly import measure_suite
    from harness.farm.seats import Wish

    asked = Nightly(suites=(suite.path,), devices=(wish.device,), backend=wish.backend, samples=samples, check=False)
    yield from measure_suite(Wish(lab, asked, suite.path.parent, runs, resume=False, say=say, scheduler=address))


def _given(texts: Iterable[str], counter: str) -> Limits:
    from harness.config.suite import Limit
    from harness.schema import CASE_COLUMNS
    from harness.search.space import read_limit

    limits = {}
    for text in texts:
        name, most = read_limit(text)
        column = CASE_COLUMNS.get(name)
        if column is None or not column.numeric:
            raise ConfigError(f'--limit {text}: "{name}" is no numeric column of the results')
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
    from harness.cli.tables import print_table

    columns = ("candidate", "choices", "verdict", "accuracy", "95 % interval", counter, "peak RAM", "flash", "MACs")
    click.echo(f"\nChoices: {', '.join(space.choices)}")
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
