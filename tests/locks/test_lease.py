"""A lease is held by one process at a time, and nobody waits for one that crashed or hangs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from fakes.old_leases import hang
from harness.errors import BusyError, LeaseLostError
from harness.files.json_file import read_json, write_json
from harness.locks.holder import Holder, purpose_of, since_words
from harness.locks.lease import Lease
from harness.locks.lease_files import lease_folder, list_leases, open_lock

OTHER = """
import sys
from harness.locks.lease import Lease
with Lease("theirs", "port", "NANO1", purpose="nightly"):
    print("held", flush=True)
    sys.stdin.read()
"""


#: Becomes another user, once what may lie in a folder of this one is imported.
AS_USER = """
import os, sys
from harness.locks.lease import Lease
with Lease("x", "port", "y"):
    pass
os.setgroups([60000]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1])), os.umask(0o077)
exec(sys.argv[2])
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


def test_who_has_it_is_named_even_if_its_file_is_damaged(other_process, folder):
    holder = rf"ana \(nightly; process {other_process.pid} on host1\) since \d\d:\d\d, \d min; "
    words = f"mine: port NANO1 is in use by {holder}"
    with pytest.raises(BusyError, match=words + "wait until that has ended, or add --wait"):
        port().acquire()
    said = []
    begun = time.monotonic()
    with pytest.raises(BusyError, match=r"in use by ana .*; waited 0.7 s$"):
        port().acquire(wait_s=0.7, on_wait=said.append)
    assert 0.7 <= time.monotonic() - begun < 60
    assert said == []  # it was too short for that
    the_file(folder).write_text("{")
    with pytest.raises(BusyError, match="in use by another run that left no name"):
        port().acquire()
    other_process.stdin.close()
    other_process.wait()
    with port() as lease:
        lease.check()
        with pytest.raises(BusyError, match="this program on host1"):
            port().acquire()


def test_nothing_but_the_guard_is_left_after_a_release(folder):
    with port():
        assert len(list(folder.iterdir())) == 3
    assert [path.suffix for path in folder.iterdir()] == [".guard"]


@pytest.mark.parametrize(("umask", "folder_mode", "file_mode"), [(0, 0o700, 0o600), (0o077, 0o2770, 0o660)])
def test_the_files_are_this_users_unless_the_folder_is_a_groups(folder, umask, folder_mode, file_mode):
    if folder_mode == 0o2770:
        folder.mkdir()
        folder.chmod(folder_mode)
    before = os.umask(umask)
    try:
        with port() as lease:
            lease.beat()
            assert stat.S_IMODE(folder.stat().st_mode) == folder_mode
            assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {file_mode}
    finally:
        os.umask(before)


def test_a_link_that_another_user_puts_there_in_the_worst_moment_leads_nowhere(folder, tmp_path, monkeypatch):
    """The other user wins every race: whatever is put into the folder is replaced by a link at once."""
    victim = tmp_path / "secret"
    victim.write_text("{}")
    victim.chmod(0o600)
    os.utime(victim, (1, 1))
    replace = Path.replace

    def swapped(path, target):
        replace(path, target)
        for place in folder.iterdir():
            place.unlink()
            place.symlink_to(victim)
        return target

    lease = port()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", swapped)
        lease.acquire()
    lease.beat()
    with pytest.raises(LeaseLostError):
        lease.check()
    with pytest.raises(BusyError):
        port("next").acquire()
    lease.release()
    about = victim.stat()
    assert (stat.S_IMODE(about.st_mode), about.st_mtime, victim.read_text()) == (0o600, 1, "{}")


def test_a_folder_that_every_user_may_write_is_refused(folder):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BusyError, match="every user of this computer may write it"):
        port().acquire()
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can start other users' programs")
def test_users_of_one_group_keep_each_other_from_a_board():
    """Two users who have nothing in common but the folder's group."""
    root = Path(tempfile.mkdtemp(prefix="hil-test-"))
    try:
        root.chmod(0o755)
        shared = root / "leases"
        shared.mkdir()
        os.chown(shared, 0, 60_000)
        shared.chmod(0o2770)
        environment = {**os.environ, "HIL_LEASES": str(shared), "HIL_USER": "eve", "HOME": "/nonexistent"}

        def start(user):
            command = [sys.executable, "-B", "-c", AS_USER, str(user), OTHER]
            pipe = subprocess.PIPE
            return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)

        first = start(60_001)
        assert first.stdout.readline() == "held\n"
        second = start(60_002)
        assert "in use by eve (nightly; process" in second.communicate(timeout=60)[1]
        first.kill()  # what it leaves is another user's, and no obstacle
        first.communicate()
        third = start(60_002)
        assert third.communicate(timeout=60) == ("held\n", "")
    finally:
        shutil.rmtree(root)


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
    with pytest.raises(BusyError, match=r"mine: port NANO1 can't be reserved: .*HIL_LEASES names another one"):
        port().acquire()


def test_keys_that_look_alike_in_a_file_name_are_two_leases():
    with Lease("a", "port", "1-1"), Lease("b", "port", "1:1"):
        pass


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
            patch.setattr("harness.locks.lease._GUARD_S", 0.1)
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


# ---- what is listed


def test_a_process_that_was_killed_frees_it_and_what_it_left_is_removed(other_process, folder):
    with Lease("bench", "probe", "P1", kind="nano33", purpose="hil flash x.elf", run="r1") as lease:
        held, crashed = list_leases()
        assert [(one.device, one.what, one.key, one.purpose, one.run) for one in held] == [
            ("theirs", "port", "NANO1", "nightly", None),
            ("bench", "probe", "P1", "hil flash x.elf", "r1"),
        ]
        assert crashed == []
        other_process.kill()
        other_process.wait()
        with port() as mine:
            mine.check()
            assert [one.pid for one in list_leases()[0]] == [os.getpid()] * 2
        made = Lease("gone", "port", "X")
        made.acquire()
        made._lock.release()  # as the system does for a process that ends
        held, crashed = list_leases()
        assert ([one.device for one in held], [one.device for one in crashed]) == (["bench"], ["gone"])
        assert list_leases()[1] == []
        lease.check()
    assert list_leases() == ([], [])
    assert {path.suffix for path in folder.iterdir()} == {".guard"}


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


def test_the_default_folder_is_this_users_whether_or_not_somebody_is_logged_in(tmp_path, monkeypatch):
    monkeypatch.delenv("HIL_LEASES")
    monkeypatch.setattr("harness.locks.lease_files._OF_THE_HOST", tmp_path / "none")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HIL_HOST", "bench/1")
    (tmp_path / "home").mkdir()
    found = set()
    for runtime in (None, str(tmp_path)):
        if runtime:
            monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        else:
            monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        found.add(lease_folder())
    assert found == {tmp_path / "home" / ".local" / "state" / "tinyml-hil" / "leases" / "bench_1"}
    with port():
        assert stat.S_IMODE(lease_folder().stat().st_mode) == 0o700
    (tmp_path / "none").mkdir()
    assert lease_folder() == tmp_path / "none"


def test_a_folder_that_another_user_has_made_in_the_temporary_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    there = tmp_path / "leases"
    there.mkdir()
    there.chmod(0o770)
    monkeypatch.setenv("HIL_LEASES", str(there))
    with port():
        pass
    monkeypatch.setattr(os, "geteuid", lambda: there.stat().st_uid + 1)
    with pytest.raises(BusyError, match="it is another user's"):
        port().acquire()
