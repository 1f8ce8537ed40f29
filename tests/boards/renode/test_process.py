"""Starting Renode, talking to it and ending it, with everything that was seen to go wrong."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import xmlrpc.client
from pathlib import Path

import pytest

from harness.boards.renode import process
from harness.boards.renode.find import require_renode
from harness.boards.renode.process import RenodeProcess
from harness.boards.renode.rpc import KeywordError, RobotServer
from harness.errors import EmulatorError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the Renode backend is for Linux and macOS")


@pytest.fixture
def start(stand_in):
    """Start Renodes, and end what is left of them."""
    stand_in.trap("")
    opened = []

    def start(**options):
        opened.append(RenodeProcess("nano33", require_renode(), **options))
        return opened[-1]

    yield start
    for renode in opened:
        renode.close()


@pytest.fixture
def hurry(monkeypatch):
    """Shorten the waits of the shutdown, which are seconds."""
    monkeypatch.setattr(process, "_STOP_S", 0.3)
    monkeypatch.setattr(process, "_TERM_S", 5.0)  # only who ignores SIGTERM is waited for


def gone(pids, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() and " Z " not in stat(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def stat(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return " Z "


def test_command_line_and_environment_are_its_own(start, stand_in):
    renode = start()
    recorded = {entry[0]: entry[1] for entry in stand_in.trace}
    arguments = recorded["argv"]
    assert arguments == [
        "--disable-xwt",
        "--plain",
        "--hide-analyzers",
        "--config",
        str(renode.folder / "config"),
        "--robot-server-port",
        "0",
    ]  # neither -P, whose default port clashes, nor --console, which ends with the input
    assert recorded["environment"] == {"TMPDIR": str(renode.folder / "tmp"), "RENODE_CI_MODE": "YES"}
    assert not renode.folder.name.startswith("renode-")  # such folders are removed by the next Renode that starts
    assert os.getpgid(recorded["pid"]) != os.getpgid(0)
    assert os.getsid(recorded["pid"]) != os.getsid(0)


def test_it_ends_by_itself_and_leaves_nothing(start, stand_in):
    renode = start()
    assert renode.close() == "itself"
    assert stand_in.trace[-1] == ["ended"]
    assert not renode.folder.exists()
    assert renode.close() == ""


@pytest.mark.usefixtures("stand_in")
def test_many_start_at_once_and_keep_out_of_each_other_s_way():
    started = {}

    def start(name):
        started[name] = RenodeProcess(name, require_renode())

    threads = [threading.Thread(target=start, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len({renode.folder for renode in started.values()}) == 3
        for renode in started.values():
            assert list(renode.folder.glob("tmp/renode-*/robot_port"))  # nobody's was wiped by another's start
            with pytest.raises(KeywordError, match="No such command"):
                renode.robot.keyword("ExecuteCommand", "nonsense", patience=60)
    finally:
        assert [renode.close() for renode in started.values()] == ["itself"] * 3


def test_robot_port_file_is_empty_at_first(start, stand_in):
    stand_in.trap("slow-port=0.7")
    with pytest.raises(KeywordError, match="No such command"):
        start().robot.keyword("ExecuteCommand", "nonsense", patience=60)


def test_robot_port_in_use_ends_renode_with_0_and_the_log_says_why(start, stand_in):
    stand_in.trap("robot-busy")
    with pytest.raises(EmulatorError, match=r"nano33: Renode ended before .* exit code 0; .* Could not start the HTTP"):
        start()


def test_crash_at_the_start_is_told_with_its_last_words(start, stand_in):
    stand_in.trap("crash")
    with pytest.raises(EmulatorError, match=r"exit code 134; its log ends with: Unhandled exception"):
        start()


def test_a_crash_is_told_by_what_happened_rather_than_where_in_renode(start, stand_in):
    """As mono prints it: the message, and then more lines of a stack trace than are shown of the log."""
    stand_in.trap("crash=trace")
    with pytest.raises(EmulatorError, match=r"log ends with: .*Could not add reference to assembly X$"):
        start()


@pytest.mark.usefixtures("hurry")
def test_a_start_that_never_ends_has_a_deadline(start, stand_in):
    stand_in.trap("stuck")
    began = time.monotonic()
    with pytest.raises(EmulatorError, match=r"no Robot server port into .*renode-\*/robot_port in 2 s\. It still runs"):
        start(start_s=2)
    assert time.monotonic() - began < 50  # the default is longer
    assert stand_in.running() == []


def test_a_program_that_is_none(start, stand_in):
    stand_in.program.write_bytes(b"\x7fELF no")
    with pytest.raises(EmulatorError, match=r"installed/renode can't be started: .*[Ee]xec format"):
        start()


def test_what_it_prints_never_blocks_it(start, stand_in):
    stand_in.trap("chatter=3000")
    renode = start()
    assert renode.log.stat().st_size > 3_000_000
    assert renode.close() == "itself"


@pytest.mark.usefixtures("hurry")
def test_a_command_that_never_ends_has_a_deadline_of_the_host(start, stand_in):
    stand_in.trap("deaf=start")
    renode = start()
    began = time.monotonic()
    with pytest.raises(EmulatorError, match=r"doesn't answer ExecuteCommand \['start'\] in 0.5 s\. It still runs"):
        renode.robot.keyword("ExecuteCommand", "start", patience=0.5)
    assert time.monotonic() - began < 50
    assert renode.close() == "SIGTERM"


def test_a_server_that_sends_byte_by_byte_has_a_deadline_too(start):
    """A time-out of the socket alone would begin anew with every byte."""
    renode = start()
    ours, theirs = socket.socketpair()

    def dribble():
        with theirs:
            theirs.recv(4096)
            for byte in b"HTTP/1.0 200 OK\r\n" * 100:
                try:
                    theirs.sendall(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.1)

    threading.Thread(target=dribble, daemon=True).start()
    robot = RobotServer("nano33", lambda: ours, renode.epitaph)
    began = time.monotonic()
    with pytest.raises(EmulatorError, match=r"doesn't answer ExecuteCommand \['start'\] in 1 s"):
        robot.keyword("ExecuteCommand", "start", patience=1)
    assert time.monotonic() - began < 50


def test_a_command_in_which_renode_dies_is_told_at_once(start, stand_in):
    stand_in.trap("die=start")
    with pytest.raises(EmulatorError, match=r"broke off ExecuteCommand \['start'\].* exit code 134; .*Fatal error"):
        start().robot.keyword("ExecuteCommand", "start", patience=60)


def test_a_renode_that_ends_a_while_after_its_connections_is_seen_to_end(start, stand_in):
    """As on a busy computer, where a process that dies waits for its turn like any other."""
    stand_in.trap("die=start;linger")
    with pytest.raises(EmulatorError, match=r"broke off ExecuteCommand \['start'\].* exit code 134; .*Fatal error"):
        start().robot.keyword("ExecuteCommand", "start", patience=60)


def test_a_command_is_never_sent_twice(start, stand_in):
    stand_in.trap("die=pause")
    renode = start()
    with pytest.raises(EmulatorError):
        renode.robot.keyword("ExecuteCommand", "pause", patience=60)
    assert stand_in.commands == ["pause"]


@pytest.mark.parametrize(
    ("keyword", "arguments", "message"),
    [
        ("NoSuchKeyword", ["x"], 'Renode refuses NoSuchKeyword .*Keyword "NoSuchKeyword" not found'),
        ("ExecuteCommand", [5], r"Renode refuses ExecuteCommand \[5\]: Arguments types do not match"),
    ],
)
def test_faults_of_the_server(start, keyword, arguments, message):
    with pytest.raises(EmulatorError, match=message):
        start().robot.keyword(keyword, *arguments, patience=60)


def test_an_answer_that_is_neither_pass_nor_fail(start, stand_in):
    stand_in.trap("garbage")
    with pytest.raises(EmulatorError, match="answers ExecuteCommand with 'garbage'"):
        start().robot.keyword("ExecuteCommand", "start", patience=60)


@pytest.mark.usefixtures("hurry")
def test_a_renode_that_hangs_at_its_end_is_terminated(start, stand_in):
    stand_in.trap("hang-at-end")
    renode = start()
    assert renode.close() == "SIGTERM"
    assert not renode.folder.exists()  # SIGTERM leaves Renode's own folder behind, in ours


@pytest.mark.usefixtures("hurry")
def test_a_renode_that_ignores_that_is_killed(start, stand_in, monkeypatch):
    monkeypatch.setattr(process, "_TERM_S", 0.3)
    stand_in.trap("hang-at-end;stubborn")
    renode = start()
    assert renode.close() == "SIGKILL"
    assert stand_in.running() == []


@pytest.mark.usefixtures("hurry")
def test_a_script_that_starts_renode_is_ended_with_it(start, stand_in):
    """The program on PATH may be a script that doesn't use exec: the port file then has another number."""
    stand_in.write_program("")
    stand_in.trap("hang-at-end;stubborn")
    renode = start()
    assert renode.close() == "SIGTERM"  # was enough for the script
    assert gone(stand_in.pids)


HARNESS = """
    import sys, time
    from harness.boards.renode import RenodeBoard, require_renode
    from harness.config import Lab
    board = RenodeBoard(Lab.load(None).select(["nano33"])[0], require_renode())
    renode = board._machine.process
    print(renode.folder, renode._guard.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("how", ["exec ", ""], ids=["program", "script"])
@pytest.mark.parametrize("traps", ["", "stubborn"])
def test_no_orphan_after_the_harness_was_killed(stand_in, traps, how):
    stand_in.write_program(how)
    stand_in.trap(traps)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HARNESS)], stdout=subprocess.PIPE, text=True
    ) as harness:
        folder, guard_pid = harness.stdout.readline().split()
        assert stand_in.running()
        harness.send_signal(signal.SIGKILL)
    assert gone([*stand_in.pids, int(guard_pid)])
    assert not Path(folder).exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_no_orphan_after_the_guard_was_killed(start, stand_in):
    renode = start()
    os.kill(renode._guard.pid, signal.SIGKILL)
    assert gone(stand_in.pids)
    with pytest.raises(EmulatorError, match="guards Renode is lost"):
        renode.connect(1)
    assert renode.close() == ""
    assert not renode.folder.exists()


def test_ctrl_c_reaches_the_harness_only(start, stand_in):
    renode = start()
    for pid in (renode._guard.pid, *stand_in.pids):
        assert os.getpgid(pid) != os.getpgid(0)


@pytest.mark.slow
def test_ctrl_c_between_question_and_answer_confuses_nothing(start, monkeypatch):
    renode = start()
    answer = renode._answer
    with monkeypatch.context() as patch:

        def interrupted(_patience):
            raise KeyboardInterrupt

        patch.setattr(renode, "_answer", interrupted)
        for ask in (renode.epitaph, lambda: renode.connect(robot_port(renode))):
            with pytest.raises(KeyboardInterrupt):
                ask()
    assert renode._answer == answer
    with renode.connect(robot_port(renode)) as peer:
        assert peer.getpeername()[1] == robot_port(renode)
    assert renode.close() == "itself"


def reachable(port, stand_in):
    """Whether the stand-in, and not another test's, answers at that port of this computer."""
    nonce = f"nonce{secrets.token_hex(8)}"
    with contextlib.suppress(OSError, http.client.HTTPException):
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        caller.request("POST", "/", xmlrpc.client.dumps((nonce, []), "run_keyword"), {"Content-Type": "text/xml"})
        caller.getresponse().read()
    return ["keyword", nonce] in stand_in.trace


def robot_port(renode):
    return int(next(renode.folder.glob("tmp/renode-*/robot_port")).read_text())


def test_ports_are_out_of_reach_or_a_warning_says_that_they_are_not(start, stand_in):
    renode = start()
    assert (renode.open_to_network is None) == (not reachable(robot_port(renode), stand_in))
    if sys.platform.startswith("linux") and os.getuid() == 0:
        assert renode.open_to_network is None or "refuses a network namespace" in renode.open_to_network


def test_without_isolation_the_ports_are_open(start, stand_in):
    renode = start(isolated=False)
    assert renode.open_to_network == "not asked for"
    assert reachable(robot_port(renode), stand_in)


def test_a_network_of_its_own_that_cannot_be_used_is_given_up(start, stand_in, tmp_path, monkeypatch):
    """Such a guard is told by its error, and a second one is started without."""
    broken = tmp_path / "guard.py"
    source = process._GUARD.read_text()
    before = "    return None\n\n\ndef main"
    assert before in source
    broken.write_text(source.replace(before, '    raise OSError("no such device lo")\n\n\ndef main'))
    monkeypatch.setattr(process, "_GUARD", broken)
    renode = start()
    assert "no such device lo" in (renode.open_to_network or "") or not sys.platform.startswith("linux")
    assert reachable(robot_port(renode), stand_in)


@pytest.mark.slow
def test_the_package_can_be_imported_where_the_backend_cannot_run():
    """Windows lacks what the guard needs, and has the other backends all the same."""
    code = (
        "import sys, serial, pyocd.core.session, filelock; sys.modules['fcntl'] = None; import harness.boards.opening"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
