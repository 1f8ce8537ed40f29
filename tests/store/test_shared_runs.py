"""A run that several processes write: each case counts once, whoever is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import load_results
from harness.errors import StoreError
from harness.store import Run, recover
from harness.store.attempts import attempts_of
from harness.store.commits import commit, committed
from harness.store.folders import point_latest, run_name, writer_name
from harness.store.journal import journals
from harness.store.runs import finish_shared

if TYPE_CHECKING:
    from harness.store.cases import CaseRecord

KEYS = {"device": "bench-1", "board": "nano33", "backend": "virtual", "suite": "digits"}
ABOUT = {"harness_version": "1.2", "seed": 7}


def measure(record: CaseRecord, samples: int, ticks: int = 100) -> dict[str, object]:
    for sample in range(samples):
        record.sample(sample=sample, label=0, prediction=0, ticks=ticks, output_crc=1)
    return record.finish(status="complete", accuracy=1.0, ticks_median=float(ticks))


def attempt(record: CaseRecord, device: str, second: int, error: str | None = None) -> None:
    record.attempt_ended(
        device=device,
        stage="measure",
        outcome="ok" if error is None else "failed",
        error=error,
        answered=True,
        seconds=1.5,
        ended=datetime(2026, 3, 1, 12, 0, second, tzinfo=UTC),
    )


def test_the_attempts_of_all_writers_are_counted_in_the_order_in_which_they_ended(tmp_path):
    path = tmp_path / run_name()
    first, second = (Run.join(path, ABOUT, name) for name in ("z", "a"))
    given_up = first.begin_case(**KEYS, variant="a", number=0, host="h1")
    attempt(given_up, "bench-1", 1, "LinkError")
    given_up.restart("silent")
    attempt(given_up, "bench-1", 3, "ProbeError")
    taken = second.begin_case(**KEYS, variant="a", number=0, host="h2")
    attempt(taken, "bench-2", 7)
    measure(taken, 2)
    going = attempts_of(path)
    first.close()
    second.close()
    recover(path)
    rows = load_results(path).attempts
    assert rows[["attempt", "device", "host", "error"]].astype(object).fillna("").to_numpy().tolist() == [
        [1, "bench-1", "h1", "LinkError"],
        [2, "bench-1", "h1", "ProbeError"],
        [3, "bench-2", "h2", ""],
    ]
    assert load_results(path).cases.attempts.tolist() == [3]
    assert [{**row, "attempt": number} for number, row in enumerate(going, 1)] == attempts_of(path)
    (path / "attempts.parquet").unlink()  # as in runs of before there was the table
    assert load_results(path).attempts.empty
    assert attempts_of(path) == []


def test_threads_that_begin_one_run_at_once_do_not_get_in_each_others_way(tmp_path):
    name = run_name()
    (tmp_path / name).mkdir()

    def point(_):
        for _ in range(50):
            point_latest(tmp_path, name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(point, range(8)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "latest"]


def test_writers_cases_become_one_run(tmp_path):
    path = tmp_path / run_name()
    first, second = (Run.join(path, ABOUT, name) for name in ("host1.11", "host2.7"))
    measure(second.begin_case(**KEYS, variant="a", number=0), 3)
    measure(first.begin_case(**KEYS, variant="b", number=1), 4)
    measure(second.begin_case(**KEYS, variant="c", number=2), 2)
    first.close()
    with pytest.raises(StoreError, match="still going"):
        finish_shared(path, patience_s=0)
    second.close()
    finish_shared(path)

    results = load_results(tmp_path / "latest")
    assert results.cases[["case", "variant", "status", "samples"]].to_numpy().tolist() == [
        [0, "a", "complete", 3],
        [1, "b", "complete", 4],
        [2, "c", "complete", 2],
    ]
    assert results.samples.groupby("variant", observed=True).size().to_dict() == {"a": 3, "b": 4, "c": 2}
    assert sorted(file.name for file in path.iterdir()) == ["cases.parquet", "run.json", "samples.parquet"]
    with pytest.raises(StoreError, match="has ended"):
        Run.join(path, ABOUT, "late")
    assert finish_shared(path) is None  # whoever comes second changes nothing
    assert len(load_results(path).cases) == 3


def test_a_case_that_two_writers_measured_counts_for_the_first(tmp_path):
    path = tmp_path / run_name()
    frozen, other = (Run.join(path, ABOUT, name) for name in ("a", "b"))
    slow = frozen.begin_case(**KEYS, variant="int8", number=0)
    slow.sample(sample=0, label=0, prediction=0, ticks=1, output_crc=1)
    assert other.finished(0) is None
    assert measure(other.begin_case(**KEYS, variant="int8", number=0), 2, ticks=200)["ticks_median"] == 200
    assert other.finished(0)["ticks_median"] == 200
    # The writer that stood still goes on; the row that it gets is the one that counts.
    assert slow.finish(status="complete", accuracy=0.0, ticks_median=1.0)["ticks_median"] == 200
    frozen.close()
    other.close()
    finish_shared(path)

    results = load_results(path)
    assert results.cases[["ticks_median", "samples", "attempts"]].to_numpy().tolist() == [[200, 2, 2]]
    assert results.samples["ticks"].tolist() == [200, 200]


def test_a_folder_that_is_removed_while_it_is_listed_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda _self: True)  # it was there a moment ago
    assert journals(tmp_path / "gone") == []
    assert committed(tmp_path / "gone") == {}


@pytest.mark.parametrize("finish", [finish_shared, recover])
def test_a_power_cut_while_the_journals_are_removed_loses_no_case(tmp_path, monkeypatch, finish):
    path = tmp_path / run_name()
    for number, name in enumerate(("a", "b", "c")):
        with Run.join(path, ABOUT, name) as run:
            measure(run.begin_case(**KEYS, variant=name, number=number), 2)
    unlink, cut = Path.unlink, []

    def power_cut(self, missing_ok=False):  # noqa: FBT002 (as Path has it)
        if self.suffix == ".jsonl" and cut:
            raise KeyboardInterrupt
        cut.extend([self] if self.suffix == ".jsonl" else [])
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", power_cut)
        with pytest.raises(KeyboardInterrupt):
            finish_shared(path)
    assert (len(cut), len(journals(path))) == (1, 2)
    assert finish(path) is None
    assert load_results(path).cases["variant"].tolist() == ["a", "b", "c"]
    assert sorted(file.name for file in path.iterdir()) == ["cases.parquet", "run.json", "samples.parquet"]


def test_a_writer_has_another_name_each_time_that_can_be_a_files():
    names = {writer_name("lab-pc 2/é", "bench-1") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"lab_pc_2__\.bench_1\.[0-9a-f]{8}", name) for name in names)


def test_who_joins_late_leaves_the_newest_run_the_latest(tmp_path):
    path = tmp_path / run_name()
    with Run.join(path, ABOUT, "a"):
        assert (tmp_path / "latest").resolve() == path
    with Run.create(tmp_path, ABOUT) as newer, Run.join(path, ABOUT, "b"):
        assert (tmp_path / "latest").resolve() == newer.path


def test_a_writer_begins_a_case_once(tmp_path):
    with Run.join(tmp_path / run_name(), ABOUT, "a") as run:
        run.begin_case(**KEYS, variant="int8", number=7)
        with pytest.raises(ValueError, match="case 7 has begun already"):
            run.begin_case(**KEYS, variant="int8", number=7)


def test_of_many_commits_one_counts(tmp_path):
    names = [f"w{number}" for number in range(32)]
    with ThreadPoolExecutor(16) as pool:
        counted = set(pool.map(lambda name: commit(tmp_path, 5, name), names))
    assert len(counted) == 1
    assert committed(tmp_path) == {5: counted.pop()}


_WRITER = """
import os, sys, time
from pathlib import Path
from harness.store import Run
run = Run.join(Path(sys.argv[1]), {"harness_version": "1.2"}, sys.argv[2])
case = run.begin_case(device="bench-2", board="nano33", backend="virtual", suite="digits", variant="x", number=3)
case.sample(sample=0, label=0, prediction=0, ticks=9, output_crc=1)
if sys.argv[3] == "finish":
    case.finish(status="complete", accuracy=1.0, ticks_median=9.0)
print("ready", flush=True)
time.sleep(60)
"""


def killed_writer(path: Path, name: str, what: str) -> None:
    command = [sys.executable, "-c", _WRITER, str(path), name, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(StoreError, match="still going"):
            finish_shared(path, patience_s=0)
        os.kill(process.pid, signal.SIGKILL)


def test_a_killed_writers_case_is_measured_by_another_one(tmp_path):
    path = tmp_path / run_name()
    killed_writer(path, "dead", "measure")
    with Run.join(path, ABOUT, "alive") as run:
        assert run.finished(3) is None
        measure(run.begin_case(**KEYS, variant="x", number=3), 2)
    finish_shared(path)
    results = load_results(path)
    assert results.cases[["device", "status", "samples", "attempts"]].to_numpy().tolist() == [
        ["bench-1", "complete", 2, 2]
    ]
    assert results.samples["ticks"].tolist() == [100, 100]


def test_a_killed_writers_finished_case_stays(tmp_path):
    path = tmp_path / run_name()
    killed_writer(path, "dead", "finish")
    with Run.join(path, ABOUT, "alive") as run:
        assert run.finished(3)["ticks_median"] == 9
    assert len(journals(path)) == 2
    recover(path)
    assert load_results(path).cases[["device", "status", "ticks_median"]].to_numpy().tolist() == [
        ["bench-2", "complete", 9.0]
    ]


def test_a_case_that_nobody_finished_is_failed(tmp_path):
    path = tmp_path / run_name()
    killed_writer(path, "dead", "measure")
    recover(path)
    cases = load_results(path).cases
    assert cases[["status", "reason"]].to_numpy().tolist() == [["failed", "run was interrupted"]]
    assert cases["accuracy"].isna().all()


def test_a_sample_that_a_signal_kept_from_being_counted_is_no_damage(tmp_path):
    with Run.create(tmp_path, ABOUT) as run:
        case = run.begin_case(**KEYS, variant="int8")
        case.sample(sample=0, label=0, prediction=0, ticks=1, output_crc=1)
        case.recorded = 0  # what is left of it if Ctrl-C ends `sample` after it wrote the line
        case.finish(status="failed", reason="interrupted after 0 samples")
    assert load_results(run.path).cases[["reason", "samples"]].to_numpy().tolist() == [
        ["interrupted after 0 samples", 1]
    ]


def test_a_run_that_nobody_wrote_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="nobody has written anything"):
        finish_shared(tmp_path)
