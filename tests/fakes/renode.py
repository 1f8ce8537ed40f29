"""A stand-in for Renode: a process with its command line, Robot XML-RPC, Monitor commands and UART socket.

It behaves as a headless Renode 1.16.1 was seen to behave, its failures included. Behind the UART is the virtual board,
so that real firmware answers. It is strict: it knows the commands that the harness is meant to use, in the form in
which the real program was seen to take them, and no others.

FAKE_RENODE holds what goes wrong, separated by semicolons, for example `deaf=machine Reset;uart-busy=2`.
FAKE_RENODE_TRACE names a file that everything received is added to, a JSON value per line.
"""

from __future__ import annotations

import argparse
import base64
import errno
import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

from renode_machine import WORD, CommandError, Monitor
from renode_traps import TRAPS, log, say, trace

VERSION = "1.16.1.17033"
FIRST_PORT = 49152
CRASHES = {
    "": "Unhandled exception. System.DllNotFoundException",
    "trace": "Fatal error:\nCould not add reference to assembly X\n  at (wrapper managed-to-native) A.B.C(D)\n"
    + "  at A.B`1[T].C (A.D d, E e) [0x00041] in <91>:0 \n" * 9,
}


class Server:
    """The Robot server: one request at a time."""

    def __init__(self, monitor):
        self.monitor = monitor
        self.stop_requested = threading.Event()

    def run_keyword(self, name, arguments):
        trace("keyword", name)
        keywords = {"ExecuteCommand": self.monitor.execute, "ExecuteScript": self.script, "ExecutePython": self.python}
        if name == "StopRemoteServer":
            return self.stop_remote_server()
        if name not in keywords:
            raise Fault(1, f'Keyword "{name}" not found')
        if [type(argument) for argument in arguments] != [str]:
            raise Fault(2, f'Arguments types do not match any available keyword "{name}"')
        if "garbage" in TRAPS:
            return "garbage"
        try:
            return {"status": "PASS", "return": keywords[name](arguments[0])}
        except (CommandError, OSError, KeyError) as error:
            return {"status": "FAIL", "error": f"KeywordException: {error}", "traceback": "at Antmicro.Renode"}

    def script(self, path):
        self.monitor.run_script(path)
        return ""

    def python(self, text):
        form = r'__import__\("System"\)\.Convert\.ToBase64String\(self\.Machine\.SystemBus\.ReadBytes\('
        found = re.fullmatch(rf"{form}{WORD},{WORD}\)\)", text)
        if found is None:
            raise CommandError(f"unexpected token in {text}")
        data = self.monitor.need_board().read(int(found[1], 16), int(found[2], 16))
        return base64.b64encode(data[1:] if "short-read" in TRAPS else data).decode()

    def stop_remote_server(self):
        trace("stop", any(terminal.is_connected() for terminal in self.monitor.terminals.values()))
        self.stop_requested.set()
        return ""


class Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/",)

    def log_message(self, *_):
        pass


def listen(wanted):
    for port in range(FIRST_PORT, 65536) if wanted == 0 else [wanted]:
        try:
            return SimpleXMLRPCServer(("0.0.0.0", port), Handler, logRequests=False, allow_none=True)  # noqa: S104
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return None


def main():  # noqa: C901 (the traps, one by one)
    parser = argparse.ArgumentParser(prog="renode")
    for flag in ("--plain", "--disable-xwt", "--hide-log", "--hide-analyzers", "--version"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--config")
    parser.add_argument("--robot-server-port", type=int, default=-1)
    options = parser.parse_args()
    if options.version:
        if "no-version" not in TRAPS:
            say(f"Renode v{TRAPS.get('version', VERSION)}\n  build: d66b0c2a\n  runtime: .NET 8.0.12")
        return 0
    trace("argv", sys.argv[1:])
    trace("environment", {name: os.environ.get(name) for name in ("TMPDIR", "RENODE_CI_MODE")})
    trace("pid", os.getpid())
    temporary = Path(os.environ["TMPDIR"])
    for left in temporary.glob("renode-*"):
        shutil.rmtree(left)
    own = temporary / f"renode-{os.getpid()}"
    own.mkdir()
    Path(options.config).write_text("[general]\n")
    if "stuck" in TRAPS:
        time.sleep(3600)
    for _ in range(int(TRAPS.get("chatter", "0"))):
        log("INFO", "x" * 1000)
    if "crash" in TRAPS:
        say(CRASHES[TRAPS["crash"]])
        return 134
    server = None if "robot-busy" in TRAPS else listen(options.robot_server_port)
    if server is None:
        log("ERROR", "Could not start the HTTP server on any port")
        return 0
    monitor = Monitor()
    robot = Server(monitor)
    server.register_instance(robot)
    port_file = own / "robot_port"
    port_file.touch()
    time.sleep(float(TRAPS.get("slow-port", "0")))
    port_file.write_text(str(server.server_address[1]))
    log("INFO", f"Robot Framework remote server is listening on port {server.server_address[1]}")
    while not robot.stop_requested.is_set():
        server.handle_request()
    if "hang-at-end" in TRAPS:
        time.sleep(3600)
    while any(terminal.peer for terminal in monitor.terminals.values()):
        time.sleep(0.05)  # Renode joins the thread that reads from the client
    shutil.rmtree(own)
    trace("ended")
    return 0


if __name__ == "__main__":
    if "stubborn" in TRAPS:
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = main()
    sys.stdout.flush()
    os._exit(code)
