"""The rows of what nobody could measure name the board, the host and the attempts that there were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.small_suite import write_small_suite
from harness import load_results
from harness.config import Lab
from harness.config.nightly import Nightly
from harness.farm.ending import end_night
from harness.farm.night import plan_night
from harness.farm.queue import Queue
from harness.store import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def wish(tmp_path):
    (tmp_path / "devices.yaml").write_text(
        "devices:\n  b1: {kind: nano33, backend: virtual}\n  b2: {kind: nano33, backend: virtual}\n"
    )
    return Nightly(suites=(write_small_suite(tmp_path / "s.yaml", ROOT),), baseline=None)


def test_rows_of_what_was_not_measured(tmp_path, wish, monkeypatch):
    lab = Lab.load(tmp_path / "devices.yaml")
    night = plan_night(Path(os.environ["HIL_STATE"]), lab, wish, tmp_path, tmp_path / "results")
    tried, left = night.cases
    monkeypatch.setenv("HIL_HOST", "host2")
    queue = Queue(night.folder, night.run, "worker")
    queue.failed(queue.claim([tried], queue.states([tried]), "b2"), "b2: silent", "LinkError")
    with Run.join(night.run, {}, "worker") as run:
        keys = {"board": tried.kind, "backend": tried.backend, "suite": tried.task, "variant": tried.variant}
        record = run.begin_case(number=tried.number, device="b2", **keys)
        record.restart("silent (next: reset)")

    monkeypatch.setenv("HIL_HOST", "host1")
    outcome = end_night(night, wish, None, Queue(night.folder, night.run, "end"), ())
    assert dict(outcome.counts) == {"complete": 0, "failed": 1, "skipped": 1}
    rows = load_results(night.run).cases.set_index("case")
    wanted = ["status", "device", "pool", "host", "attempts"]
    assert rows.loc[tried.number, wanted].tolist() == ["failed", "b2", "nano33", "host2", 2]
    assert rows.loc[left.number, wanted].tolist() == ["skipped", "nano33", "nano33", "host1", 0]
    assert rows.loc[tried.number, "reason"] == "b2: b2: silent"
