"""One Renode process: started with everything of its own, spoken to, and ended in the right order."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.boards.renode.rpc import RobotServer
from harness.errors import EmulatorError
from harness.link.poll import ready

if TYPE_CHECKING:
    from harness.boards.renode.find import Renode

#: Run as a script, never imported: it needs what Windows lacks.
_GUARD = Path(__file__).with_name("guard.py")
_GUARD_S = 10.0
_START_S = 60.0  # seen: 1.0 to 1.9 s on an idle machine
_STOP_CALL_S = 2.0
_STOP_S = 8.0
_TERM_S = 2.0
_POLL_S = 0.05
_DYING_S = 5.0  # on a busy computer; otherwise a process is gone a moment after its connections
_TAIL_LINES = 4
_PORTS = 1 << 16
_TRACE = re.compile(
    r"\s*(at (\(wrapper |\S+ ?\()|at .* in <|--- End of )"
)  # where in Renode it happened; what did comes before


class RenodeProcess:
    """Renode without a window, its Robot server on a port that it picked, behind a guard that outlives the harness.

    Args:
        board: the name that messages give it.
        renode: the Renode that is installed.
        start_s: how long it may take until it can be spoken to, host seconds.
        isolated: whether to ask the system for a network of its own.

    Attributes:
        folder: everything that this Renode writes; removed at the end.
        log: the file with what it prints.
        open_to_network: why its ports can be reached from outside; None if they can't.

    Raises:
        EmulatorError: it can't be started, or doesn't get ready in time.
    """

    def __init__(self, board: str, renode: Renode, *, start_s: float = _START_S, isolated: bool = True) -> None:
        self._board = board
        self._closed = False
        self._asked = 0
        self._pending = b""
        # Not named renode-*: every Renode that starts removes such folders of others.
        self.folder = Path(tempfile.mkdtemp(prefix="hil-emulator-"))
        self.log = self.folder / "renode.log"
        self._temporary = self.folder / "tmp"
        self._temporary.mkdir()
        self._control: socket.socket | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        try:
            self.open_to_network = self._start(renode, isolated=isolated)
            port = self._await_port(time.monotonic() + start_s, start_s)
            self.robot = RobotServer(board, lambda: self.connect(port), self.epitaph)
        except BaseException:
            self.close()
            raise

    def _start(self, renode: Renode, *, isolated: bool) -> str | None:
        command = [
            str(renode.program),
            *("--disable-xwt", "--plain", "--hide-analyzers"),
            *("--config", str(self.folder / "config")),
            *("--robot-server-port", "0"),
        ]
        told = self._spawn(command, isolate=isolated)
        refused = told.get("refused")
        if told.get("error") and isolated:  # in a network of its own that then couldn't be used
            refused = told["error"]
            self._drop_guard()
            told = self._spawn(command, isolate=False)
        if told.get("error"):
            raise EmulatorError(f"{self._board}: {renode.program} can't be started: {told['error']}")
        return refused

    def _spawn(self, command: list[str], *, isolate: bool) -> dict[str, Any]:
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [str(theirs.fileno()), str(int(isolate)), str(self.folder), "--", *command]
            self._guard = subprocess.Popen(  # noqa: S603 (our own script)
                [sys.executable, "-I", str(_GUARD), *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": str(self._temporary), "RENODE_CI_MODE": "YES"},
                start_new_session=True,
            )
        self._control, self._pending = ours, b""
        return self._answer(_GUARD_S)[0]

    def _await_port(self, deadline: float, start_s: float) -> int:
        """Wait for the file in which Renode writes the port that it picked; it is empty at first."""
        while True:
            for file in self._temporary.glob("renode-*/robot_port"):
                with contextlib.suppress(OSError, ValueError):
                    port = int(file.read_text())
                    if 0 < port < _PORTS:
                        return port
            ended = self._ask({"do": "status"})[0]["exit"]
            if ended is not None:
                # A port that is in use ends Renode with exit code 0, and only the log says so.
                raise EmulatorError(f"{self._board}: Renode ended before it was ready. {self._last_words(ended)}")
            if time.monotonic() >= deadline:
                raise EmulatorError(
                    f"{self._board}: Renode wrote no Robot server port into {self._temporary}/renode-*/robot_port in "
                    f"{start_s:g} s. {self._last_words(None)}"
                )
            time.sleep(_POLL_S)

    @property
    def ended(self) -> bool:
        """Whether Renode doesn't run any more, or nobody can tell."""
        try:
            return self._ask({"do": "status"})[0]["exit"] is not None
        except EmulatorError:
            return True

    def connect(self, port: int) -> socket.socket:
        """Open a connection to one of Renode's ports.

        Raises:
            EmulatorError: nothing listens there.
        """
        answer, received = self._ask({"do": "connect", "port": port})
        if received is None:
            raise EmulatorError(
                f"{self._board}: no connection to Renode's port {port}: {answer['error']}. {self.epitaph()}"
            )
        return received

    def epitaph(self, *, broken: bool = True) -> str:
        """Say whether Renode still runs, and what it printed last.

        Args:
            broken: a connection to it has broken, so that it probably ends: that is waited for.
        """
        try:
            return self._last_words(self._ask({"do": "wait", "seconds": _DYING_S if broken else 0.0})[0]["exit"])
        except EmulatorError as error:
            return str(error)

    def _last_words(self, ended: int | None) -> str:
        state = "It still runs" if ended is None else f"It ended with exit code {ended}"
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        tail = [line.strip() for line in lines if line.strip() and not _TRACE.match(line)][-_TAIL_LINES:]
        return f"{state}; its log ends with: {' | '.join(tail)}" if tail else f"{state}; its log is empty"

    def close(self) -> str:
        """End Renode, whatever state it is in, and remove its folder. Safe to call twice.

        Connections to its ports must be closed before: Renode doesn't end while somebody is connected to a UART.

        Returns:
            What it took: "itself", "SIGTERM", "SIGKILL", or "" if nothing ran.
        """
        if self._closed:
            return ""
        self._closed = True
        how = ""
        try:
            if hasattr(self, "robot"):
                self.robot.stop(_STOP_CALL_S)
                self._ask({"do": "wait", "seconds": _STOP_S}, _STOP_S + _GUARD_S)
            how = self._ask({"do": "end", "seconds": _TERM_S}, 2 * _TERM_S + _GUARD_S)[0]["by"]
        except EmulatorError:
            pass  # the guard is lost; what it guarded is ended by hanging up, or has ended with it
        finally:
            self._drop_guard()
            shutil.rmtree(self.folder, ignore_errors=True)
        return how

    def _drop_guard(self) -> None:
        """Hang up, which makes the guard end what is left and itself."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._guard is not None:
            try:
                self._guard.wait(_GUARD_S)
            except subprocess.TimeoutExpired:
                self._guard.kill()
                self._guard.wait()
            self._guard = None

    def _ask(self, request: dict[str, Any], patience: float = _GUARD_S) -> tuple[dict[str, Any], socket.socket | None]:
        if self._control is None:
            raise EmulatorError(f"{self._board}: Renode was switched off")
        self._asked += 1
        try:
            self._control.sendall(json.dumps({**request, "id": self._asked}).encode() + b"\n")
        except OSError as error:
            raise self._lost(str(error)) from error
        while True:
            answer, received = self._answer(patience)
            if answer["id"] == self._asked:
                return answer, received
            if received is not None:  # to a question that Ctrl-C interrupted
                received.close()

    def _answer(self, patience: float) -> tuple[dict[str, Any], socket.socket | None]:
        """Receive one line from the guard, and the connection that may come with it."""
        if self._control is None:
            raise EmulatorError(f"{self._board}: Renode was switched off")
        deadline = time.monotonic() + patience
        received: socket.socket | None = None
        while b"\n" not in self._pending:
            if not ready(self._control.fileno(), deadline - time.monotonic()):
                raise self._lost(f"no answer in {patience:g} s")
            try:
                data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
            except OSError as error:
                raise self._lost(str(error)) from error
            if descriptors:
                received = socket.socket(fileno=descriptors[0])
            if not data:
                raise self._lost("it has ended")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line), received

    def _lost(self, why: str) -> EmulatorError:
        return EmulatorError(f"{self._board}: the process that guards Renode is lost: {why}")
