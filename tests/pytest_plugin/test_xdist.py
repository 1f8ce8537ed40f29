"""pytest -n: the boards of a kind share the cases of one run, and a worker that dies costs nothing but time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.config import Lab
from harness.errors import ConfigError
from harness.pytest_plugin.xdist import Schedule
from harness.run.targets import group, make_targets
from harness.store import load_results
from harness.store.durations import durations

ROOT = Path(__file__).parents[2]
LAB = "devices:\n" + "".join(f"  bench-{n}: {{kind: nano33, backend: virtual, tags: [rack]}}\n" for n in (1, 2, 3))


@pytest.fixture
def farm(tmp_path, monkeypatch):
    """A folder with three virtual boards and a suite, and pytest without an outer one's environment."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "COV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("HIL_STATE", str(tmp_path / "state"))
    (tmp_path / "devices.yaml").write_text(LAB)
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    (tmp_path / "firmware").mkdir()
    shutil.copytree(ROOT / "firmware" / "prebuilt", tmp_path / "firmware" / "prebuilt")
    return tmp_path


def pytest_run(folder, *arguments, **options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def finished(process, code=0):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    return output


SHORT = ("suites/japanese_vowels.yaml", "--device", "nano33", "--samples", "3", "-k", "float32 or student or sparse")


@pytest.mark.slow
def test_boards_share_the_cases_of_one_run(farm):
    output = finished(pytest_run(farm, *SHORT, "-n", "auto"))
    assert "created: 3/3 workers" in output
    results = load_results(farm / "results")
    assert len(results.runs) == 1
    assert results.cases["case"].tolist() == [0, 5, 6, 7]  # their places in the suite
    assert results.cases["variant"].is_unique
    assert (results.cases["status"] == "complete").all()
    assert results.cases["device"].nunique() == 3
    assert results.samples.groupby("variant", observed=True).size().eq(3).all()
    assert f"Results: results/{results.runs['run'][0]}" in output
    # one process gives the same figures
    finished(pytest_run(farm, *SHORT, "--results-dir", "alone"))
    alone = load_results(farm / "alone")
    columns = ["variant", "ticks_median", "accuracy", "ram_peak_bytes", "flash_bytes"]
    assert results.cases[columns].equals(alone.cases[columns])
    assert alone.cases["device"].unique().tolist() == ["bench-1"]


@pytest.mark.slow
def test_each_runs_every_case_on_every_board(farm):
    finished(pytest_run(farm, *SHORT, "--each", "-k", "student", "-n", "3"))
    cases = load_results(farm / "results").cases
    assert cases.groupby("variant")["device"].apply(sorted).tolist() == [["bench-1", "bench-2", "bench-3"]] * 2


@pytest.mark.slow
def test_a_killed_workers_case_is_run_by_another_one(farm):
    in_the_middle(farm, "os.kill(os.getpid(), signal.SIGKILL)")
    output = finished(pytest_run(farm, *SHORT, "-n", "2", "--samples", "200"))
    assert re.search(r"4 passed, 1 rerun", output)
    results = load_results(farm / "results")
    assert results.cases["variant"].is_unique
    assert len(results.cases) == 4
    assert (results.cases["status"] == "complete").all()
    assert sorted(results.cases["attempts"]) == [1] * 3 + [2]
    assert results.samples.groupby("variant", observed=True).size().eq(200).all()


@pytest.mark.slow
def test_a_case_that_kills_its_workers_fails_and_the_others_go_on(farm):
    (farm / "conftest.py").write_text(
        "import os, signal, pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_runtest_call(item):\n"
        "    if item.name == 'student_int8':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    output = finished(pytest_run(farm, *SHORT, "-n", "2"), code=1)
    assert re.search(r"1 failed, 3 passed, 2 rerun", output)
    assert "crashed while running 'suites/japanese_vowels.yaml::student_int8'" in output
    assert set(load_results(farm / "results").cases["status"]) == {"complete"}


@pytest.mark.slow
def test_ctrl_c_keeps_what_had_finished(farm):
    in_the_middle(farm, "time.sleep(300)")  # so that they can't all end before the signal
    process = pytest_run(farm, *SHORT, "-n", "2", "--samples", "300", start_new_session=True)
    wait_for(lambda: (farm / "here").exists() and any(farm.glob("results/*/done/*.json")), process)
    os.killpg(process.pid, signal.SIGINT)
    output = finished(process, code=2)
    cases = load_results(farm / "results").cases
    assert all(re.search(rf"^{variant} .*%", output, re.MULTILINE) for variant in complete(cases)), output
    assert 1 <= (cases["status"] == "complete").sum() < 4
    assert cases.loc[cases["status"] != "complete", "accuracy"].isna().all()


def complete(cases):
    return cases.loc[cases["status"] == "complete", "variant"]


def in_the_middle(folder, happens):
    """Let something happen to the first worker that is in the middle of a case: to who can make the file `here`."""
    (folder / "conftest.py").write_text(f"""\
import contextlib, os, signal, time
from pathlib import Path
from harness.run.progress import Watch

here, show = Path(__file__).with_name("here"), Watch.__call__

def watch(self, stage, done, total):
    if (stage, done) == ("measure", total // 2):
        with contextlib.suppress(FileExistsError):
            here.touch(exist_ok=False)
            {happens}
    show(self, stage, done, total)

Watch.__call__ = watch
""")


def wait_for(what, process, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


# ---- the order


class Worker:
    def __init__(self):
        self.given, self.shutting_down = [], False

    def send_runtest_some(self, numbers):
        self.given += numbers

    def shutdown(self):
        self.shutting_down = True


def made_schedule(names, workers, boards):
    schedule = Schedule.__new__(Schedule)
    schedule.numnodes, schedule.collection = workers, list(names)
    schedule.boards, schedule.at, schedule.steal_requested_from_node = boards, {}, None
    return schedule


def scheduled(seconds, workers, names=None, boards=None):
    """Play a schedule through, with what xdist's workers do: begin a case when the next one or the end is known.

    Returns how long it takes, and which worker ran each case.
    """
    schedule = made_schedule(names or map(str, range(len(seconds))), workers, boards or {})
    nodes = [Worker() for _ in range(workers)]
    schedule.node2pending = {node: [] for node in nodes}
    schedule.node2collection = dict.fromkeys(nodes, schedule.collection)
    schedule.pending = list(range(len(seconds)))
    schedule.check_schedule()
    clock, order, by = 0.0, [], {}
    running = {}
    while not schedule.tests_finished:
        for node in nodes:
            waiting = schedule.node2pending[node]
            if node not in running and (len(waiting) >= 2 or (waiting and node.shutting_down)):
                running[node] = clock + seconds[waiting[0]]
        node = min(running, key=running.get)
        clock = running.pop(node)
        order.append(schedule.node2pending[node][0])
        by[order[-1]] = nodes.index(node)
        schedule.mark_test_complete(node, order[-1])
    assert sorted(order) == list(range(len(seconds)))
    return clock, by


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
def test_wall_time_is_close_to_its_share(workers):
    seconds = sorted([30, 20, 20, 12, 10, 9, 8, 8, 7, 7, 6, 6, 5, 5, 5, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1])[
        ::-1
    ]
    least = max(seconds[0], sum(seconds) / workers)
    assert scheduled(seconds, workers)[0] <= least * 1.15


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_each_board_has_one_worker(workers):
    boards = {"b1": 1, "b2": 1, "b3": 1}
    names = [f"s.yaml::v{number}[{board}]" for number in range(6) for board in boards]
    clock, by = scheduled([1.0] * len(names), workers, names, boards)
    for board in boards:
        assert len({worker for index, worker in by.items() if names[index].endswith(f"[{board}]")}) == 1
    assert clock == {1: 18, 2: 12, 3: 6, 4: 6}[workers]


def test_no_kind_has_more_workers_than_boards():
    boards = {"nano33": 3, "other": 1}
    names = [f"s.yaml::v{number}[{kind}]" for kind in boards for number in range(8)]
    _, by = scheduled([1.0] * 16, 4, names, boards)
    assert len({worker for index, worker in by.items() if names[index].endswith("[other]")}) == 1


def test_the_cases_of_a_worker_that_died_are_given_to_the_next_one():
    schedule = made_schedule(["a", "b"], 1, {})
    node, late = Worker(), Worker()
    schedule.node2pending, schedule.node2collection = {node: []}, {node: ["a", "b"]}
    schedule.pending = [0, 1]
    schedule.check_schedule()
    assert node.given == [0, 1]
    assert schedule.remove_node(node) == "a"
    schedule.mark_test_pending("a")
    assert not schedule.tests_finished
    schedule.node2pending[late] = []
    schedule.node2collection = {late: ["a", "b"]}
    schedule.schedule()
    assert late.given == [0, 1]


# ---- pools


def lab(tmp_path, text):
    (tmp_path / "devices.yaml").write_text(text)
    return Lab.load(tmp_path / "devices.yaml")


def test_boards_of_a_kind_are_a_pool(tmp_path):
    devices = lab(tmp_path, LAB).select(["rack"])
    (target,), left_out = make_targets(devices, "auto", each=False)
    assert (target.name, target.pool, len(target.devices), left_out) == ("nano33", "nano33", 3, ())
    targets, _ = make_targets(devices, "auto", each=True)
    assert [(target.name, target.pool) for target in targets] == [(f"bench-{n}", None) for n in (1, 2, 3)]
    (target,), _ = make_targets(devices[:1], "auto", each=False)
    assert (target.name, target.pool) == ("bench-1", None)


def test_another_hosts_board_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "here")
    text = "devices:\n  a: {kind: nano33, host: there}\n  b: {kind: nano33, host: here}\n"
    devices = lab(tmp_path, text).select(["nano33"])
    (target,), (absent,) = make_targets(devices, "auto", each=False)
    assert ([device.name for device in target.devices], target.pool) == (["b"], "nano33")
    assert (absent.device, absent.why) == ("a", "it is attached to there, and this is here")
    with pytest.raises(ConfigError, match="a can't be used here: it is attached to there"):
        make_targets(devices[:1], "auto", each=False)


def test_an_emulator_does_not_stand_in_for_one_board_of_a_pool(tmp_path):
    text = 'devices:\n  a: {kind: nano33, probe: "A1", port: {serial: "1"}}\n  b: {kind: nano33, backend: virtual}\n'
    devices = lab(tmp_path, text).select(["nano33"])
    (target,), (absent,) = make_targets(devices, "auto", each=False)
    assert [device.name for device in target.devices] == ["b"]
    assert absent.device == "a"
    assert "its probe A1 is not attached" in absent.why


def test_boards_of_a_kind_on_two_backends_are_two_pools(tmp_path):
    devices = lab(tmp_path, LAB).select(["rack"])
    members = list(zip(devices, ("virtual", "renode", "virtual"), "abc", strict=True))
    first, second = group(members, alone=False)
    assert (first.name, first.pool, first.whys) == ("nano33-virtual", "nano33", ("a", "c"))
    assert (second.name, second.pool, second.devices) == ("nano33-renode", "nano33", (devices[1],))
    assert [target.name for target in group(members, alone=True)] == [device.name for device in devices]


def test_durations_are_medians_of_complete_cases(tmp_path):
    assert durations(tmp_path / "none") == {}
    found = durations(ROOT / "results" / "example")
    assert found
    assert all(value > 0 for value in found.values())
