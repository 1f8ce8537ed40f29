"""Two backends, the same images and inputs: whatever an emulator gets wrong, another one hardly gets wrong alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from harness.api import benchmark
from harness.errors import ConfigError
from harness.locks.waiting import NOW
from harness.report.gate import EXIT_CODES as GATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.boards.base import Backend
    from harness.locks.waiting import Patience
    from harness.store import Results

_KEYS = ["suite", "variant", "sample", "repeat"]
_RAM = ("ram_static_bytes", "ram_arena_bytes", "ram_stack_bytes", "ram_heap_bytes", "ram_peak_bytes")

Verdict = Literal["agree", "differ", "not compared"]

#: What a job that runs `hil crosscheck` sees; each means what it does for `hil compare`.
EXIT_CODES: Final[dict[Verdict, int]] = {
    "agree": GATE["ok"],
    "differ": GATE["regression"],
    "not compared": GATE["can't tell"],
}


@dataclass(frozen=True)
class Check:
    """One thing that two backends were compared in.

    Attributes:
        suite: task of the suite.
        variant: name of the variant.
        what: was compared.
        equal: the outcome; None if it wasn't compared.
        text: what was seen, or why it wasn't compared.
        wanted: whether a verdict needs it. Cycles and instructions, for one, can't ever be compared.
    """

    suite: str
    variant: str
    what: str
    equal: bool | None
    text: str
    wanted: bool = True


def verdict(checks: Sequence[Check]) -> Verdict:
    """Say what came of all checks: one difference makes them differ, and who is to agree must have been compared."""
    if any(check.equal is False for check in checks):
        return "differ"
    missing = any(check.equal is None and check.wanted for check in checks)
    return "not compared" if missing or not any(check.equal for check in checks) else "agree"


def measure(
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
    with instructions. Where a case is missing or failed, or was measured with another image or other inputs, nothing
    of it is compared: what a backend didn't say is neither equal nor different.
    """
    checks: list[Check] = []
    names = [
        frame[["suite", "variant"]].astype(str).itertuples(index=False, name=None) for frame in (first[0], second[0])
    ]
    for suite, variant in dict.fromkeys([*names[0], *names[1]]):
        cases = [_only(frame, suite, variant) for frame in (first[0], second[0])]
        one, other = cases
        if one is None or other is None:
            checks.append(Check(suite, variant, "case", equal=None, text="measured on one of the backends only"))
            continue
        checks += _compare_case(
            suite, variant, one, other, _samples(first[1], suite, variant), _samples(second[1], suite, variant)
        )
    return checks


def _compare_case(
    suite: str, variant: str, one: Any, other: Any, left: pd.DataFrame, right: pd.DataFrame
) -> list[Check]:
    def check(what: str, text: str, *, equal: bool | None = None, wanted: bool = True) -> Check:
        return Check(suite, variant, what, equal, text, wanted)

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
    return None if pd.isna(a) or pd.isna(b) else bool(a == b)


def _only(frame: pd.DataFrame, suite: str, variant: str) -> Any:
    rows = frame[(frame["suite"] == suite) & (frame["variant"] == variant)]
    return None if rows.empty else rows.iloc[0]


def _samples(frame: pd.DataFrame, suite: str, variant: str) -> pd.DataFrame:
    rows = frame[(frame["suite"] == suite) & (frame["variant"] == variant)]
    return rows.astype({"suite": str, "variant": str})[[*_KEYS, "prediction", "output_crc", "ticks"]]
