from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from fakes.made_cases import write_run
from harness.cli import main
from harness.errors import StoreError
from harness.files.json_file import write_json
from harness.report.baseline import tag_run
from harness.report.compare import compare_runs
from harness.report.content import compose
from harness.report.page import render_page
from harness.store import list_runs, load_results
from harness.store import prune as pruning
from harness.store.prune import prune

MONTH = timedelta(days=30)


def age(run, days):
    about = json.loads((run / "run.json").read_text())
    about["ended_utc"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    (run / "run.json").write_text(json.dumps(about))


def make(results, days=40, **about):
    run = write_run(results, **about)
    (run / "power").mkdir()
    (run / "power" / "0.parquet").write_bytes(b"x" * 1000)
    (run / "logs").mkdir()
    (run / "logs" / "nano33.log").write_text("hello\n")
    age(run, days)
    return run


def names(run):
    return sorted(path.name for path in run.iterdir())


@pytest.fixture
def old(tmp_path):
    return make(tmp_path, layers=[{"operator": "ADD", "ticks": 7}])


def test_raw_data_of_an_old_run_goes_and_its_cases_stay(tmp_path, old):
    before = load_results(old).cases
    young = make(tmp_path, days=29)
    (done,) = prune(tmp_path, MONTH)
    assert (done.path, done.freed_bytes > 1000) == (old, True)
    assert names(old) == ["cases.parquet", "layers.parquet", "run.json"]
    assert names(young) == ["cases.parquet", "logs", "power", "run.json", "samples.parquet"]
    assert json.loads((old / "run.json").read_text())["pruned"] == ["samples.parquet", "power", "logs"]
    results = load_results(old)
    assert results.cases.equals(before)
    assert len(results.layers) == 1
    assert prune(tmp_path, MONTH) == []


def test_what_needs_samples_says_when_they_were_pruned(tmp_path, old):
    begun = datetime.now(UTC).replace(microsecond=0)
    prune(tmp_path, MONTH)
    when = datetime.fromisoformat(json.loads((old / "run.json").read_text())["pruned_utc"])
    assert begun <= when <= datetime.now(UTC)
    today = f"{when:%Y-%m-%d}"
    with pytest.warns(UserWarning, match=f"the samples of run {old.name} were pruned on {today}; its cases are kept"):
        assert load_results(old).samples.empty
    new = write_run(tmp_path, ticks=[1100] * 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (row,) = compare_runs(load_results(old), load_results(new)).rows
        assert load_results(old).windows.empty  # it never had any: nothing was lost
    assert (row.verdict, row.change) == ("refused", None)
    assert f"were pruned on {today}" in row.reason
    assert {run.path: run.pruned and run.pruned.on for run in list_runs(tmp_path)} == {old: today, new: None}


def test_a_report_of_a_pruned_run_says_so_and_keeps_its_figures(tmp_path):
    run = make(tmp_path, cases=({"variant": "float32"}, {"variant": "int8", "baseline": "float32"}))
    prune(tmp_path, MONTH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = compose(load_results(run))
    (section,) = page.sections
    found = {caveat.title: caveat.text for caveat in section.caveats}
    assert "samples were pruned on" in found["Samples pruned"]
    assert "int8 with float32: the samples of run" in found["Not compared"]
    html = render_page(page)
    assert "Samples pruned" in html
    assert "1,000" in html


def test_samples_that_are_missing_without_a_mark_are_damage(old):
    (old / "samples.parquet").unlink()
    with pytest.raises(StoreError, match="is damaged"):
        load_results(old)


def test_a_tag_protects_a_run(tmp_path, old):
    tag_run(tmp_path, old, "main")
    assert prune(tmp_path, MONTH) == []
    (tmp_path / "baselines.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        prune(tmp_path, MONTH)
    assert (old / "samples.parquet").is_file()


@pytest.mark.parametrize("spoil", ["journal", "cases", "run.json", "running"])
def test_runs_that_are_not_whole_are_left_alone(tmp_path, old, spoil):
    if spoil == "journal":
        (old / "journal-w1.jsonl").write_text("")
    elif spoil == "cases":
        (old / "cases.parquet").write_bytes(b"PAR1")
    elif spoil == "run.json":
        (old / "run.json").write_text("{")
    else:
        about = json.loads((old / "run.json").read_text())
        (old / "run.json").write_text(json.dumps({**about, "state": "running"}))
    assert prune(tmp_path, MONTH) == []
    assert (old / "samples.parquet").is_file()
    assert (old / "power" / "0.parquet").is_file()


def test_a_dry_run_removes_nothing(tmp_path, old):
    before = names(old)
    assert [done.path for done in prune(tmp_path, MONTH, dry_run=True)] == [old]
    assert names(old) == before
    assert "pruned_utc" not in json.loads((old / "run.json").read_text())


def test_stopped_after_the_mark_it_reads_as_pruned_and_is_finished_by_the_next(tmp_path, old, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(StoreError, match="can't be pruned: Input/output error"):
            prune(tmp_path, MONTH)
    assert names(old) == ["cases.parquet", "layers.parquet", "logs", "power", "run.json"]
    assert len(load_results(old).cases) == 1
    marked = json.loads((old / "run.json").read_text())
    prune(tmp_path, MONTH)
    assert names(old) == ["cases.parquet", "layers.parquet", "run.json"]
    assert json.loads((old / "run.json").read_text()) == marked


def test_two_that_prune_at_once_do_not_get_in_each_others_way(tmp_path, old, monkeypatch):
    def marked(path, content):
        write_json(path, content)
        monkeypatch.setattr(pruning, "write_json", write_json)
        prune(tmp_path, MONTH)

    monkeypatch.setattr(pruning, "write_json", marked)
    (done,) = prune(tmp_path, MONTH)
    assert done.path == old
    assert names(old) == ["cases.parquet", "layers.parquet", "run.json"]


def test_marked_but_not_yet_removed_samples_are_not_read(tmp_path, old, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "sync_folder", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(StoreError):
            prune(tmp_path, MONTH)
    assert (old / "samples.parquet").is_file()
    with pytest.warns(UserWarning, match="were pruned on"):
        assert load_results(old).samples.empty


def test_the_command(tmp_path, old):
    hil = lambda *words: CliRunner().invoke(main, ["results", "--results-dir", str(tmp_path), *words])  # noqa: E731
    assert hil("prune").exit_code == 2
    assert "--keep-raw" in hil("prune", "--keep-raw", "never").output
    assert f"{old.name}: " in hil("prune", "--keep-raw", "30d", "--dry-run").output
    assert "1 run, " in hil("prune", "--keep-raw", "30d").output
    assert "no raw data is older than 30d" in hil("prune", "--keep-raw", "30d").output
    assert "closed, pruned" in hil().output
    assert "were pruned on" in hil("show", old.name).output
    exported = hil("export", old.name, "--csv", "--table", "samples")
    assert (exported.exit_code, "were pruned on" in exported.output) == (1, True)
    assert hil("export", old.name, "--junit").exit_code == 0
