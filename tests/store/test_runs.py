from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from filelock import BaseFileLock, FileLock

from harness import schema
from harness.case_parts import SAMPLES
from harness.errors import StoreError
from harness.schema import CASES, SCHEMA_VERSION
from harness.store import Run, find_run, list_runs, load_results, recover
from harness.store.folders import newest_run
from harness.store.journal import write_error
from harness.store.tables import arrow_schema, table_of

KEYS = {"device": "nano33", "board": "nano33", "backend": "virtual", "suite": "digits", "variant": "int8"}


def record(case, count=3, start=0):
    for sample in range(start, start + count):
        case.sample(sample=sample, label=sample % 3, prediction=1, ticks=1000 + sample, output_crc=2**32 - 1)


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "results", {"harness_version": "1.2", "seed": 7, "host": "x"}) as run:
        yield run


def test_a_complete_run(run, tmp_path):
    case = run.begin_case(**KEYS, technique="int8", baseline="float32")
    record(case)
    row = case.finish(
        status="complete", accuracy=np.float64(1 / 3), accuracy_low=0.1, accuracy_high=0.8, ticks_min=1000
    )
    run.close()
    assert set(row) == {column.name for column in CASES}
    assert (row["samples"], row["counter"], row["attempts"], row["harness_version"]) == (3, "instructions", 1, "1.2")

    results = load_results(tmp_path / "results" / "latest")
    assert list(results.cases.columns) == [column.name for column in CASES]
    assert list(results.samples.columns) == [column.name for column in SAMPLES]
    loaded = results.cases.iloc[0]
    assert (loaded.run, loaded.status, loaded.seed, loaded.accuracy) == (run.path.name, "complete", 7, 1 / 3)
    assert loaded.started_utc.tzinfo is not None
    assert results.samples.ticks.tolist() == [1000, 1001, 1002]
    assert results.samples.output_crc.tolist() == [2**32 - 1] * 3
    assert results.samples.variant.tolist() == ["int8"] * 3
    assert sorted(path.name for path in run.path.iterdir()) == ["cases.parquet", "run.json", "samples.parquet"]


def test_few_rows_become_the_table_that_pyarrow_makes_of_them():
    strange = {
        "string": 'é"\n\x00',
        "Int64": -(2**63),
        "Float64": 5e-324,
        "datetime": datetime(2026, 3, 1, 1, 2, 3, 4, UTC),
    }
    usual = {"string": "", "Int64": 2.0, "Float64": 3, "datetime": "2026-03-01T12:00:00.5+01:00"}
    rows = [{column.name: values[column.dtype] for column in CASES} for values in (strange, usual)]
    schema = arrow_schema(CASES)
    known = [{**row, "started_utc": pd.Timestamp(row["started_utc"])} for row in rows]
    assert table_of([*rows, {}], schema).equals(pa.Table.from_pylist([*known, {}], schema), check_metadata=True)
    for wrong in (
        {"case": 1.5},
        {"case": 2**63},
        {"case": "1"},
        {"device": 1},
        {"accuracy": "x"},
        {"accuracy": float("nan")},
    ):
        with pytest.raises((ValueError, pa.ArrowException)):
            table_of([wrong], schema)


def test_missing_is_na_in_its_own_type(run):
    run.begin_case(**KEYS).finish(status="skipped", reason="no image")
    run.close()
    cases = load_results(run.path).cases
    types = {"string": "string", "Int64": "Int64", "Float64": "Float64", "datetime": "datetime64[us, UTC]"}
    assert {name: str(dtype) for name, dtype in cases.dtypes.items()} == {c.name: types[c.dtype] for c in CASES}
    row = cases.iloc[0]
    for name in ("accuracy", "ticks_median", "latency_us_median", "energy_uj", "flash_bytes", "build_id"):
        assert row[name] is pd.NA
    assert "emulator" in row.latency_reason
    assert row.energy_reason == "the case is skipped"


def test_run_json_says_what_ran(run):
    run.close()
    run.close()
    about = json.loads((run.path / "run.json").read_text())
    assert (about["run"], about["state"], about["host"]) == (run.path.name, "closed", "x")
    assert about["schema_version"] == SCHEMA_VERSION
    assert about["started_utc"] < about["ended_utc"]
    assert load_results(run.path).cases.empty


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"status": "failed", "reason": "dead", "accuracy": 0.5}, "has no accuracy"),
        ({"status": "failed", "reason": "dead", "ticks_median": 5.0}, "has no ticks_median"),
        ({"status": "complete", "latency_us_median": 1.0}, "virtual backend has no latency"),
        ({"status": "complete", "counter": "cycles"}, "doesn't count cycles"),
        ({"status": "complete", "acuracy": 0.5}, "no column 'acuracy'"),
        ({"status": "complete", "accuracy": float("nan")}, "accuracy is nan"),
        ({"status": "complete", "reason": "because"}, "has a reason, and only that"),
        ({"status": "failed"}, "has a reason, and only that"),
        ({"status": "complete", "samples": 5}, "0 samples were recorded, not 5"),
    ],
)
def test_what_cannot_be_true_is_refused(run, columns, words):
    with pytest.raises(ValueError, match=words):
        run.begin_case(**KEYS).finish(**columns)


def test_hardware_has_latency(run):
    case = run.begin_case(**{**KEYS, "backend": "hardware"})
    row = case.finish(status="complete", latency_us_median=5.0, ticks_median=320.0)
    assert (row["counter"], row["latency_us_median"], row["latency_reason"]) == ("cycles", 5.0, None)


def test_a_sample_is_recorded_once(run):
    case = run.begin_case(**KEYS)
    record(case, 1, start=9000)
    case.sample(sample=9000, label=0, prediction=1, ticks=5, output_crc=0, repeat=1)
    with pytest.raises(ValueError, match="sample 9000, repeat 0 is recorded twice"):
        record(case, 1, start=9000)
    case.finish(status="complete")
    with pytest.raises(ValueError, match="has ended"):
        record(case, 1)


def test_a_restarted_case_keeps_only_its_last_attempt(run):
    first, second = run.begin_case(**KEYS), run.begin_case(**{**KEYS, "variant": "float32"})
    record(first, 5)
    record(second, 2)
    first.restart("the link was lost")
    record(first, 3)
    assert first.finish(status="complete")["attempts"] == 2
    second.finish(status="complete")
    run.close()
    results = load_results(run.path)
    assert results.cases.samples.tolist() == [3, 2]
    assert results.samples.groupby("variant").size().to_dict() == {"float32": 2, "int8": 3}


def test_a_case_that_did_not_end_is_failed(run):
    record(run.begin_case(**KEYS), 2)
    run.close()
    results = load_results(run.path)
    assert (results.cases.status[0], results.cases.reason[0]) == ("failed", "run was interrupted")
    assert results.cases.samples[0] == len(results.samples) == 2


def test_more_samples_than_a_chunk(run, monkeypatch):
    monkeypatch.setattr("harness.store.tables.CHUNK_ROWS", 10)
    case = run.begin_case(**KEYS)
    record(case, 25)
    case.finish(status="complete")
    run.close()
    assert load_results(run.path).samples["sample"].tolist() == list(range(25))


LAYERS = [
    {
        "operator": "CONV_2D",
        "position": 0,
        "kernel": "hil_conv_s8",
        "output_shape": "1x28x28x8",
        "ticks": np.int64(900),
    },
    {"operator": "FULLY_CONNECTED", "macs": 640, "moved_bytes": 800, "parameters": 650},
]


def test_layers_of_a_profiled_inference(run):
    plain, profiled = run.begin_case(**KEYS), run.begin_case(**{**KEYS, "variant": "float32"})
    for case in (plain, profiled):
        record(case)
    profiled.layers(LAYERS)
    for case in (plain, profiled):
        case.finish(status="complete")
    run.close()
    layers = load_results(run.path).layers
    assert list(layers.columns) == [column.name for column in schema.LAYERS]
    assert layers["layer"].tolist() == [0, 1]
    assert (layers["case"].tolist(), layers["variant"].tolist()) == ([1, 1], ["float32", "float32"])
    assert (layers["ticks"].tolist(), layers["macs"].tolist()) == ([900, pd.NA], [pd.NA, 640])


def test_layers_of_an_attempt_that_failed_are_dropped(run):
    case = run.begin_case(**KEYS)
    case.layers(LAYERS)
    case.restart("the link was lost")
    record(case)
    case.layers(LAYERS[:1])
    case.finish(status="complete")
    run.close()
    assert load_results(run.path).layers["operator"].tolist() == ["CONV_2D"]


def test_a_run_without_layers_has_an_empty_table(run):
    run.begin_case(**KEYS).finish(status="skipped", reason="no image")
    run.close()
    assert not (run.path / "layers.parquet").exists()
    layers = load_results(run.path).layers
    assert (len(layers), list(layers.columns)) == (0, [column.name for column in schema.LAYERS])


@pytest.mark.parametrize(
    ("rows", "words"),
    [([], "at least one"), ([{"operator": "ADD", "cycles": 5}], "no column 'cycles'"), ([{"layer": 3}], "'layer'")],
)
def test_layers_that_are_none_are_refused(run, rows, words):
    with pytest.raises(ValueError, match=words):
        run.begin_case(**KEYS).layers(rows)


def test_layers_are_recorded_once(run):
    case = run.begin_case(**KEYS)
    case.layers(LAYERS)
    with pytest.raises(ValueError, match="once"):
        case.layers(LAYERS)
    case.finish(status="complete")
    with pytest.raises(ValueError, match="has ended"):
        case.layers(LAYERS)


def test_logs(run):
    run.log("nano33", "boot")
    run.log("nano33", "ready\n")
    assert (run.path / "logs" / "nano33.log").read_text() == "boot\nready\n"


def test_latest_points_at_the_newest(tmp_path):
    for _ in range(2):
        run = Run.create(tmp_path, {})
        run.close()
        assert find_run(tmp_path / "latest") == run.path


def test_a_clock_that_was_set_back_hides_no_run(tmp_path, monkeypatch):
    for name in ("20260102T000000Z-aaaaaa", "20260101T000000Z-bbbbbb", "20260101T000001Z-cccccc"):
        monkeypatch.setattr("harness.store.runs.run_name", lambda name=name: name)
        Run.create(tmp_path, {}).close()
    shutil.rmtree(tmp_path / "20260101T000000Z-bbbbbb")
    assert newest_run(tmp_path) == name
    (tmp_path / "latest").unlink()
    with pytest.raises(StoreError, match=f"the newest of 2 in .* is {name}"):
        find_run(tmp_path / "latest")


def test_latest_may_be_a_file(tmp_path, monkeypatch):
    def no_links(*_args, **_kwargs):
        raise OSError("not on this file system")

    monkeypatch.setattr("pathlib.Path.symlink_to", no_links)
    run = Run.create(tmp_path, {})
    run.close()
    assert (tmp_path / "latest").read_text() == f"{run.path.name}\n"
    assert find_run(tmp_path / "latest") == run.path
    assert len(load_results(tmp_path / "latest").cases) == 0


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from harness.store import Run
    run = Run.create(Path(sys.argv[1]), {"harness_version": "1"})
    keys = dict(device="d", board="nano33", backend="virtual", suite="s")
    done = run.begin_case(**keys, variant="a")
    for i in range(4):
        done.sample(sample=i, label=0, prediction=0, ticks=5, output_crc=1)
    done.layers([{"operator": "CONV_2D", "ticks": 4}])
    done.finish(status="complete", accuracy=1.0)
    half = run.begin_case(**keys, variant="b")
    for i in range(2):
        half.sample(sample=i, label=0, prediction=0, ticks=5, output_crc=1)
    os.kill(os.getpid(), signal.SIGKILL)
""")


@pytest.fixture
def killed(tmp_path):
    process = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert process.returncode == -signal.SIGKILL
    return find_run(tmp_path / "latest")


def test_a_killed_run_loses_nothing(killed):
    with pytest.raises(StoreError, match="hil results recover"):
        load_results(killed)
    recover(killed)
    results = load_results(killed)
    assert results.cases.status.tolist() == ["complete", "failed"]
    assert results.cases.reason.tolist() == [pd.NA, "run was interrupted"]
    assert results.cases.accuracy.tolist() == [1.0, pd.NA]
    assert results.samples.groupby("variant").size().to_dict() == {"a": 4, "b": 2}
    assert results.layers["ticks"].tolist() == [4]
    with pytest.raises(StoreError, match="nothing to recover"):
        recover(killed)
    assert json.loads((killed / "run.json").read_text())["state"] == "recovered"


def test_a_torn_last_line_costs_only_itself(killed):
    journal = killed / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-3])
    assert recover(killed).damaged_lines == 1
    results = load_results(killed)
    assert results.cases.samples.tolist() == [4, 1]


def test_a_complete_case_that_lost_a_sample_is_not_scored(killed):
    journal = killed / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"5", b"6", 1) if b"5" in lines[2][-30:] else b"spoiled\n"
    journal.write_bytes(b"".join(lines))
    recover(killed)
    case = load_results(killed).cases.iloc[0]
    assert (case.status, case.reason) == ("failed", "journal is damaged: 3 of 4 samples are left")
    assert case.accuracy is pd.NA


def test_a_power_cut_between_the_tables_and_the_journal(killed):
    journal = (killed / "journal.jsonl").read_bytes()
    recover(killed)
    (killed / "journal.jsonl").write_bytes(journal)
    recover(killed)
    assert len(load_results(killed).samples) == 6


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
def test_the_lock_of_who_comes_next_is_not_removed_under_him(run, monkeypatch):
    release, following = BaseFileLock.release, []

    def release_and_lose(self, force=False):  # noqa: FBT002 (as filelock has it)
        release(self, force)
        if not following:
            following.append(FileLock(self.lock_file))
            following[0].acquire(timeout=0)

    with monkeypatch.context() as patch:
        patch.setattr(BaseFileLock, "release", release_and_lose)
        run.close()
    (lock,) = following
    assert Path(lock.lock_file).exists()
    lock.release()


def test_a_running_run_is_not_recovered(run):
    with pytest.raises(StoreError, match="still going"):
        recover(run.path)


@pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX")
def test_a_full_disk_keeps_the_journal_valid(tmp_path):
    # The limit on file size makes the kernel refuse the write half way, as a full disk does; -B, as it would cut off
    # compiled modules, too.
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from harness.errors import StoreError
        from harness.store import Run
        run = Run.create(Path(sys.argv[1]), {})
        case = run.begin_case(device="d", board="nano33", backend="virtual", suite="s", variant="a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        count = 0
        try:
            while True:
                case.sample(sample=count, label=0, prediction=0, ticks=5, output_crc=1)
                count += 1
        except StoreError as error:
            print(error, file=sys.stderr)
        try:
            run.close()
        except StoreError:
            print(count)
    """)
    done = subprocess.run([sys.executable, "-B", "-c", script, tmp_path], check=True, capture_output=True, text=True)
    assert "the results folder can't be written" in done.stderr
    assert f"hil results recover {find_run(tmp_path / 'latest')}" in done.stderr
    written = int(done.stdout)
    assert written > 5
    assert recover(find_run(tmp_path / "latest")).damaged_lines == 0
    assert len(load_results(tmp_path).samples) == written


def test_a_results_folder_that_is_a_file(tmp_path):
    (tmp_path / "results").touch()
    with pytest.raises(StoreError, match="can't be written"):
        Run.create(tmp_path / "results", {})


@pytest.mark.skipif(sys.platform != "linux", reason="finds the open file through /proc")
def test_tables_that_read_back_damaged_leave_the_journal(run, monkeypatch):
    record(run.begin_case(**KEYS))
    write = os.fsync

    def spoil(handle):
        if Path(f"/proc/self/fd/{handle}").readlink().name.endswith(".parquet.tmp"):
            os.pwrite(handle, b"\xff" * 40, 8)
        write(handle)

    monkeypatch.setattr(os, "fsync", spoil)
    with pytest.raises(StoreError, match="the journal is kept"):
        run.close()
    monkeypatch.undo()
    assert not (run.path / "cases.parquet").exists()
    recover(run.path)
    assert len(load_results(run.path).samples) == 3


def test_load_several_runs_and_a_folder(tmp_path):
    for variant in ("a", "b"):
        with Run.create(tmp_path, {}) as run:
            record(run.begin_case(**{**KEYS, "variant": variant}), 2)
    runs = [info.path for info in list_runs(tmp_path)]
    assert len(load_results(runs).cases) == len(load_results(tmp_path).cases) == 2
    assert len(load_results([runs[0], runs[0]]).cases) == 1
    assert len(load_results(tmp_path).samples) == 4


def test_an_unfinished_run_in_a_folder_is_left_out_with_a_warning(tmp_path):
    with Run.create(tmp_path, {}) as run:
        run.begin_case(**KEYS)
    with Run.create(tmp_path, {}) as going:
        with pytest.warns(UserWarning, match=f"left out: .*{going.path.name} is unfinished"):
            assert len(load_results(tmp_path).cases) == 1
        assert [info.state for info in list_runs(tmp_path)].count("unfinished") == 1


def test_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError):
            load_results(path)
    with pytest.raises(StoreError, match="no such results folder"):
        list_runs(tmp_path / "none")
    run = Run.create(tmp_path, {})
    run.close()
    (run.path / "cases.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(StoreError, match="is damaged"):
        load_results(run.path)
    assert [info.state for info in list_runs(tmp_path)] == ["damaged"]


def test_newer_results_are_refused(run, monkeypatch):
    run.close()
    monkeypatch.setattr("harness.store.tables.SCHEMA_VERSION", SCHEMA_VERSION - 1)
    with pytest.raises(StoreError, match="written by a newer harness"):
        load_results(run.path)


@pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX")
def test_who_has_no_file_descriptor_left_is_told_so_and_nothing_of_a_full_disk(tmp_path):
    script = textwrap.dedent("""
        import os, resource, sys
        from pathlib import Path
        from harness.errors import StoreError
        from harness.store import Run
        def starve():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            try:
                while True:
                    os.open(os.devnull, os.O_RDONLY)
            except OSError:
                pass
        run = Run.create(Path(sys.argv[1]), {})
        starve()
        for act in (lambda: Run.create(Path(sys.argv[1]), {}), lambda: run.log("d", "x")):
            try:
                act()
            except StoreError as error:
                print(error)
    """)
    done = subprocess.run([sys.executable, "-B", "-c", script, tmp_path], check=True, capture_output=True, text=True)
    assert done.stdout.count("this computer lets no more files be opened: ") == 2
    assert "ulimit -n" in done.stdout
    assert "full" not in done.stdout
    assert "recover" not in done.stdout  # its journal is empty


def test_a_full_disk_is_told_with_what_can_be_saved(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    run = Run.create(tmp_path, {})
    assert "results folder is full" in str(write_error(run.path, full, run.path))
    assert "recover" not in str(write_error(run.path, full, run.path))
    run.begin_case(device="d", board="nano33", backend="virtual", suite="s", variant="a")
    assert f"Free some space, then finish the run with\n  hil results recover {run.path}" in str(
        write_error(run.path, full, run.path)
    )
    run.close()
    assert "recover" not in str(write_error(run.path, full, run.path))


def test_where_latest_is_lost_the_runs_that_exist_are_named(tmp_path):
    with pytest.raises(StoreError, match="there are none beside it"):
        find_run(tmp_path / "latest")
    Run.create(tmp_path, {}).close()
    run = find_run(tmp_path / "latest")
    (tmp_path / "latest").unlink()
    words = f"latest is lost, or points at no run; the newest of 1 in .* is {run.name}: name it instead"
    with pytest.raises(StoreError, match=words):
        find_run(tmp_path / "latest")
    (tmp_path / "latest").symlink_to("20200101T000000Z-gone")
    with pytest.raises(StoreError, match=words):
        find_run(tmp_path / "latest")
