from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.report.baseline import find_baseline, read_tags, tag_run
from harness.store import Run


def names(found):
    return found.results.runs["run"].tolist()


def test_latest_is_the_newest_run_before_the_current_one(store):
    first, second, third = (store() for _ in range(3))
    results = first.parent
    assert names(find_baseline("latest", results, third)) == [second.name]
    assert names(find_baseline("latest", results, second)) == [first.name]
    assert names(find_baseline("latest", results)) == [third.name]
    with pytest.raises(StoreError, match="holds no earlier run"):
        find_baseline("latest", results, first)


def test_unfinished_runs_are_no_baseline(store):
    run = store()
    with Run.create(run.parent, {}):
        assert names(find_baseline("latest", run.parent)) == [run.name]


def test_a_run_with_injected_faults_is_no_baseline_by_itself(store):
    good, spoiled = store(), store()
    about = json.loads((spoiled / "run.json").read_text())
    about["config"] = {"options": {"virtual_faults": ["serial.flip=1e-4"]}}
    (spoiled / "run.json").write_text(json.dumps(about))
    assert names(find_baseline("latest", good.parent)) == [good.name]
    found = find_baseline(spoiled.name, good.parent)
    assert found.results.runs["faults"].tolist() == ["serial.flip=1e-4"]


def test_a_folder_of_that_name_is_no_run(store, tmp_path, monkeypatch):
    run = store()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main").mkdir()
    with pytest.raises(StoreError, match="no baseline 'main'"):
        find_baseline("main", run.parent)


def test_a_run_by_name_and_by_path(store, monkeypatch):
    run = store()
    assert names(find_baseline(run.name, run.parent)) == [run.name]
    assert names(find_baseline(str(run), run.parent)) == [run.name]
    monkeypatch.chdir(run.parent.parent)
    assert names(find_baseline(f"results/{run.name}", run.parent)) == [run.name]


def test_tags_name_runs_and_move(store):
    first, second = store(), store()
    results = first.parent
    assert tag_run(results, first, "main") is None
    assert names(find_baseline("main", results)) == [first.name]
    assert tag_run(results, results / "latest", "main") == first.name
    assert read_tags(results) == {"main": second.name}
    assert find_baseline("main", results).words == f"main: {second.name}"


@pytest.mark.parametrize("name", ["", "latest", "history:3", "a b", "-x", "a\nb"])
def test_names_that_mean_something_else_are_no_tags(store, name):
    run = store()
    with pytest.raises(StoreError, match="can't be a tag"):
        tag_run(run.parent, run, name)


def test_two_that_tag_at_once_leave_a_whole_file(store, monkeypatch):
    run, replace = store(), Path.replace

    def late(self, target):
        monkeypatch.setattr(Path, "replace", replace)
        tag_run(run.parent, run, "other")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", late)
    tag_run(run.parent, run, "main")
    assert read_tags(run.parent) == {"main": run.name}
    assert [path.name for path in run.parent.glob(".*")] == []


def test_a_run_elsewhere_and_an_unfinished_one_are_not_tagged(store, tmp_path):
    run = store()
    with pytest.raises(StoreError, match="is not in"):
        tag_run(tmp_path, run, "main")
    with Run.create(run.parent, {}) as going, pytest.raises(StoreError, match="is unfinished"):
        tag_run(run.parent, going.path, "main")


@pytest.mark.parametrize("content", ["{", "[]", '{"main": 5}'])
def test_a_damaged_file_of_tags(store, content):
    run = store()
    (run.parent / "baselines.json").write_text(content)
    with pytest.raises(StoreError, match=r"baselines.json is damaged"):
        find_baseline("main", run.parent)


def test_a_tag_of_a_run_that_is_gone(store):
    run = store()
    (run.parent / "baselines.json").write_text(json.dumps({"main": "away"}))
    with pytest.raises(StoreError, match="main means the run away, which is gone"):
        find_baseline("main", run.parent)


def test_the_newest_run_of_a_revision_a_clean_one_first(store):
    revision = "abcdef0123456789abcdef0123456789abcdef01"
    store(revision=revision)
    clean, dirty = store(revision=revision), store(revision=f"{revision}+")
    assert names(find_baseline("abcdef0", dirty.parent)) == [clean.name]
    other = store(revision="1234567890+")
    found = find_baseline("1234567", dirty.parent)
    assert names(found) == [other.name]
    assert "with uncommitted changes" in found.words


def test_a_branch_that_git_knows(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@y"]
    for command in (["init", "-q", "-b", "trunk"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    run = store(revision=head)
    assert names(find_baseline("trunk", run.parent)) == [run.name]


def test_what_is_no_baseline_says_what_there_is(store):
    run = store()
    tag_run(run.parent, run, "release")
    with pytest.raises(StoreError, match=r"no baseline 'mian'.*no tag \(there are: release\)"):
        find_baseline("mian", run.parent)
    with pytest.raises(StoreError, match="no baseline '--help'"):
        find_baseline("--help", run.parent)


def test_history_is_the_newest_run_of_each_of_the_last_nights(store):
    times = ("2026-01-01T01:00", "2026-01-02T01:00", "2026-01-02T02:00", "2026-01-03T01:00")
    runs = [store(when=when) for when in times]
    current = store(when="2026-01-04T01:00")
    found = find_baseline("history:2", current.parent, current)
    assert names(found) == [runs[2].name, runs[3].name]
    assert (found.nights, found.words) == (2, "the last 2 nights")
    with pytest.raises(StoreError, match="at least 2 nights"):
        find_baseline("history:1", current.parent, current)
    with pytest.raises(StoreError, match="holds no earlier run"):
        find_baseline("history:5", current.parent, runs[0])
