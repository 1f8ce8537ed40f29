"""A real labgrid on this machine: a coordinator and exporters on loopback ports."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

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
        places: what each place matches, as `HOST/GROUP/*`.
    """

    def __init__(self, folder: Path, programs: Path, places: Mapping[str, str]) -> None:
        self.folder = folder
        self._kept, port = _own_port()
        self.address = f"127.0.0.1:{port}"
        self.client_program = programs / "labgrid-client"
        self._programs = programs
        self._places = places
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start the coordinator with the places, which it reads from a file that it writes itself, and wait for it."""
        home = self.folder / "coordinator"
        home.mkdir(parents=True)
        content = {
            name: {"matches": [dict(zip(("exporter", "group", "cls"), match.split("/"), strict=True))], "tags": {}}
            for name, match in self._places.items()
        }
        (home / "places.yaml").write_text(json.dumps(content))  # JSON is YAML
        self._start("coordinator", "labgrid-coordinator", "-l", self.address)
        self._wait_for("coordinator", lambda: _listens(self.address))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._kept.close()

    def start_exporter(self, name: str, groups: Sequence[str]) -> None:
        """Start an exporter that offers a serial port on the network in each of the groups, and wait until it does."""
        path = self.folder / f"{name}.yaml"
        port = "{NetworkSerialPort: {host: 127.0.0.1, port: 7001, protocol: raw, speed: 115200}}"
        path.write_text("".join(f"{group}: {port}\n" for group in groups))
        self._start(name, "labgrid-exporter", "-c", self.address, "-n", name, "--hostname", "127.0.0.1", str(path))
        self._wait_for(name, lambda: all(f"{name}/{group}/" in self.client("resources") for group in groups))

    def client(self, *arguments: str, place: str | None = None, user: str = "anna") -> str:
        """Run labgrid-client as a person would, and return what it prints."""
        chosen = ["-p", place] if place is not None else []
        done = subprocess.run(
            [str(self.client_program), "-x", self.address, *chosen, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S,
            env={**os.environ, "LG_USERNAME": user, "LG_HOSTNAME": "desk"},
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def holder(self, place: str) -> str | None:
        """Return who has a place, as `labgrid-client who` prints it."""
        rows = [line.split() for line in self.client("who").splitlines()[1:]]
        return next((f"{host}/{user}" for user, host, name, *_ in rows if name == place), None)

    def _start(self, name: str, program: str, *arguments: str) -> None:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("LG_", "PYTHONPATH"))}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [str(self._programs / program), *arguments],
                    cwd=home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            )

    def _wait_for(self, name: str, true: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while not true():
            said = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
            assert self._processes[-1].poll() is None, f"{name} ended: {said}"
            assert time.monotonic() < end, f"{name} isn't ready within {READY_S:g} s: {said}"
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
