"""Renode's Robot server: XML-RPC over connections that somebody else opens, each call with a deadline of the host."""

from __future__ import annotations

import contextlib
import http.client
import reprlib
import socket
import threading
import time
import xmlrpc.client
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[[], socket.socket]

    class Epitaph(Protocol):
        """What became of Renode."""

        def __call__(self, *, broken: bool) -> str:
            """Say it; where the connection is broken, Renode probably ends, and that is waited for."""
            ...


_LONGEST = 2000
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


class KeywordError(EmulatorError):
    """Renode executed a command and says that it failed."""


class _Connection(http.client.HTTPConnection):
    """A connection over a socket that was opened elsewhere."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__("127.0.0.1")
        self.sock = opened

    def connect(self) -> None:
        raise ConnectionError("Renode has closed the connection")


class _Transport(xmlrpc.client.Transport):
    """One call over one connection, never repeated: a command that was executed must not be executed again."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__()
        self._opened = opened

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 (the base class gives it)
        return _Connection(self._opened)

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:  # noqa: FBT001, FBT002
        return self.single_request(host, handler, request_body, verbose)


class RobotServer:
    """Runs keywords in one Renode.

    Args:
        board: the name that messages give it.
        connect: opens a connection to the server.
        epitaph: says what became of Renode, when it doesn't answer, or when the connection is broken.
    """

    def __init__(self, board: str, connect: Connect, epitaph: Epitaph) -> None:
        self._board = board
        self._connect = connect
        self._epitaph = epitaph

    def keyword(self, name: str, *arguments: str, patience: float) -> str:
        """Run a keyword and return its result; "" if it has none.

        Args:
            name: the keyword that is called.
            arguments: what it is called with.
            patience: how long it may take, in seconds of the host. Renode's own time-outs are in virtual time, which
                may stand still.

        Raises:
            KeywordError: the keyword failed.
            EmulatorError: there is no answer in time, or one that isn't the server's.
        """
        answer = self._call("run_keyword", (name, list(arguments)), f"{name} {list(arguments)}", patience)
        if not isinstance(answer, dict) or answer.get("status") not in ("PASS", "FAIL"):
            raise EmulatorError(
                f"{self._board}: Renode answers {name} with {_SHORT.repr(answer)}, not with PASS or FAIL"
            )
        told = answer.get("error" if answer["status"] == "FAIL" else "return")
        if not isinstance(told, (str, NoneType)):
            raise EmulatorError(f"{self._board}: Renode answers {name} with {_SHORT.repr(answer)}, which isn't text")
        if answer["status"] == "FAIL":
            why = _words((told or "no reason given").strip())
            raise KeywordError(f"{self._board}: Renode can't do {name} {list(arguments)}: {why}")
        return told or ""

    def stop(self, patience: float) -> None:
        """Ask Renode to end itself. Says nothing if it doesn't answer: what comes next ends it anyway."""
        with contextlib.suppress(EmulatorError):
            self._call("stop_remote_server", (), "stop_remote_server", patience)

    def _call(self, method: str, arguments: tuple[Any, ...], what: str, patience: float) -> Any:
        late = threading.Event()
        with self._connect() as opened:
            opened.settimeout(patience)

            def give_up() -> None:
                late.set()
                with contextlib.suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

            timer = threading.Timer(patience, give_up)  # a time-out of the socket alone begins anew with every byte
            timer.daemon = True
            timer.start()
            began = time.monotonic()
            try:
                proxy = xmlrpc.client.ServerProxy("http://127.0.0.1/", transport=_Transport(opened))
                return getattr(proxy, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                words = _words(fault.faultString)
                raise EmulatorError(f"{self._board}: Renode refuses {what}: {words}") from fault
            # What isn't Renode's server can answer anything, and each part of such an answer has a parser with errors
            # of its own: HTTP, gzip, the encoding, XML, and the values in it.
            except Exception as error:
                raise self._silent(what, error, patience, time.monotonic() - began, late=late.is_set()) from error
            finally:
                timer.cancel()

    def _silent(self, what: str, error: Exception, patience: float, waited: float, *, late: bool) -> EmulatorError:
        if late or isinstance(error, TimeoutError):
            state = self._epitaph(broken=False)
            return EmulatorError(f"{self._board}: Renode doesn't answer {what} in {patience:g} s. {state}")
        state = self._epitaph(broken=True)
        return EmulatorError(f"{self._board}: Renode broke off {what} after {waited:.1f} s: {_words(error)}. {state}")


def _words(value: object) -> str:
    """Put what was answered into words of a bounded length, however it is nested."""
    if isinstance(value, Exception) and not isinstance(value, OSError):
        return f"{type(value).__name__}: {_words(str(value))}"
    return str(value)[:_LONGEST] if isinstance(value, (str, OSError)) else _SHORT.repr(value)
