"""The run that just ended, held against its baseline: what `--hil-baseline` and `--hil-fail-on` ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from harness.errors import ConfigError, StoreError
from harness.report.baseline import against_baseline, find_baseline
from harness.report.gate import Gate, Limit, check_limits, make_policy, parse_limits
from harness.report.text import render_comparison, render_gate
from harness.store import load_results
from harness.store.verdicts import ORDER, add_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.report.frame import Comparison
    from harness.report.history import Series

#: Baselines that may have no runs yet: on the first night there is nothing to compare, and nothing wrong.
_GROWING = ("latest", "history:")


@dataclass
class Judge:
    """Holds runs against a baseline, and remembers what came of it; `regressed` says that a limit was exceeded."""

    baseline: str
    limits: tuple[Limit, ...]
    results_dir: Path
    regressed: bool = False
    _judged: list[tuple[Comparison, tuple[Series, ...], Gate | None]] = field(default_factory=list)
    _silent: list[str] = field(default_factory=list)

    @classmethod
    def build(cls, baseline: str | None, fail_on: str | None, results_dir: Path) -> Self:
        """Check that the baseline is there and the limits can be understood, before anything is measured.

        Raises:
            ConfigError: a limit can't be understood, or there is no such baseline, or none was given.
        """
        if baseline is None:
            raise ConfigError("--hil-fail-on needs --hil-baseline: worse than what?")
        limits = () if fail_on is None else parse_limits(fail_on)
        if not baseline.startswith(_GROWING):
            try:
                find_baseline(baseline, results_dir)
            except StoreError as error:
                raise ConfigError(f"--hil-baseline {baseline}: {error}") from error
        return cls(baseline, limits, results_dir)

    def compare(self, folders: Sequence[Path]) -> None:
        """Hold finished runs against the baseline.

        What came of the limits is added to the cases of the run.

        Args:
            folders: the folders of this session's runs; several if it had several processes.

        Raises:
            StoreError: it can't be added.
        """
        policy = make_policy(self.limits, None)
        for folder in folders:
            try:
                current = load_results(folder)
                comparison, series = against_baseline(current, folder, self.baseline, self.results_dir, policy)
            except StoreError as error:
                self._silent.append(str(error))
                continue
            gate = check_limits(comparison, self.limits, series) if self.limits else None
            self._judged.append((comparison, series, gate))
            if gate is not None:
                self.regressed = self.regressed or gate.outcome == "regression"
                add_verdicts(folder, _verdicts(gate, self.baseline))

    def sections(self, *, width: int, color: bool) -> Iterator[tuple[str, str, dict[str, bool]]]:
        """Yield title, text and markup of what the terminal shows.

        Args:
            width: columns of the terminal.
            color: whether it understands colours.
        """
        for reason in self._silent:
            yield "baseline", f"Not compared with {self.baseline}: {reason}", {"yellow": True}
        for comparison, series, gate in self._judged:
            yield "baseline", render_comparison(comparison, width=width, color=color, series=series), {}
            if gate is None:
                continue
            words, markup = "\n".join(render_gate(gate)), {}
            if gate.outcome == "regression":
                words, markup = f"{words}\nThe run fails: it is worse than {self.baseline}.", {"red": True}
            elif gate.outcome != "ok":
                words += "\nThe run doesn't fail for what can't be told; `hil compare --fail-on` ends with 6 then."
            yield "regression gate", words, markup


def _verdicts(gate: Gate, baseline: str) -> dict[int, tuple[str, str | None]]:
    """Return what a gate says of each case, by its number: the worst of its checks, and the reasons of those."""
    words = {"ok": "passed", "regression": "failed"}
    found: dict[int, str] = {}
    reasons: dict[int, list[str]] = {}
    for check in gate.checks:
        if check.case is None:
            continue
        number, verdict = check.case.case, words.get(check.outcome, "unchecked")
        found[number] = max(found.get(number, "passed"), verdict, key=ORDER.index)
        if verdict != "passed":
            start = "not checked: " if verdict == "unchecked" else ""
            reasons.setdefault(number, []).append(f"{start}{check.reason} (against {baseline})")
    return {number: (verdict, "; ".join(reasons.get(number, ())) or None) for number, verdict in found.items()}
