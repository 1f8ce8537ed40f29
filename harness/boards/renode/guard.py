"""A small process between the harness and one Renode: sees that Renode never outlives the harness.

It is run as a script (`python guard.py FD ISOLATE FOLDER -- COMMAND...`) with nothing but the standard library. Over
the socket FD it takes one request per line and answers with one line, both JSON. When that socket ends, the harness is
gone, killed or not, and Renode and its folder go too. Where the system allows it, Renode runs in a network of its own,
so that its listeners, which bind every interface, can be reached by nobody else; the guard then opens connections to
them and hands them over.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_POLL_S = 0.05
_CONNECT_S = 5.0
_ORPHAN_S = 1.0
_KILLED_S = 8.0  # what was killed is gone by then, however busy the computer is
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the harness decides, and Ctrl-C reaches it as well


class Guard:
    """One Renode and the socket to the harness.

    Args:
        control: the guard's end of the socket.
        folder: of this Renode; removed at the end.
        command: starts Renode; what it prints goes to `renode.log` in the folder.
    """

    def __init__(self, control: socket.socket, folder: Path, command: list[str]) -> None:
        self._control = control
        self._folder = folder
        self._request = 0
        with (folder / "renode.log").open("ab") as log:
            # A file, because a pipe that nobody reads blocks Renode, and one that is closed crashes it.
            self._renode = subprocess.Popen(  # noqa: S603 (the harness says what)
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                preexec_fn=_before_renode,  # noqa: PLW1509 (this process has one thread)
            )

    @property
    def pid(self) -> int:
        """Of the process that was started: Renode, or a script that starts it."""
        return self._renode.pid

    def serve(self) -> None:
        """Answer the harness until it is gone or says goodbye; then end Renode."""
        try:
            pending = b""
            while True:
                data = self._control.recv(4096)
                if not data:
                    break
                pending += data
                while b"\n" in pending:
                    line, _, pending = pending.partition(b"\n")
                    self._answer(json.loads(line))
        except OSError:
            pass
        finally:
            self._end(_ORPHAN_S)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _answer(self, request: dict[str, Any]) -> None:
        what, self._request = request["do"], request["id"]
        if what == "connect":
            self._connect(request["port"])
        elif what == "status":
            self._say({"exit": self._renode.poll()})
        elif what == "wait":
            self._say({"exit": self._wait(request["seconds"])})
        elif what == "end":
            self._say({"exit": self._renode.poll(), "by": self._end(request["seconds"])})

    def _say(self, answer: dict[str, Any]) -> None:
        self._control.sendall(self._line(answer))

    def _line(self, answer: dict[str, Any]) -> bytes:
        return json.dumps({**answer, "id": self._request}).encode() + b"\n"

    def _connect(self, port: int) -> None:
        try:
            peer = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S)
        except OSError as error:
            self._say({"error": str(error)})
            return
        with peer:
            socket.send_fds(self._control, [self._line({"error": None})], [peer.fileno()])

    def _wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while (code := self._renode.poll()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return code

    def _end(self, seconds: float) -> str:
        """Make sure that nothing of Renode runs, and say what it took."""
        how = "itself"
        if self._renode.poll() is None:
            how = "SIGTERM"
            self._signal(signal.SIGTERM)
            if self._wait(seconds) is None:
                how = "SIGKILL"
        self._signal(signal.SIGKILL)  # of a script that started Renode, the child may be left
        self._wait(_KILLED_S)
        return how

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._renode.pid, number)


def _before_renode() -> None:
    """Give the signals back that the guard ignores, and let the kernel end Renode when the guard itself is killed.

    The latter is for Linux only; elsewhere nothing happens.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def isolate() -> str | None:
    """Move this process into a network of its own that has only a loopback interface.

    Returns:
        None, or why it can't be done.

    Raises:
        OSError: it is in one, but that can't be used.
    """
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has no network namespaces"
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = _CLONE_NEWNET if user == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    if libc.unshare(flags) != 0:
        return f"the system refuses a network namespace: {os.strerror(ctypes.get_errno())}"
    if user != 0:  # keep the own name in the new user namespace, so that files stay the user's
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16xH14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
    return None


def main(arguments: list[str]) -> int:
    """Run a guard.

    Args:
        arguments: number of the socket, 1 to isolate or 0, folder, "--", command.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(arguments[0]))
    try:
        refused = isolate() if arguments[1] == "1" else "not asked for"
        guard = Guard(control, Path(arguments[2]), arguments[4:])
    except OSError as error:
        control.sendall(json.dumps({"error": str(error), "id": 0}).encode() + b"\n")
        return 1
    control.sendall(json.dumps({"pid": guard.pid, "refused": refused, "id": 0}).encode() + b"\n")
    guard.serve()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
