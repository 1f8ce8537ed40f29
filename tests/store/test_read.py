from __future__ import annotations

import errno
import json
import os
import shutil
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.case_parts import LAYERS, SAMPLES
from harness.errors import StoreError
from harness.schema import CASES, SCHEMA_VERSION
from harness.store import Run, list_runs, load_results
from harness.store.prune import prune
from harness.store.results import join_results
from harness.store.runs import read_run_file

KEYS = {"device": "nano33", "board": "nano33", "backend": "virtual", "suite": "digits", "variant": "int8"}


def make_run(folder, *cases, samples=3, when=None, revision=None, layers=False):
    with Run.create(folder, {"harness_version": "1", "git_revision": revision}) as run:
        for number, columns in enumerate(cases or ({},)):
            case = run.begin_case(**(KEYS | columns))
            for sample in range(samples):
                case.sample(sample=sample, label=0, prediction=0, ticks=1000 * number + sample + 1, output_crc=1)
            if layers:
                case.layers([{"operator": "ADD", "ticks": 5}])
            case.finish(status="complete", accuracy=1.0)
        if when:
            run._about["started_utc"] = when
    return run.path


def rewrite(path, change):
    """Write a table again as another version of the harness would have."""
    table = change(pq.read_table(path))
    pq.write_table(table, path)


def version(table, number):
    return table.replace_schema_metadata({b"hil.schema_version": str(number).encode()})


# ---- which rows


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A folder that no test changes."""
    tmp_path = tmp_path_factory.mktemp("mixed")
    make_run(tmp_path, {"device": "a"}, {"device": "b", "variant": "float32"}, when="2026-01-01T00:00:00+00:00")
    make_run(tmp_path, {"suite": "letters"}, when="2026-02-01T00:00:00+00:00", revision="abcdef0123")
    return tmp_path


@pytest.mark.parametrize(
    ("filters", "cases"),
    [
        ({}, 3),
        ({"device": "a"}, 1),
        ({"device": ["a", "b"]}, 2),
        ({"variant": "int8"}, 2),
        ({"variant": "int8", "suite": "letters"}, 1),
        ({"backend": "hardware"}, 0),
        ({"since": "2026-01-15"}, 1),
        ({"until": datetime(2026, 1, 15, tzinfo=UTC)}, 2),
        ({"since": "2026-01-01", "until": "2026-01-01"}, 0),
        ({"revision": "abcdef"}, 1),
        ({"revision": "abcdee"}, 0),
    ],
)
def test_filters(mixed, filters, cases):
    results = load_results(mixed, **filters)
    assert len(results.cases) == cases
    assert len(results.samples) == 3 * cases
    keys = ["run", "case"]
    assert set(results.samples[keys].astype(object).itertuples(index=False)) == (
        set(results.cases[keys].astype(object).itertuples(index=False))
    )
    assert results.runs["run"].nunique() == results.cases["run"].nunique()


def test_a_filter_keeps_the_right_samples_of_a_run(mixed):
    assert load_results(mixed, device="b").samples["ticks"].tolist() == [1001, 1002, 1003]


def test_the_name_of_a_pool_selects_its_boards(tmp_path):
    boards = [{"device": f"bench-{number}", "pool": "nano33", "host": "lab1"} for number in (1, 2)]
    run = make_run(tmp_path, *boards, {"device": "bench-1", "variant": "alone"}, {"device": "desk"})
    results = load_results(run, device="nano33")
    assert results.cases[["device", "host"]].to_numpy().tolist() == [["bench-1", "lab1"], ["bench-2", "lab1"]]
    assert load_results(run, device="bench-1").cases["variant"].tolist() == ["int8", "alone"]
    assert load_results(run).of_device("nano33").cases.equals(results.cases)
    assert load_results(run).of_device("desk").samples["case"].unique().tolist() == [3]
    with pytest.raises(
        StoreError, match="nothing was measured on bench-9 in these runs; there are bench-1, bench-2, desk"
    ):
        load_results(run).of_device("bench-9")


def test_what_is_no_time(mixed):
    with pytest.raises(StoreError, match="'yesterday' is no time: write it like 2026-03-01"):
        load_results(mixed, since="yesterday")


def test_runs_say_when_and_of_which_revision(mixed):
    runs = load_results(mixed).runs
    assert runs["git_revision"].tolist() == [pd.NA, "abcdef0123"]
    assert runs["started_utc"].dt.month.tolist() == [1, 2]
    assert runs["schema_version"].tolist() == [SCHEMA_VERSION] * 2


# ---- which columns, and when


def test_only_wanted_columns_are_read(tmp_path):
    run = make_run(tmp_path)
    assert list(load_results(run, columns=["ticks", "variant"]).samples.columns) == ["ticks", "variant"]
    results = load_results(run)
    assert list(results.table("samples", ["sample"]).columns) == ["sample"]
    assert list(results.samples.columns) == [column.name for column in SAMPLES]
    for call in (lambda: load_results(run, columns=["tick"]), lambda: results.table("samples", ["tick"])):
        with pytest.raises(StoreError, match="samples table has no column 'tick'; there are run"):
            call()
    with pytest.raises(StoreError, match="no table 'watts'; there are cases, samples, outputs, targets, layers"):
        results.table("watts")


def test_samples_are_read_when_they_are_asked_for(tmp_path):
    run = make_run(tmp_path)
    results = load_results(run)
    (run / "samples.parquet").unlink()
    assert len(results.cases) == 1
    assert results.samples.empty


def test_keys_are_categories_across_runs(tmp_path):
    make_run(tmp_path, {"variant": "a"})
    make_run(tmp_path, {"variant": "b"}, {"variant": "a"})
    samples = load_results(tmp_path).samples
    assert samples["variant"].dtype == "category"
    assert samples.groupby("variant", observed=True).size().to_dict() == {"a": 6, "b": 3}


def test_run_by_run(tmp_path):
    runs = {make_run(tmp_path, samples=count).name: count for count in (1, 2)}
    results = load_results(tmp_path)
    assert {name: len(rows) for name, rows in results.each("samples", ["ticks"])} == runs
    name = min(runs)
    assert len(results.of_run(name).samples) == runs[name]
    with pytest.raises(StoreError, match="none is not among the loaded runs"):
        results.of_run("none")


def test_joined_runs_count_once(tmp_path):
    first, second = make_run(tmp_path), make_run(tmp_path)
    joined = join_results(load_results([first, second]), load_results(second))
    assert sorted(joined.runs["run"]) == sorted([first.name, second.name])
    assert len(joined.cases) == 2
    assert len(joined.samples) == 6


def test_a_copy_of_a_run_counts_once(tmp_path):
    run = make_run(tmp_path / "a")
    (tmp_path / "b").mkdir()
    copy = tmp_path / "b" / run.name
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with pytest.warns(UserWarning, match="is the same run as"):
        assert len(load_results([tmp_path / "a", tmp_path / "b"]).samples) == 3


def test_a_run_whose_folder_was_renamed_is_refused_by_name(tmp_path):
    run = make_run(tmp_path)
    renamed = run.rename(tmp_path / "example")
    with pytest.raises(StoreError, match=f"example: the folder of run {run.name} was renamed"):
        load_results(renamed)


# ---- older, newer, damaged


def test_columns_that_an_older_harness_did_not_know_are_missing(tmp_path):
    run = make_run(tmp_path)
    rewrite(run / "cases.parquet", lambda t: version(t.drop_columns(["flash_compressed_bytes", "inputs_sha256"]), 1))
    rewrite(run / "samples.parquet", lambda t: version(t, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = load_results(run)
        assert len(results.samples) == 3
    assert list(results.cases.columns) == [column.name for column in CASES]
    assert results.cases["inputs_sha256"].tolist() == [pd.NA]
    assert results.cases["accuracy"].tolist() == [1.0]
    assert list(results.layers.columns) == [column.name for column in LAYERS]


def test_a_run_from_before_pools_has_none(tmp_path):
    run = make_run(tmp_path, {"device": "bench-1"})
    rewrite(run / "cases.parquet", lambda t: version(t.drop_columns(["pool", "host"]), 3))
    cases = load_results(run, device="bench-1").cases
    assert cases[["device", "pool", "host"]].to_numpy().tolist() == [["bench-1", pd.NA, pd.NA]]


def test_a_run_from_before_references_has_none(tmp_path):
    run = make_run(tmp_path)
    gone = [column.name for column in CASES if column.name.startswith(("agreement", "reference"))]
    assert len(gone) == 6
    rewrite(run / "cases.parquet", lambda t: version(t.drop_columns(gone), 4))
    assert load_results(tmp_path).cases[gone].isna().all(axis=None)


def test_what_version_9_said_of_estimates_in_words(tmp_path):
    names = [f"estimated_cycles_{name}" for name in ("code", "error_low", "error_high")]
    said = {
        "-6 to +9 % (integer code, this flash)": ["integer", -0.06, 0.09],
        "not validated: no published measurement on this flash": ["integer", pd.NA, pd.NA],
        "not validated: costs of a calibration, float code": ["float", pd.NA, pd.NA],
        "not validated: waits for this chip's flash aren't known and are left out": [pd.NA] * 3,
        None: [pd.NA] * 3,
    }
    run = make_run(tmp_path, *({"variant": f"v{number}"} for number in range(len(said))))
    words = pa.array(list(said), pa.string())
    at = CASES.index(next(column for column in CASES if column.name == "estimated_cycles_error"))

    def older(table):
        return version(table.set_column(at, "estimated_cycles_error", words).drop_columns(names), 9)

    rewrite(run / "cases.parquet", older)
    assert load_results(tmp_path).cases[names].to_numpy(object).tolist() == list(said.values())


def test_a_column_that_nobody_knows_is_ignored(tmp_path):
    run = make_run(tmp_path)
    rewrite(run / "cases.parquet", lambda t: t.append_column("extra", pa.array([1])))
    assert "extra" not in load_results(run).cases.columns


def test_a_newer_run_is_left_out_and_the_rest_loads(tmp_path):
    newer, good = make_run(tmp_path), make_run(tmp_path)
    rewrite(newer / "cases.parquet", lambda t: version(t, SCHEMA_VERSION + 1))
    for paths in (tmp_path, [newer, good]):
        with pytest.warns(UserWarning, match=rf"left out: .*{newer.name}.* written by a newer harness \(schema"):
            assert load_results(paths).cases["run"].tolist() == [good.name]
    with pytest.raises(StoreError, match="update tinyml-hil"):
        load_results(newer)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    """Spoil the last column's page, just before the footer."""
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    for place in range(4, len(content) - footer - 8):
        content[place] ^= 0x55
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def another(path):
    pq.write_table(pa.table({"x": [1]}), path)


def text(path):
    rewrite(path, lambda t: t.set_column(t.column_names.index("case"), "case", pa.array(["?"] * len(t))))


@pytest.mark.parametrize("spoil", [cut, flip, empty, another, text])
def test_a_damaged_run_is_left_out_and_the_rest_loads(tmp_path, spoil):
    bad, good = make_run(tmp_path), make_run(tmp_path)
    spoil(bad / "cases.parquet")
    with pytest.warns(UserWarning, match=f"left out: .*{bad.name}.*(is damaged|isn't a table)"):
        assert load_results(tmp_path).cases["run"].tolist() == [good.name]


@pytest.mark.parametrize(
    ("table", "spoil"), [("layers", cut), *(("samples", spoil) for spoil in (cut, flip, empty, another, text))]
)
def test_a_damaged_large_table_is_left_out_and_the_rest_loads(tmp_path, spoil, table):
    bad, good = make_run(tmp_path, layers=True), make_run(tmp_path, layers=True)
    spoil(bad / f"{table}.parquet")
    results = load_results(tmp_path)
    with pytest.warns(UserWarning, match=f"left out: .*{bad.name}.*(is damaged|isn't a table)"):
        assert results.table(table)["run"].unique().tolist() == [good.name]


def test_half_a_run_is_left_out(tmp_path):
    bad, good = make_run(tmp_path), make_run(tmp_path)
    (bad / "samples.parquet").unlink()
    with pytest.warns(UserWarning, match=r"has cases, but no samples\.parquet"):
        assert load_results(tmp_path).cases["run"].tolist() == [good.name]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"started_utc": 5}', '{"started_utc": "soon"}', None])
def test_a_damaged_run_file_costs_only_what_it_says(tmp_path, content):
    run = make_run(tmp_path)
    if content is None:
        (run / "run.json").unlink()
    else:
        (run / "run.json").write_text(content)
    results = load_results(run)
    assert len(results.cases) == 1
    assert results.runs["state"].tolist() == [pd.NA]
    assert results.runs["started_utc"].notna().all()  # from the folder's name


def test_a_version_that_is_no_number_in_a_run_file(tmp_path):
    run = make_run(tmp_path)
    (run / "run.json").write_text(json.dumps({"schema_version": "two", "state": ["x"]}))
    assert len(load_results(run).runs) == 1


# ---- what others do meanwhile


def test_a_run_that_is_removed_while_folders_are_looked_through_is_no_error(tmp_path, monkeypatch):
    kept, removed = make_run(tmp_path), make_run(tmp_path)

    def gone(list_them):
        def listed(path="."):
            if Path(path) == removed:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            return list_them(path)

        return listed

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, gone(getattr(os, name)))
    monkeypatch.setattr(Path, "is_file", lambda self: removed not in self.parents and self.exists())
    assert [run.path for run in list_runs(tmp_path)] == [kept]
    assert len(load_results(tmp_path).cases) == 1


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen as soon as a run.json has been read."""

    def arrange(happens):
        def read(folder):
            about = read_run_file(folder)
            happens()
            return about

        monkeypatch.setattr("harness.store.read.read_run_file", read)

    return arrange


def test_a_run_that_ends_while_it_is_read_is_unfinished_and_no_third_thing(tmp_path, meanwhile):
    for read in (lambda: list_runs(tmp_path)[0].state, lambda: load_results(tmp_path)):
        with Run.create(tmp_path, {}) as run:
            run.begin_case(**KEYS)
            meanwhile(run.close)
            try:
                assert read() == "unfinished"
            except StoreError as error:
                assert "is unfinished" in str(error)  # noqa: PT017 (load_results raises, list_runs returns)
        shutil.rmtree(run.path)


def test_a_run_that_is_pruned_while_it_is_read_is_not_taken_for_damaged_or_empty(tmp_path, meanwhile):
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    results = load_results(first)
    prune(tmp_path / "a", timedelta(0))
    with pytest.warns(UserWarning, match="the samples of run .* were pruned on"):
        assert results.samples.empty
    meanwhile(lambda: prune(tmp_path / "b", timedelta(0)))
    results = load_results(second)
    with pytest.warns(UserWarning, match="the samples of run .* were pruned on"):
        assert results.samples.empty
