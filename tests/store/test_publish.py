from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem

import harness
from fakes.made_cases import write_run
from fakes.recorded_runs import record_run
from harness.cli import main
from harness.config import Lab
from harness.errors import ConfigError, StoreError
from harness.report.baseline import tag_run
from harness.store.fetch import cache_of, local
from harness.store.folders import point_latest
from harness.store.prune import prune
from harness.store.publish import publish, publish_to

MEMORY = "memory://lab/hil"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def run(tmp_path):
    path = write_run(tmp_path / "results", layers=[{"operator": "ADD", "ticks": 7}])
    (path / "power").mkdir()
    (path / "power" / "0.parquet").write_bytes(b"x" * 1000)
    (path / "logs").mkdir()
    (path / "logs" / "nano33.log").write_text("hello\n")
    (path / "report.html").write_text("made from it")
    return path


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def names(folder):
    return sorted(path.name for path in folder.glob("2*"))


def change(run):
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"seed": 77}))


# ---- a folder


def test_a_run_is_copied_whole_and_reads_the_same(tmp_path, run):
    store = tmp_path / "store"
    assert publish(run, str(store)) == str(store / run.name)
    expected = [name for name in files(run) if name != "report.html"]
    assert files(store / run.name) == sorted([*expected, "files.json"])
    assert harness.load_results(store).samples.equals(harness.load_results(run).samples)
    assert harness.load_results(store / "latest").cases.equals(harness.load_results(run).cases)
    assert list((store / ".publishing").iterdir()) == []


def test_a_file_url_is_a_folder(tmp_path, run):
    assert publish(run, (tmp_path / "store").as_uri()) == str(tmp_path / "store" / run.name)
    assert len(harness.load_results((tmp_path / "store").as_uri()).cases) == 1


def test_again_does_nothing_and_another_run_of_that_name_is_refused(tmp_path, run):
    store = tmp_path / "store"
    publish(run, str(store))
    before = {path: path.stat().st_mtime_ns for path in (store / run.name).rglob("*")}
    publish(run, str(store))
    assert {path: path.stat().st_mtime_ns for path in (store / run.name).rglob("*")} == before
    there = (store / run.name / "run.json").read_bytes()
    change(run)
    with pytest.raises(StoreError, match="is there already and differs"):
        publish(run, str(store))
    assert (store / run.name / "run.json").read_bytes() == there


def test_a_run_pruned_on_either_side_is_the_same_run(tmp_path, run):
    store = tmp_path / "store"
    publish(run, str(store))
    prune(store, timedelta(0))
    publish(run, str(store))
    assert not (store / run.name / "samples.parquet").exists()
    publish(run, str(tmp_path / "other"))
    prune(run.parent, timedelta(0))
    publish(run, str(tmp_path / "other"))
    assert (tmp_path / "other" / run.name / "samples.parquet").is_file()


def test_the_store_may_be_where_the_run_is(run):
    publish(run, str(run.parent))
    assert "files.json" not in files(run)


def test_unfinished_runs_are_refused(tmp_path, run):
    (run / "journal-w1.jsonl").write_text("")
    with pytest.raises(StoreError, match="is unfinished"):
        publish(run, str(tmp_path / "store"))


def test_a_store_that_cannot_be_written_says_so(tmp_path, run):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match=r"store can't be written: "):
        publish(run, str(tmp_path / "store"))


def test_what_was_abandoned_is_swept_and_what_grows_is_not(tmp_path, run):
    staging = tmp_path / "store" / ".publishing"
    for name, age in (("old", 7200), ("new", 60)):
        (staging / name).mkdir(parents=True)
        (staging / name / "samples.parquet").write_bytes(b"x")
        for path in (staging / name / "samples.parquet", staging / name):
            os.utime(path, (time.time() - age,) * 2)
    publish(run, str(tmp_path / "store"))
    assert [path.name for path in staging.iterdir()] == ["new"]


def _publish_all(runs, store):
    for run in runs:
        publish(run, store)


def test_many_processes_publish_at_once(tmp_path):
    store = tmp_path / "store"
    runs = [write_run(tmp_path / "results") for _ in range(3)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.store.publish"])
    processes = [context.Process(target=_publish_all, args=(runs[k:] + runs[:k], str(store))) for k in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 3
    assert len(harness.load_results(store).cases) == 3
    assert list((store / ".publishing").iterdir()) == []
    for run in runs:
        publish(run, str(store))  # each is whole and equal, else this raises


def test_of_two_that_publish_at_once_the_newer_run_is_the_latest(tmp_path, monkeypatch):
    store = tmp_path / "store"
    older, newer = (write_run(tmp_path / "results") for _ in range(2))

    def point_late(root, name):
        if not (store / newer.name).exists():  # it appears after the older one was found to be the newest
            publish(newer, str(store))
        point_latest(root, name)

    monkeypatch.setattr("harness.store.publish.point_latest", point_late)
    publish(older, str(store))
    assert (store / "latest").resolve().name == newer.name


_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from harness.store import publish

copyfile, left = shutil.copyfile, int(sys.argv[3])


def killed_in_it(source, target):
    global left
    left -= 1
    if left > 0:
        return copyfile(source, target)
    target.write_bytes(source.read_bytes()[:100])
    os.kill(os.getpid(), signal.SIGKILL)


shutil.copyfile = killed_in_it
publish.publish(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("copied", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 11))])
def test_killed_in_the_middle_nobody_sees_half_a_run(tmp_path, copied):
    run, store = record_run(tmp_path / "results"), tmp_path / "store"
    (run / "power").mkdir()
    for number in range(8):
        (run / "power" / f"{number}.parquet").write_bytes(os.urandom(2_000))
    done = subprocess.run([sys.executable, "-c", _KILLED, run, store, str(copied)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len([path for path in store.rglob("*") if path.is_file()]) == copied
    assert list(store.glob("2*")) == []
    with pytest.raises(StoreError, match="holds no runs"):
        harness.load_results(store)
    publish(run, str(store))
    assert harness.load_results(store).cases.equals(harness.load_results(run).cases)
    assert harness.load_results(store).samples.equals(harness.load_results(run).samples)


# ---- a URL


class Watched(MemoryFileSystem):
    """Memory that fails, cuts off, or tells checksums like those of a cloud."""

    protocol = "watched"
    cachable = False
    written: list[str] = []  # noqa: RUF012 (of the class, as fsspec makes the instances)
    fail_at: str | None = None
    cut_at: str | None = None
    md5: str | None = None

    def put_file(self, lpath, rpath, **kwargs):
        if self.fail_at and rpath.endswith(self.fail_at):
            raise RuntimeError("connection reset by peer")
        super().put_file(lpath, rpath, **kwargs)
        self.written.append(rpath.rpartition("/")[2])
        if self.cut_at and rpath.endswith(self.cut_at):
            self.pipe_file(rpath, Path(lpath).read_bytes()[:-1])

    def info(self, path, **kwargs):
        return {**super().info(path, **kwargs), **({"md5Hash": self.md5} if self.md5 else {})}


@pytest.fixture
def watched(monkeypatch):
    import fsspec

    fsspec.register_implementation("watched", Watched, clobber=True)
    monkeypatch.setattr(Watched, "written", [])
    return Watched


def test_a_run_behind_a_url_reads_the_same(run):
    assert publish(run, MEMORY) == f"{MEMORY}/{run.name}"
    for path in (MEMORY, f"{MEMORY}/{run.name}", f"{MEMORY}/latest", f"{MEMORY}/"):
        results = harness.load_results(path)
        assert results.samples.equals(harness.load_results(run).samples)
    assert files(cache_of(MEMORY) / run.name) == ["cases.parquet", "layers.parquet", "run.json", "samples.parquet"]
    assert not (run / "files.json").exists()


def test_cases_come_last(run, watched):
    publish(run, "watched://s")
    assert watched.written[-1] == "cases.parquet"
    assert "nano33.log" in watched.written
    watched.written.clear()
    publish(run, "watched://s")
    assert watched.written == []


def test_an_interrupted_upload_is_invisible_and_made_again(run, watched, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(watched, "fail_at", "samples.parquet")
        with pytest.raises(StoreError, match="watched://s can't be reached: connection reset by peer"):
            publish(run, "watched://s")
    with pytest.raises(StoreError, match="watched://s holds no runs"):
        harness.load_results("watched://s")
    publish(run, "watched://s")
    assert len(harness.load_results("watched://s").samples) == 30


def test_what_arrives_cut_off_or_damaged_is_noticed(run, watched, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(watched, "cut_at", "samples.parquet")
        with pytest.raises(StoreError, match=r"samples.parquet arrived with \d+ bytes instead of \d+"):
            publish(run, "watched://s")
    with monkeypatch.context() as patch:
        patch.setattr(watched, "md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        with pytest.raises(StoreError, match="its MD5 differs"):
            publish(run, "watched://s")
    publish(run, "watched://s")


def test_another_run_of_that_name_behind_a_url_is_refused(run):
    publish(run, MEMORY)
    change(run)
    with pytest.raises(StoreError, match="is there already and differs"):
        publish(run, MEMORY)


def test_a_damaged_copy_is_replaced(run):
    publish(run, MEMORY)
    memory = MemoryFileSystem()
    path = f"/lab/hil/{run.name}/samples.parquet"
    memory.pipe_file(path, memory.cat_file(path)[:-5])
    publish(run, MEMORY)
    assert len(harness.load_results(MEMORY).samples) == 30


def test_a_run_that_is_not_what_it_says_is_left_out_with_a_warning(tmp_path, run):
    other = write_run(tmp_path / "results")
    publish(run, MEMORY)
    publish(other, MEMORY)
    memory = MemoryFileSystem()
    path = f"/lab/hil/{other.name}/samples.parquet"
    memory.pipe_file(path, b"y" * len(memory.cat_file(path)))
    with pytest.warns(UserWarning, match="left out: .*samples.parquet is not what files.json says"):
        results = harness.load_results(MEMORY)
    assert results.runs["run"].tolist() == [run.name]


def _missing(memory, folder):
    memory.rm_file(f"{folder}/run.json")


def _a_folder_instead(memory, folder):
    memory.rm_file(f"{folder}/run.json")
    memory.pipe_file(f"{folder}/run.json/x", b"")


def _deep(memory, folder):
    memory.pipe_file(f"{folder}/files.json", b"[" * 100_000)


def _many_digits(memory, folder):
    memory.pipe_file(f"{folder}/files.json", b'{"files": ' + b"9" * 5000 + b"}")


def _long_name(memory, folder):
    files = json.loads(memory.cat_file(f"{folder}/files.json"))
    memory.mv(f"{folder}/run.json", f"{folder}/{'x' * 300}.json")
    files["files"][f"{'x' * 300}.json"] = files["files"].pop("run.json")
    memory.pipe_file(f"{folder}/files.json", json.dumps(files).encode())


@pytest.mark.parametrize("damage", [_missing, _a_folder_instead, _deep, _many_digits, _long_name])
def test_one_damaged_run_keeps_nobody_from_the_others(tmp_path, run, damage):
    """The damaged one is the first that is met, and the store answers well."""
    publish(run, MEMORY)
    last = write_run(tmp_path / "results")
    publish(last, MEMORY)
    damage(MemoryFileSystem(), f"/lab/hil/{run.name}")
    with pytest.warns(UserWarning, match=f"left out: .*{run.name}/"):
        assert harness.load_results(MEMORY).runs["run"].tolist() == [last.name]


def test_a_file_that_may_not_be_read_is_that_runs_trouble(tmp_path, run, watched, monkeypatch):
    publish(run, "watched://s")
    other = write_run(tmp_path / "results")
    publish(other, "watched://s")
    get_file = watched.get_file

    def forbidden(self, rpath, lpath, **options):
        if rpath.endswith(f"{run.name}/samples.parquet"):
            raise PermissionError("Access Denied")
        get_file(self, rpath, lpath, **options)

    monkeypatch.setattr(watched, "get_file", forbidden)
    with pytest.warns(UserWarning, match=r"left out: .*samples.parquet can't be read: Access Denied"):
        assert names(local("watched://s")) == [other.name]


def test_a_store_that_fails_while_it_is_read_is_an_error(run, watched, monkeypatch):
    publish(run, "watched://s")
    monkeypatch.setattr(watched, "get_file", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("broken pipe")))
    with pytest.raises(StoreError, match="watched://s can't be reached: broken pipe"):
        local("watched://s")
    assert names(cache_of("watched://s")) == []


def test_a_file_system_with_real_folders_behind_a_url(run, tmp_path):
    url = f"local://{tmp_path}/store"
    publish(run, url)
    assert harness.load_results(url).samples.equals(harness.load_results(run).samples)
    assert "logs/nano33.log" in files(tmp_path / "store" / run.name)


@pytest.mark.parametrize("name", ["../../evil.json", "power/../../evil", "/etc/evil.json", "logs/a\\b", "logs/./b"])
def test_names_in_a_store_cannot_lead_out_of_the_folder(run, name):
    publish(run, MEMORY)
    memory = MemoryFileSystem()
    path = f"/lab/hil/{run.name}/files.json"
    content = json.loads(memory.cat_file(path))
    content["files"][name] = content["files"]["run.json"]
    memory.pipe_file(path, json.dumps(content).encode())
    with pytest.warns(UserWarning, match="files.json is damaged"), pytest.raises(StoreError, match="holds no runs"):
        local(MEMORY)


def test_only_what_is_missing_is_fetched(tmp_path, monkeypatch):
    runs = [write_run(tmp_path / "results") for _ in range(2)]
    old = tmp_path / "results" / "20250101T000000Z-abcdef"
    shutil.copytree(runs[0], old)
    for run in runs:
        publish(run, MEMORY)
    assert names(local(MEMORY)) == sorted(run.name for run in runs)
    publish(old, MEMORY)
    fetched = []
    get = MemoryFileSystem.get_file
    monkeypatch.setattr(MemoryFileSystem, "get_file", lambda fs, a, *b, **c: fetched.append(a) or get(fs, a, *b, **c))
    assert names(local(MEMORY)) == [old.name, *sorted(run.name for run in runs)]
    assert {path.split("/")[-2] for path in fetched} == {old.name}


def test_runs_that_left_the_store_leave_the_cache(tmp_path):
    runs = [write_run(tmp_path / "results") for _ in range(2)]
    for run in runs:
        publish(run, MEMORY)
    assert len(harness.load_results(MEMORY).runs) == 2
    MemoryFileSystem().rm(f"/lab/hil/{runs[0].name}", recursive=True)
    assert harness.load_results(MEMORY).runs["run"].tolist() == [runs[1].name]


def test_without_fsspec_the_error_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r"needs fsspec: pip install 'tinyml-hil\[farm\]'"):
        publish(run, MEMORY)


@pytest.mark.parametrize("store", ["nosuch://x", "s3://bucket/hil"])
def test_a_url_that_cannot_be_used_says_why(run, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match=store):
        publish(run, store)


# ---- at the end of a session, and the commands


def lab_with(tmp_path, store):
    path = tmp_path / "devices.yaml"
    path.write_text(f"farm:\n  store: {store}\n" if store else "devices: {}\n")
    return Lab.load(path)


def test_at_the_end_of_a_session(tmp_path, run):
    assert publish_to(run, lab_with(tmp_path, None).farm.store) is None
    assert publish_to(run, lab_with(tmp_path, run.parent).farm.store) is None
    done = publish_to(run, lab_with(tmp_path, MEMORY).farm.store)
    assert (done.line, done.failed) == (f"Published: {MEMORY}/{run.name}", False)
    lost = publish_to(run, lab_with(tmp_path, "nosuch://x").farm.store)
    assert lost.failed
    assert lost.line.startswith("NOT published: the store nosuch://x ")
    assert lost.line.endswith(f"Nothing is lost: hil results publish {run}")


def test_the_commands_work_on_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = record_run(tmp_path / "results"), record_run(tmp_path / "results")
    hil = lambda *words: CliRunner().invoke(main, [str(word) for word in words])  # noqa: E731
    assert "there is no store" in hil("results", "publish", first).output
    assert hil("results", "publish", "latest", "--store", MEMORY).output == f"Published: {MEMORY}/{second.name}\n"
    lab_with(tmp_path, MEMORY)
    assert hil("results", "publish", first.name).exit_code == 0
    listed = hil("results", "--results-dir", MEMORY)
    assert (first.name in listed.output, second.name in listed.output) == (True, True)
    assert "int8_qat" in hil("results", "--results-dir", MEMORY, "show").output
    refused = hil("results", "--results-dir", MEMORY, "tag", first.name, "main")
    assert (refused.exit_code, "is only read" in refused.output) == (1, True)
    assert "is only read" in hil("results", "--results-dir", MEMORY, "prune", "--keep-raw", "1m").output
    gone = hil("report", "--results-dir", "memory://nothing/here")
    assert (gone.exit_code, "holds no runs" in gone.output) == (1, True)


@pytest.mark.slow
def test_comparison_and_report_of_runs_behind_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = record_run(tmp_path / "results"), record_run(tmp_path / "results")
    hil = lambda *words: CliRunner().invoke(main, [str(word) for word in words])  # noqa: E731
    for run in (first, second):
        publish(run, MEMORY)
    compared = hil("compare", f"{MEMORY}/{first.name}", f"{MEMORY}/{second.name}")
    assert (compared.exit_code, "equal" in compared.output) == (0, True)
    assert hil("compare", first.name, second.name, "--results-dir", MEMORY).output == compared.output
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = hil("report", "--results-dir", MEMORY, "--html", "out.html")
    assert (page.exit_code, Path("out.html").is_file()) == (0, True)


def test_a_run_may_be_named_by_a_file_url(run):
    for name in (run.name, "latest"):
        shown = CliRunner().invoke(main, ["results", "show", f"{run.parent.as_uri()}/{name}"])
        assert (shown.exit_code, run.name in shown.output) == (0, True)


def test_tags_of_a_store_are_known(run):
    publish(run, MEMORY)
    tag_run(run.parent, run, "main")
    MemoryFileSystem().pipe_file("/lab/hil/baselines.json", (run.parent / "baselines.json").read_bytes())
    harness.load_results(MEMORY)
    assert json.loads((cache_of(MEMORY) / "baselines.json").read_text()) == {"main": run.name}
