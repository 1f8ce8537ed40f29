"""Nights on a farm that is being shot at, in a small form; benchmarks/farm_night.py does it with 16 boards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm_night import main

SUITE = Path(__file__).parents[2] / "suites" / "japanese_vowels.yaml"


@pytest.mark.slow
def test_a_night_comes_out_right_though_everything_is_killed(monkeypatch, tmp_path, capsys):
    """It is held against a clean run: each case once, equal samples, no good board in quarantine."""
    monkeypatch.delenv("HIL_STATE")
    options = ["--boards", "5", "--hosts", "3", "--samples", "20", "--kills", "5", "--pause", "3", "--seed", "5"]
    code = main(["--folder", str(tmp_path / "farm"), "--suite", str(SUITE), *options])
    figures = json.loads(capsys.readouterr().out)
    assert figures["wrong"] == []
    assert code == 0
    assert (figures["cases"], figures["complete"], figures["exit code"]) == (9, 9, 0)
    assert set(figures["killed"]) == {"board", "worker", "scheduler", "driver"}
    assert sorted(figures["bad"].values()) == ["hangs", "lies", "vanishes"]
