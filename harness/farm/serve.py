"""A web server for the status page: it reads, and does nothing else. One request a connection, all within limits."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import socketserver
import sys
import threading
import time
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.errors import ConfigError
from harness.farm.door import Door, in_url, is_loopback
from harness.farm.site import TEXT, Reply, Site
from harness.locks.state import hostname

if TYPE_CHECKING:
    from harness.farm.watch import Watch

#: A request must be here, and each piece of its answer gone, within so long; its head is at most so large.
_PATIENCE_S = 10.0
_LARGEST_HEAD = 32 << 10
_PIECE = 256 << 10
_MOST_THREADS = 32
#: What a client still sends after its request is read for so long, so that it sees the answer and no reset.
_LINGER_S = 0.5
#: A connection whose request isn't here after so long gives way to a new one. Browsers open some that they never use.
_IDLE_S = 1.0
_HANDOVER_S = 0.5
#: What a browser that draws the page anew every few seconds is shown then; without this header it would stop.
_AGAIN = ("Refresh", "10")
_BUSY = b"Too many visitors at once; this page comes by itself.\n"
_FULL = (
    b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 2\r\nRefresh: 2\r\nContent-Type: text/plain\r\n"
    b"Cache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_BUSY), _BUSY)
)


class Server(ThreadingHTTPServer):
    """Listens from when it is made; `serve_forever` answers.

    Args:
        watch: knows the farm.
        host: address to listen on.
        port: likewise; 0 for any that is free.
        token: that visitors must know, None for all who can reach the port.
        patience_s: how long a request may take, and each piece of its answer.

    Raises:
        ConfigError: it can't listen there, or a token is needed.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there it would let two listen on one port
    allow_reuse_port = False
    request_queue_size = 32

    def __init__(
        self,
        watch: Watch,
        host: str,
        port: int,
        token: str | None = None,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        if token is None and not is_loopback(host):
            raise ConfigError(f"{host} can be reached from other computers, so visitors need a token")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.site, self.patience_s = Site(watch), patience_s
        self._free = threading.BoundedSemaphore(_MOST_THREADS)
        self._waiting: dict[socket.socket, float] = {}  # for their requests, since when; the oldest first
        self._lock = threading.Lock()
        try:
            super().__init__((host, port), Visit)
        except (OSError, OverflowError, UnicodeError) as error:
            raise _no_listening(host, port, error) from error
        self.door = Door(host, self.server_address[1], token)

    @property
    def url(self) -> str:
        """Where the page is, with the token if one is needed."""
        everywhere = self.door.host in ("", "0.0.0.0", "::")  # noqa: S104 (a comparison)
        name = hostname() if everywhere else in_url(self.door.host)
        token = "" if self.door.token is None else f"?token={quote(self.door.token, safe='')}"
        return f"http://{name}:{self.door.port}/{token}"

    def server_bind(self) -> None:
        """Bind without asking a name server what this computer is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or refuse if there are too many."""
        if self._free.acquire(blocking=False) or (self._drop_oldest() and self._free.acquire(timeout=_HANDOVER_S)):
            with self._lock:
                self._waiting[request] = time.monotonic()
            try:
                super().process_request(request, client_address)
            except BaseException:  # the system gives no more threads for now
                self.asked(request)
                self._free.release()
                raise
            return
        with contextlib.suppress(OSError):
            request.settimeout(0)
            request.send(_FULL)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.asked(request)
            self._free.release()

    def asked(self, connection: socket.socket) -> None:
        """Note that a request is here, so that its connection gives way to no other."""
        with self._lock:
            self._waiting.pop(connection, None)

    def _drop_oldest(self) -> bool:
        """End the connection that has waited longest for its request, if that is long enough."""
        with self._lock:
            connection, since = next(iter(self._waiting.items()), (None, 0.0))
            if connection is None or time.monotonic() - since < _IDLE_S:
                return False
            del self._waiting[connection]
            with contextlib.suppress(OSError):  # it has just ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about visitors who went away or were too slow."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Visit(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "tinyml-hil", ""
    command = requestline = ""
    request_version = "HTTP/1.0"

    def setup(self) -> None:
        """Read through limits of time and size."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Limited(self.connection, self.server.patience_s), 4096)
        self.wfile = _Sender(self.connection, self.server.patience_s)

    def handle(self) -> None:
        """Answer one request, whatever it is."""
        try:
            super().handle()
        except HTTPException as error:  # from our reader: it is too large
            self.send_error(431, str(error))

    def parse_request(self) -> bool:
        """Accept what only reads, asked for by one of our names."""
        fine = super().parse_request()
        self.server.asked(self.connection)
        if not fine:
            return False
        if self.request_version == "HTTP/0.9":
            self.send_error(400, "HTTP/1.0 or newer, please")
        elif self.command not in ("GET", "HEAD"):
            self._send(Reply(405, b"This page can only be read.\n", TEXT, headers=(("Allow", "GET, HEAD"),)))
            self._linger()
        elif not self.server.door.asked_by_name(self.headers.get_all("Host", [])):
            self.send_error(421, f"Ask for localhost:{self.server.door.port}; by other names this page isn't shown.")
        else:
            return True
        return False

    def do_GET(self) -> None:
        """Show a page to who may see it."""
        door, site = self.server.door, self.server.site
        path, _, query = self.path.partition("?")
        right = door.knocks(query)
        if right:
            shown = "/" + quote(path.lstrip("/"), safe="/%")  # two slashes, or one and a backslash, are another server
            self._send(Reply(303, b"", TEXT, headers=(("Location", shown), ("Set-Cookie", door.cookie))))
        elif path != "/style.css" and (
            right is False
            or not door.open_to(self.headers.get_all("Authorization", []), self.headers.get_all("Cookie", []))
        ):
            text = "That is another token. " if right is False else ""
            text += "This page needs the one of hil serve: open its address with ?token=... once. If you did already:"
            reply = site.message(401, "Who is there?", text)
            self._send(Reply(401, reply.body, headers=(("WWW-Authenticate", 'Bearer realm="hil serve"'),)))
        else:
            try:
                reply = site.answer(path, query)
            except TimeoutError as error:
                self.send_error(503, str(error))
                return
            except Exception:
                self.send_error(500, "This page can't be drawn; the terminal of hil serve says why.")
                raise
            self._send(reply)

    do_HEAD = do_GET  # noqa: N815 (http.server looks for it)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse in plain text."""
        text = f"{message or 'not possible'}\n".encode("ascii", "backslashreplace")
        self._send(Reply(code, text, TEXT, headers=(_AGAIN,) if code in (500, 503) else ()))
        self._linger()

    def log_message(self, *_: object) -> None:
        """Keep no log: addresses can hold the token."""

    def _send(self, reply: Reply) -> None:
        self.close_connection = True
        self.request_version = "HTTP/1.0"  # who asked in a way that nobody knows gets a whole answer, too
        self.send_response(reply.status)
        for name, value in (
            ("Content-Type", reply.kind),
            ("Content-Length", str(len(reply.body))),
            ("Content-Security-Policy", reply.policy),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
            *reply.headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _linger(self) -> None:
        deadline = time.monotonic() + _LINGER_S
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(1 << 16):
                    return


class _Limited(io.RawIOBase):
    """Reads a socket until a time and up to a size, however slowly it comes."""

    def __init__(self, connection: socket.socket, patience_s: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + patience_s
        self._left = _LARGEST_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        if self._left <= 0:
            raise HTTPException(f"The request is larger than {_LARGEST_HEAD} bytes.")
        self._connection.settimeout(left_s)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


class _Sender(io.BufferedIOBase):
    """Writes to a socket, each piece within a time: a large report may take its time on a slow line."""

    def __init__(self, connection: socket.socket, patience_s: float) -> None:
        self._connection, self._patience_s = connection, patience_s

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        for start in range(0, len(data), _PIECE):
            self._connection.settimeout(self._patience_s)
            self._connection.sendall(memoryview(data)[start : start + _PIECE])
        return len(data)


def _no_listening(host: str, port: int, error: Exception) -> ConfigError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} of {host} is in use, perhaps by another `hil serve`; name another with --port, or 0 for any"
        )
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return ConfigError(f"port {port} may not be used by this user; those from 1024 on may: --port 8765")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return ConfigError(f"can't listen on {host}, port {port}: {reason}; --host 127.0.0.1 is always there")
