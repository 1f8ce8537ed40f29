"""A real labgrid on this machine: a coordinator and exporters on loopback ports, to be paused, killed and revived."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from harness.config.farm import LabgridOptions
from harness.errors import FarmError
from harness.farm.labgrid import Labgrid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

READY_S = 120.0
#: Below those that systems give to whoever asks for any; each farm has two, of which it holds the second.
_PORTS = range(20_000, 30_000, 2)


def find_labgrid(cache: Path) -> Path:
    """Return the folder with labgrid's programs: $HIL_LABGRID_VENV's, else an environment that is made in `cache`.

    Raises:
        OSError: there is none and none can be made; the message says how to install it.
    """
    said = os.environ.get("HIL_LABGRID_VENV")
    home = cache if said is None else cache.__class__(said)
    programs = home / "bin"
    if (programs / "labgrid-client").exists():
        return programs
    if said is not None:
        raise OSError(f"HIL_LABGRID_VENV={said} has no bin/labgrid-client; {INSTALL}")
    steps = ([sys.executable, "-m", "venv", str(home)], [str(programs / "pip"), "install", "-q", "labgrid"])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise OSError(f"labgrid can't be installed ({' '.join(last)}); {INSTALL}")
    return programs


INSTALL = "python -m venv DIR && DIR/bin/pip install labgrid, then HIL_LABGRID_VENV=DIR"


class LabgridFarm:
    """A coordinator and its exporters, each with its folder, log and process.

    Args:
        folder: for their files; made if missing.
        programs: folder with labgrid's programs.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._kept, port = _own_port()
        self.address = f"127.0.0.1:{port}"
        self.options = LabgridOptions(coordinator=self.address, client=str(programs / "labgrid-client"))
        self._programs = programs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._exported: dict[str, Sequence[str]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.kill(name)
        self._kept.close()

    def start_coordinator(self) -> None:
        """Start it, again on the same port and with the places that it saved, and wait until it answers."""
        self._start("coordinator", "labgrid-coordinator", "-l", self.address)
        self._wait_for("coordinator", lambda: _listens(self.address), "the coordinator listens")

    def start_exporter(self, name: str, groups: Sequence[str]) -> None:
        """Start an exporter that offers a serial port on the network in each of the groups, and wait until it does."""
        self._exported[name] = groups
        path = self.folder / f"{name}.yaml"
        port = "{NetworkSerialPort: {host: 127.0.0.1, port: 7001, protocol: raw, speed: 115200}}"
        path.write_text("".join(f"{group}: {port}\n" for group in groups))
        arguments = ["-c", self.address, "-n", name, "--hostname", "127.0.0.1", str(path)]
        self._start(name, "labgrid-exporter", *arguments)
        self.wait_exported(name)

    def revive_exporters(self) -> None:
        """Start those exporters again that ended by themselves, as they do when the coordinator goes away."""
        for name, groups in list(self._exported.items()):
            process = self._processes.get(name)
            if process is not None:
                process.wait(READY_S)
                self.start_exporter(name, groups)

    def wait_exported(self, name: str) -> None:
        """Wait until the coordinator knows what an exporter offers."""
        admin = self.admin()

        def known() -> bool:
            try:
                offered = {found.group for found in admin.resources() if found.exporter == name}
            except FarmError:  # the coordinator is away for a moment, too
                return False
            return offered >= set(self._exported[name])

        self._wait_for(name, known, f"exporter {name} is known")

    def add_places(self, places: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """Give the coordinator places, each with what it matches and its tags, before it is started.

        They are in the file that it writes itself every 15 s, and reads when it starts: so a restart finds them, too.
        """
        home = self.folder / "coordinator"
        home.mkdir(exist_ok=True)
        fields = ("exporter", "group", "cls", "name")
        content = {
            name: {
                "matches": [dict(zip(fields, match.split("/"), strict=False))],
                "tags": dict(tags),
            }
            for name, (match, tags) in places.items()
        }
        (home / "places.yaml").write_text(json.dumps(content))  # JSON is YAML

    def client(self, *arguments: str, place: str | None = None, user: str = "anna") -> str:
        """Run labgrid-client as a person would, and return what it prints."""
        chosen = ["-p", place] if place is not None else []
        done = subprocess.run(
            [self.options.client, "-x", self.address, *chosen, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S,
            env={**os.environ, "LG_USERNAME": user, "LG_HOSTNAME": "desk"},
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def admin(self) -> Labgrid:
        """Return labgrid as a person at a desk sees it."""
        return Labgrid(self.options, "admin", READY_S)

    def kill(self, name: str) -> None:
        """End `coordinator` or an exporter as a power cut would."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        """Let one hang."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let it go on."""
        self._processes[name].send_signal(signal.SIGCONT)

    def log(self, name: str) -> Path:
        """Return what it printed."""
        return self.folder / f"{name}.log"

    def _wait_for(self, name: str, true: Callable[[], bool], what: str) -> None:
        def true_of_a_live_one() -> bool:
            ended = self._processes[name].poll()
            assert ended is None, f"{name} ended with {ended}: {self.log(name).read_text(errors='replace')[-2000:]}"
            return true()

        wait_until(true_of_a_live_one, what, self.log(name))

    def _start(self, name: str, program: str, *arguments: str) -> None:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("LG_", "PYTHONPATH"))}
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(self._programs / program), *arguments],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )


def wait_until(true: Callable[[], bool], what: str, log: Path | None = None, deadline_s: float = READY_S) -> None:
    """Wait for something, or fail with what the log says last."""
    end = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > end:
            said = log.read_text(errors="replace")[-2000:] if log is not None and log.exists() else ""
            raise AssertionError(f"not within {deadline_s:g} s: {what}\n{said}")
        time.sleep(0.1)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except OSError:
        return False


def _own_port() -> tuple[socket.socket, int]:
    """Return a port that nothing else takes, also while the coordinator is away, and what keeps it so when open."""
    for port in random.sample(_PORTS, len(_PORTS)):
        kept = socket.socket()
        try:
            kept.bind(("127.0.0.1", port + 1))  # and another farm doesn't take the pair
            with socket.socket() as free:
                free.bind(("127.0.0.1", port))
        except OSError:
            kept.close()
        else:
            return kept, port
    raise AssertionError(f"no port of {_PORTS} is free")
