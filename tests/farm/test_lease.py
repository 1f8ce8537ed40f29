"""A lease is held by one process at a time, and nobody waits for one that crashed or hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from fakes.old_leases import hang
from harness.errors import BusyError, LeaseLostError
from harness.farm.holder import Holder, purpose_of, since_words
from harness.farm.lease import Lease
from harness.farm.lease_files import lease_folder, open_lock
from harness.farm.listing import list_leases
from harness.json_file import read_json, write_json

OTHER = """
import sys
from harness.farm.lease import Lease
with Lease("theirs", "port", "NANO1", purpose="nightly"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("HIL_HOST", "host1")
    monkeypatch.setenv("HIL_USER", "ana")
    return tmp_path / "leases"


@pytest.fixture
def other_process(folder):
    """Another process that has the lease; it ends when its input does, or with the test."""
    assert not folder.exists()
    process = subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.stdin.close()
    process.wait()


def port(name="mine", **options):
    return Lease(name, "port", "NANO1", **options)


def the_file(folder):
    (path,) = folder.glob("*.json")
    return path


# ---- one at a time


def test_who_has_it_is_named(other_process):
    words = (
        rf"mine: port NANO1 is in use by ana \(nightly; process {other_process.pid} on host1\) since \d\d:\d\d, 0 min; "
    )
    with pytest.raises(BusyError, match=words + "wait until that has ended, or add --wait"):
        port().acquire()
    other_process.stdin.close()
    other_process.wait()
    with port(), pytest.raises(BusyError, match="this program on host1"):
        port().acquire()


def test_nothing_but_the_guard_is_left_after_a_release(folder):
    with port():
        assert len(list(folder.iterdir())) == 3
    assert [path.suffix for path in folder.iterdir()] == [".guard"]


def test_the_files_are_for_all_users(folder):
    before = os.umask(0o077)
    try:
        with port():
            assert folder.stat().st_mode & 0o777 == 0o777
            assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666}
    finally:
        os.umask(before)


def test_a_process_that_was_killed_frees_it(other_process, folder):
    other_process.kill()
    other_process.wait()
    with port() as lease:
        lease.check()
        assert read_json(the_file(folder))["pid"] == os.getpid()
    assert [path.suffix for path in folder.iterdir()] == [".guard"]


def test_a_lease_can_be_released_by_another_thread():
    lease = port()
    lease.acquire()
    thread = threading.Thread(target=lease.release)
    thread.start()
    thread.join()
    with port():
        pass


def test_a_lease_that_cannot_be_taken_is_a_message(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "file" / "folder"))
    with pytest.raises(BusyError, match=r"mine: port NANO1 can't be reserved: .*name another folder .* in HIL_LEASES"):
        port().acquire()


def test_keys_that_look_alike_in_a_file_name_are_two_leases():
    with Lease("a", "port", "1-1"), Lease("b", "port", "1:1"):
        pass


def test_a_damaged_file_does_not_free_what_a_process_holds(other_process, folder):
    the_file(folder).write_text("{")
    with pytest.raises(BusyError, match="in use by another run that left no name"):
        port().acquire()
    other_process.stdin.close()
    other_process.wait()
    with port() as lease:
        lease.check()


# ---- time to live


def test_the_heartbeat_keeps_a_lease_for_longer_than_its_time_to_live(folder):
    with port(ttl_s=1.5) as lease:
        first = read_json(the_file(folder))
        deadline = time.monotonic() + 60
        while read_json(the_file(folder))["beat_s"] <= first["beat_s"] + 1.5:  # looked at right after a beat
            assert time.monotonic() < deadline
            time.sleep(0.005)
        with pytest.raises(BusyError):
            port().acquire()
        lease.check()
        assert read_json(the_file(folder))["heartbeat"] > first["heartbeat"]


def test_without_a_heartbeat_it_is_taken_over_and_the_holder_notices(folder):
    old, new = port(ttl_s=60), port("new")
    with old:
        hang(old, 61)
        assert list_leases()[0][0].state(time.monotonic()) == "expired"
        with new:
            with pytest.raises(LeaseLostError, match=r"mine: port NANO1 was lost .* more than 60 s .* in use by ana"):
                old.check()
            old.beat()
            old.release()
            new.check()
            with pytest.raises(LeaseLostError, match="not held by this run any more"):
                old.check()
    assert [path.suffix for path in folder.iterdir()] == [".guard"]


def test_a_check_renews_what_others_could_soon_take():
    with port(ttl_s=60) as lease:
        hang(lease, 61)
        lease.check()
        with pytest.raises(BusyError):
            port().acquire()


def test_a_holder_whose_file_was_removed_notices(folder):
    with port() as lease:
        the_file(folder).unlink()
        with pytest.raises(LeaseLostError, match="its file was removed"):
            lease.check()


def test_nobody_takes_over_while_the_files_are_being_changed(folder, monkeypatch):
    with port(ttl_s=60) as lease:
        hang(lease, 61)
        (guard,) = folder.glob("*.guard")
        with open_lock(guard), monkeypatch.context() as patch:
            patch.setattr("harness.farm.lease._GUARD_S", 0.1)
            with pytest.raises(BusyError, match="no sign of life since"):
                port().acquire()
        lease.check()


# ---- waiting


def test_waiting_ends_when_the_other_does(other_process):
    said = []

    def end_the_other(text):
        said.append(text)
        other_process.stdin.close()

    lease = port()
    lease.acquire(wait_s=None, on_wait=end_the_other)
    lease.check()
    lease.release()
    assert len(said) == 1
    assert said[0].startswith("waiting: mine: port NANO1 is in use by ana (nightly; process ")
    other_process.wait()


@pytest.mark.usefixtures("other_process")
def test_waiting_has_an_end():
    said = []
    begun = time.monotonic()
    with pytest.raises(BusyError, match=r"in use by ana .*; waited 0.7 s$"):
        port().acquire(wait_s=0.7, on_wait=said.append)
    assert 0.7 <= time.monotonic() - begun < 60
    assert said == []  # it was too short for that


# ---- what is listed


def test_leases_are_listed_and_what_crashed_is_removed(other_process):
    with Lease("bench", "probe", "P1", kind="nano33", purpose="hil flash x.elf", run="r1") as lease:
        held, crashed = list_leases()
        assert [(one.device, one.what, one.key, one.purpose, one.run) for one in held] == [
            ("theirs", "port", "NANO1", "nightly", None),
            ("bench", "probe", "P1", "hil flash x.elf", "r1"),
        ]
        assert crashed == []
        other_process.kill()
        other_process.wait()
        held, crashed = list_leases()
        assert ([one.device for one in held], [one.pid for one in crashed]) == (["bench"], [other_process.pid])
        assert list_leases()[1] == []
        lease.check()
    assert list_leases() == ([], [])


def test_a_file_that_somebody_made_up_does_no_harm(folder):
    with port() as lease:
        path = the_file(folder)
        content = read_json(path)
        write_json(path, {**content, "owner": "\x1b[2Jeve\n", "since": "2026-01-01T00:00:00", "heartbeat": "x"})
        with pytest.raises(BusyError, match=r"in use by \?\[2Jeve\? \(.*since nobody knows when"):
            port().acquire()
        lease.check()
        for change in ({"generation": "../../x"}, {"pid": "1"}, {"device": None}, {"run": 3}):
            assert Holder.parse({**content, **change}) is None
        assert Holder.parse(content).as_json() == content


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["/v/bin/pytest", "suites/", "--device", "nano33"], "pytest suites/ --device nano33"),
        (["/v/lib/pytest/__main__.py", "-x"], "pytest -x"),
        (["/v/bin/hil", "flash", "/home/ana/x/int8.elf"], "hil flash int8.elf"),
        ([""], "python"),
        ([], "python"),
        (["/v/bin/hil", "a\x1bb" + "c" * 100], "hil a?b" + "c" * 50 + "..."),
    ],
)
def test_the_purpose_is_the_command_in_short(argv, words):
    assert purpose_of(argv) == words


def test_since_when_in_words():
    assert since_words("2001-01-01T12:00:00+00:00").startswith("200")
    assert since_words("2001-01-01T12:00:00+00:00").endswith(" h")


def test_the_default_folder_is_in_the_temporary_one(monkeypatch):
    monkeypatch.delenv("HIL_LEASES")
    assert lease_folder().name == "hil-leases"
