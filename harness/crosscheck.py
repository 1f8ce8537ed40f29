"""Two backends, the same images and inputs: whatever an emulator gets wrong, another one hardly gets wrong alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.api import benchmark
from harness.errors import ConfigError
from harness.farm.patience import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.boards.base import Backend
    from harness.farm.patience import Patience
    from harness.store import Results

_KEYS = ["suite", "variant", "sample", "repeat"]
_RAM = ("ram_static_bytes", "ram_arena_bytes", "ram_stack_bytes", "ram_heap_bytes", "ram_peak_bytes")


@dataclass(frozen=True)
class Check:
    """One thing that two backends were compared in.

    Attributes:
        suite: task of the suite.
        variant: name of the variant.
        what: was compared.
        equal: the outcome; None if it can't be compared.
        text: what was seen.
    """

    suite: str
    variant: str
    what: str
    equal: bool | None
    text: str


def crosscheck(
    suites: Sequence[Path],
    device: str,
    backends: tuple[Backend, Backend],
    *,
    samples: int | None,
    results_dir: Path,
    lab_file: Path | None,
    on_run: Callable[[Backend], None] | None = None,
    patience: Patience = NOW,
) -> tuple[list[Check], tuple[Results, Results]]:
    """Measure some suites on two backends, one after the other, and compare all that must be equal.

    Args:
        suites: paths of suite files.
        device: one device or kind.
        backends: the two.
        samples: use only so many inputs of each suite, of each class its share; all if there are no more.
        results_dir: where the two runs go.
        lab_file: devices.yaml, if it isn't the current folder's.
        on_run: called before each run with its backend.
        patience: whether to wait while another run has the board.

    Raises:
        HilError: a suite, the device or a backend is wrong.
    """
    if not suites:
        raise ConfigError("there is no suite to compare on; give one with --suite")
    measured = []
    for backend in backends:
        if on_run is not None:
            on_run(backend)
        measured.append(
            benchmark(
                *suites,
                device=device,
                backend=backend,
                samples=samples,
                results_dir=results_dir,
                lab_file=lab_file,
                patience=patience,
            )
        )
    first, second = measured
    return compare_runs((first.cases, first.samples), (second.cases, second.samples)), (first, second)


Tables = tuple[pd.DataFrame, pd.DataFrame]


def compare_runs(first: Tables, second: Tables) -> list[Check]:
    """Compare two runs of the same suites, each given as its cases and its samples.

    Predictions, outputs, instructions and RAM must be equal to the last digit. Cycles of a real board are not compared
    with instructions. Where a case is missing or failed, nothing else of it is compared, and that is a difference.
    """
    checks: list[Check] = []
    names = [
        frame[["suite", "variant"]].astype(str).itertuples(index=False, name=None) for frame in (first[0], second[0])
    ]
    for suite, variant in dict.fromkeys([*names[0], *names[1]]):
        cases = [_only(frame, suite, variant) for frame in (first[0], second[0])]
        one, other = cases
        if one is None or other is None:
            checks.append(Check(suite, variant, "case", equal=False, text="measured on one of the backends only"))
            continue
        checks += _compare_case(
            suite, variant, one, other, _samples(first[1], suite, variant), _samples(second[1], suite, variant)
        )
    return checks


def _compare_case(
    suite: str, variant: str, one: Any, other: Any, left: pd.DataFrame, right: pd.DataFrame
) -> list[Check]:
    def check(what: str, text: str, *, equal: bool | None = False) -> Check:
        return Check(suite, variant, what, equal, text)

    failed = [f"{case.backend}: {case.status} ({case.reason})" for case in (one, other) if case.status != "complete"]
    if failed:
        return [check("case", "; ".join(failed))]
    if one.image_sha256 != other.image_sha256:
        return [check("image", f"{one.image_sha256} and {other.image_sha256}")]
    both = left.merge(right, on=_KEYS, suffixes=("_one", "_other"))
    if not len(both) == len(left) == len(right) or both.empty:
        return [check("samples", f"{len(left)} and {len(right)}, of which {len(both)} are the same ones")]
    checks = []
    for name, what in (("prediction", "predictions"), ("output_crc", "outputs"), ("ticks", "instructions")):
        if name == "ticks" and not one.counter == other.counter == "instructions":
            text = f"{one.backend} counts {one.counter}, {other.backend} {other.counter}"
            checks.append(check(what, text, equal=None))
        else:
            different = _differences(both, name)
            checks.append(check(what, different or f"{len(both)} of {len(both)} equal", equal=not different))
    figures = [(name, getattr(one, name), getattr(other, name)) for name in _RAM]
    unequal = [f"{name}: {a} and {b}" for name, a, b in figures if not _same(a, b)]
    text = "; ".join(unequal) or f"{one.ram_peak_bytes} bytes on both"
    return [*checks, check("RAM high-water", text, equal=not unequal)]


def _differences(both: pd.DataFrame, name: str) -> str:
    """Say how a column of the samples differs, "" if it doesn't; a missing value equals nothing."""
    equal = [_same(a, b) for a, b in zip(both[f"{name}_one"], both[f"{name}_other"], strict=True)]
    if all(equal):
        return ""
    row = both.iloc[equal.index(False)]
    values = f"{row[f'{name}_one']} and {row[f'{name}_other']}"
    return f"{equal.count(False)} of {len(both)} differ; sample {row['sample']} has {values}"


def _same(a: Any, b: Any) -> bool:
    """Compare two figures; one that is missing equals nothing."""
    return not (pd.isna(a) or pd.isna(b)) and bool(a == b)


def _only(frame: pd.DataFrame, suite: str, variant: str) -> Any:
    rows = frame[(frame["suite"] == suite) & (frame["variant"] == variant)]
    return None if rows.empty else rows.iloc[0]


def _samples(frame: pd.DataFrame, suite: str, variant: str) -> pd.DataFrame:
    rows = frame[(frame["suite"] == suite) & (frame["variant"] == variant)]
    return rows.astype({"suite": str, "variant": str})[[*_KEYS, "prediction", "output_crc", "ticks"]]
