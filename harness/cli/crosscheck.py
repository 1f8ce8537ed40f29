"""`hil crosscheck`: do two backends say the same? What an emulator gets wrong, another one hardly gets wrong alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.options import FILE, LAB, RESULTS, SAMPLES, load_lab, single_device, waits
from harness.cli.tables import print_table
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.boards.base import Backend
    from harness.locks.waiting import Patience
    from harness.store import Results

_WORD = {True: "equal", False: "DIFFERENT", None: "not compared"}
_KEYS = ["suite", "variant", "sample", "repeat"]
_COLUMNS = {"prediction": "predictions", "output_crc": "outputs", "ticks": "instructions"}
_RAM = ("ram_static_bytes", "ram_arena_bytes", "ram_stack_bytes", "ram_heap_bytes", "ram_peak_bytes")
_BACKEND = click.Choice(["hardware", "renode", "virtual"])
#: What a job that runs `hil crosscheck` sees; each number means what it does for `hil compare`.
EXIT_CODES: Final = {"agree": 0, "differ": 1, "not compared": 6}


@dataclass(frozen=True)
class Check:
    """One thing that two backends were compared in.

    Attributes:
        suite: task of the suite.
        variant: name of the variant.
        what: was compared.
        text: what was seen, or why it wasn't compared.
        equal: the outcome; None if it wasn't compared.
        wanted: whether a verdict needs it. Cycles and instructions, for one, can't ever be compared.
    """

    suite: str
    variant: str
    what: str
    text: str
    equal: bool | None = None
    wanted: bool = True


@click.command()
@click.argument("device")
@click.argument("first", type=_BACKEND)
@click.argument("second", type=_BACKEND)
@click.option(
    "--suite", "suites", type=FILE, multiple=True, metavar="FILE", help="On this suite (default: all in suites/)."
)
@SAMPLES
@RESULTS
@LAB
@waits
def crosscheck(
    device: str,
    first: Backend,
    second: Backend,
    suites: tuple[Path, ...],
    samples: int | None,
    results_dir: Path,
    lab: str | None,
    patience: Patience,
) -> None:
    """Run suites of DEVICE on two backends, and compare predictions, outputs, instructions and RAM.

    \b
    hil crosscheck nano33 virtual renode

    Ends with 0 if all are equal, 1 if one differs, 6 if something that had to be compared could not be, because a case
    failed, for instance.
    """  # noqa: D301 (click reads the \b)
    from harness.api import benchmark
    from harness.boards.backends import choose_backend

    loaded, backends = load_lab(lab), (first, second)
    chosen = single_device(loaded, device)
    for backend in backends:
        choose_backend(chosen, backend)  # before anything is measured
    suites = suites or tuple(sorted(Path("suites").glob("*.yaml")))
    if not suites:
        raise ConfigError("there is no suites/*.yaml here; give a suite with --suite")
    runs: list[Results] = []
    for backend in backends:
        click.echo(f"{chosen.name} on {backend} ...")
        runs.append(
            benchmark(
                *suites,
                device=chosen.name,
                backend=backend,
                samples=samples,
                results_dir=results_dir,
                lab_file=loaded.path,
                patience=patience,
            )
        )
    checks = compare_runs((runs[0].cases, runs[0].samples), (runs[1].cases, runs[1].samples))
    print_table(
        f"{chosen.name}: {first} against {second}",
        ("suite", "variant", "compared", "verdict", ""),
        [(check.suite, check.variant, check.what, _WORD[check.equal], check.text) for check in checks],
    )
    for backend, results in zip(backends, runs, strict=True):
        click.echo(f"{backend}: {results.runs.iloc[0]['path']}")
    found = verdict(checks)
    equal, different = (sum(check.equal is outcome for check in checks) for outcome in (True, False))
    names, left = f"{first} and {second}", len(checks) - equal - different
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


def verdict(checks: Sequence[Check]) -> str:
    """Say what came of all checks: one difference makes them differ, and who is to agree must have been compared."""
    if any(check.equal is False for check in checks):
        return "differ"
    missing = any(check.equal is None and check.wanted for check in checks)
    return "not compared" if missing or not any(check.equal for check in checks) else "agree"


def compare_runs(first: tuple[pd.DataFrame, pd.DataFrame], second: tuple[pd.DataFrame, pd.DataFrame]) -> list[Check]:
    """Compare two runs of the same suites, each given as its cases and its samples.

    Predictions, outputs, instructions and RAM must be equal to the last digit. Cycles of a real board are not compared
    with instructions. Where a case is missing or failed, or was measured with another image or other inputs, nothing
    of it is compared: what a backend didn't say is neither equal nor different.
    """
    checks: list[Check] = []
    keys = [key for cases, _ in (first, second) for key in zip(cases["suite"], cases["variant"], strict=True)]
    for suite, variant in dict.fromkeys(keys):
        (one, left), (other, right) = (
            (_of(cases, suite, variant), _of(rows, suite, variant)) for cases, rows in (first, second)
        )
        if one.empty or other.empty:
            checks.append(Check(suite, variant, "case", "measured on one of the backends only"))
        else:
            checks += _compare_case(suite, variant, one.iloc[0], other.iloc[0], left, right)
    return checks


def _of(frame: pd.DataFrame, suite: str, variant: str) -> pd.DataFrame:
    return frame[(frame["suite"] == suite) & (frame["variant"] == variant)]


def _compare_case(
    suite: str, variant: str, one: Any, other: Any, left: pd.DataFrame, right: pd.DataFrame
) -> list[Check]:
    def check(what: str, text: str, *, equal: bool | None = None, wanted: bool = True) -> Check:
        return Check(suite, variant, what, text, equal, wanted)

    failed = [f"{case.backend}: {case.status} ({case.reason})" for case in (one, other) if case.status != "complete"]
    if failed:
        return [check("case", "; ".join(failed))]
    if one.image_sha256 != other.image_sha256:
        return [check("image", f"{one.image_sha256} and {other.image_sha256}")]
    left, right = (rows.astype({"suite": str, "variant": str})[[*_KEYS, *_COLUMNS]] for rows in (left, right))
    both = left.merge(right, on=_KEYS, suffixes=("_one", "_other"))
    if not len(both) == len(left) == len(right) or both.empty:
        return [check("samples", f"{len(left)} and {len(right)}, of which {len(both)} are the same ones")]
    checks = []
    for name, what in _COLUMNS.items():
        if name == "ticks" and not one.counter == other.counter == "instructions":
            text = f"{one.backend} counts {one.counter}, {other.backend} {other.counter}"
            checks.append(check(what, text, wanted=False))
        else:
            equal, text = _compare_samples(both, name)
            checks.append(check(what, text, equal=equal))
    figures = [(name, getattr(one, name), getattr(other, name)) for name in _RAM]
    equal = _all([_same(a, b) for _, a, b in figures])
    unlike = "; ".join(f"{name}: {a} and {b}" for name, a, b in figures if _same(a, b) is not True)
    return [*checks, check("RAM high-water", unlike or f"{one.ram_peak_bytes} bytes on both", equal=equal)]


def _compare_samples(both: pd.DataFrame, name: str) -> tuple[bool | None, str]:
    """Compare a column of the samples, and say what was seen."""
    same = [_same(a, b) for a, b in zip(both[f"{name}_one"], both[f"{name}_other"], strict=True)]
    equal = _all(same)
    if equal:
        return equal, f"{len(both)} of {len(both)} equal"
    row = both.iloc[same.index(equal)]
    values = f"sample {row['sample']} has {row[f'{name}_one']} and {row[f'{name}_other']}"
    return equal, f"{same.count(equal)} of {len(both)} {'differ' if equal is False else 'are missing'}; {values}"


def _all(same: list[bool | None]) -> bool | None:
    """Join the outcomes of several figures: one that differs decides, then one that is missing."""
    return False if False in same else None if None in same else True


def _same(a: Any, b: Any) -> bool | None:
    """Compare two figures; None if one is missing."""
    import pandas as pd

    return None if pd.isna(a) or pd.isna(b) else bool(a == b)
