"""A night on a farm that is being shot at: does every case come out once, with the right figures, and who is to blame?

    python benchmarks/farm_night.py --boards 16 --hosts 3 --samples 40 --seed 1

Several "hosts" on this machine, each a `hil worker` of its own with its share of the boards, a scheduler, and
`hil nightly`, which talk to each other by TLS on loopback. The boards are virtual; some of them hang, vanish or lie.
Meanwhile the processes of boards and hosts, the scheduler and the driver are killed with SIGKILL and come back, as
after a power cut. At the end the run is held against one without any of that: every planned case once, none lost, none
doubled, the same predictions and counts, the bad boards in quarantine and no other.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness import load_results
from harness.config.health import HealthRules
from harness.errors import HilError
from harness.farm.certificates import make_certificates
from harness.farm.night import PLAN, Night
from harness.farm.results import read_tries

ROOT = Path(__file__).resolve().parents[1]

#: What is wrong with the bad boards, in this order.
BAD = {
    "hangs": "board.hang,inference=3,times=0",
    "vanishes": "swd.unplug,after=12,times=0",
    "lies": "serial.flip=0.02",
}
#: A night that takes longer than this hangs.
LIMIT_S = 3600.0
#: What is killed, as often as it stands here, and comes back so long afterwards.
TARGETS = ("board", "board", "board", "board", "worker", "scheduler", "driver")
DOWN_S = 3.0


@dataclass
class Shooting:
    """A farm on this machine, and what is done to it.

    Attributes:
        folder: for everything that it writes.
        boards: how many boards there are.
        hosts: how many hosts share them.
        bad: how many boards are bad, of each sort.
        suites: which suites are run.
        samples: inputs of each suite.
        kills: how many things are killed, at most: the night may end before.
        pause: between two kills, seconds on average; drawn from 0.6 to 1.4 times that.
        seed: of what is killed when.
    """

    folder: Path
    boards: int
    hosts: int
    bad: int
    suites: list[Path]
    samples: int
    kills: int
    pause: float
    seed: int
    killed: Counter[str] = field(default_factory=Counter)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _down: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 (what is killed, not a key)
        self.host_names = [f"host{number}" for number in range(1, self.hosts + 1)]
        names = [f"bench-{number:02d}" for number in range(1, self.boards + 1)]
        self.host_of = {name: self.host_names[place % self.hosts] for place, name in enumerate(names)}
        wrong = self._random.sample(names, min(self.bad * len(BAD), self.boards - 1))
        self.bad_boards = {name: list(BAD)[place % len(BAD)] for place, name in enumerate(wrong)}
        self._aims = [*dict.fromkeys(TARGETS)]  # each kind once, then by chance
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def prepare(self) -> None:
        """Make a folder for each computer: its devices.yaml with its own boards, its certificates, its state."""
        make_certificates(self.folder / "certs", ["lab", *self.host_names])
        for host in ("lab", *self.host_names):
            home = self.folder / host
            home.mkdir()
            lines = ["farm:", "  state: state", f"  certificates: ../certs/{host}"]
            lines.append(f"  scheduler: tls://127.0.0.1:{self._port}")
            boards = [name for name, owner in self.host_of.items() if owner == host]
            lines += ["devices:"] * bool(boards)
            for name in boards:
                faults = f", faults: ['{BAD[self.bad_boards[name]]}']" if name in self.bad_boards else ""
                lines.append(f"  {name}: {{kind: nano33, backend: virtual, host: {host}{faults}}}")
            (home / "devices.yaml").write_text("\n".join(lines) + "\n")
        suites = ", ".join(str(path) for path in self.suites)
        text = f"suites: [{suites}]\ndevices: [nano33]\nsamples: {self.samples}\nbudget: 50m\nbaseline: null\n"
        (self.folder / "lab" / "nightly.yaml").write_text(text)

    def run(self) -> int:
        """Run the night to its end, and return the exit code of the driver."""
        for name in ("scheduler", *self.host_names):
            self._start(name)
        begun = time.monotonic()
        self._await_boards()
        self._start("driver")
        next_kill = math.inf
        while "driver" in self._down or self._processes["driver"].poll() is None:
            if time.monotonic() - begun > LIMIT_S:
                raise SystemExit(f"the night takes longer than {LIMIT_S:.0f} s; see {self.folder}")
            self._revive()
            if next_kill == math.inf and self._planned():  # before, a driver that is killed has nothing to resume
                next_kill = time.monotonic() + self.pause
            if time.monotonic() > next_kill and sum(self.killed.values()) < self.kills:
                self._kill_something()
                next_kill = time.monotonic() + self.pause * self._random.uniform(0.6, 1.4)
            time.sleep(0.2)
        return self._processes["driver"].returncode

    def quarantined(self) -> list[str]:
        """Return the boards that the night has taken out of use."""
        return sorted(path.stem for path in self.folder.glob("*/state/quarantine/*.json"))

    def close(self) -> None:
        """End everything that is left."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()

    def night(self) -> Night:
        """Return the night that was run."""
        (plan,) = self._planned()
        return Night.load(plan.parent)

    def _planned(self) -> list[Path]:
        return list((self.folder / "lab" / "state" / "nights").glob(f"*/{PLAN}"))

    def _await_boards(self) -> None:
        """Wait until every board has its process: a night is planned with those that are offered."""
        deadline = time.monotonic() + 300.0
        while sum(b": is at " in line for line in self._said()) < self.boards:
            if time.monotonic() > deadline:
                raise SystemExit(f"not all boards are offered; see {self.folder}")
            time.sleep(0.2)

    def _said(self) -> list[bytes]:
        return [line for name in self.host_names for line in (self.folder / f"{name}.log").read_bytes().splitlines()]

    def _start(self, name: str, *words: str) -> None:
        command = {
            "scheduler": ["farm", "scheduler", "--port", str(self._port)],
            "driver": ["nightly", *words],
        }.get(name, ["worker"])
        home = self.folder / (name if name in self.host_names else "lab")
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 (own program)
                [sys.executable, "-m", "harness", *command],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HIL_HOST": home.name, "HIL_LEASES": str(home / "leases")},
            )

    def _kill_something(self) -> None:
        kind = self._aims[0] if self._aims else self._random.choice(TARGETS)
        if kind == "board":
            boards = self._boards()
            if not boards:
                return
            try:
                os.kill(self._random.choice(boards), signal.SIGKILL)
            except ProcessLookupError:  # it has ended since it was seen
                return
        else:
            name = self._random.choice(self.host_names) if kind == "worker" else kind
            if name in self._down or self._processes[name].poll() is not None:
                return
            self._processes[name].kill()
            self._down[name] = time.monotonic() + DOWN_S
        self.killed[kind] += 1
        self._aims = [aim for aim in self._aims if aim != kind]  # one that was missed is tried again

    def _revive(self) -> None:
        for name in [name for name, when in self._down.items() if time.monotonic() > when]:
            self._processes[name].wait()
            self._start(name, *["--resume"] * (name == "driver"))  # as at boot after a power cut
            del self._down[name]

    def _boards(self) -> list[int]:
        """Return the processes of the boards."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes()
            except OSError:
                continue
            if b"harness.farm.board_worker" in command and bytes(self.folder) in command:
                found.append(int(path.parent.name))
        return sorted(found)


def verify(shooting: Shooting, clean: Path) -> list[str]:
    """Return what is wrong with the run of a night, held against a clean run of the same suites on one board."""
    night = shooting.night()
    results, reference = load_results(night.run), load_results(clean)
    wrong = []
    counted = Counter(zip(results.cases["suite"], results.cases["variant"], strict=True))
    planned = Counter((case.task, case.variant) for case in night.cases)
    wrong += [f"{case} is in the results {counted[case]} times" for case in planned | counted if counted[case] != 1]
    failed = results.cases[results.cases["status"] != "complete"]
    wrong += [
        f"{row.suite}::{row.variant} on {row.device} is {row.status}: {row.reason}" for row in failed.itertuples()
    ]
    keys = ["suite", "variant", "sample", "repeat"]
    columns = [*keys, "prediction", "ticks", "output_crc"]
    left, right = (
        table.samples[columns].astype({"suite": str, "variant": str}).sort_values(keys).reset_index(drop=True)
        for table in (results, reference)
    )
    if not left.equals(right):
        wrong.append(f"the samples differ from those of the clean run ({len(left)} and {len(right)} of them)")
    ram = ["suite", "variant", "ram_peak_bytes", "flash_bytes", "accuracy"]
    left, right = (table.cases[ram].sort_values(ram[:2]).reset_index(drop=True) for table in (results, reference))
    if not left.equals(right):
        wrong.append("RAM, flash or accuracy differ from those of the clean run")
    bad = shooting.bad_boards
    used = set(results.cases["device"]) & set(bad)
    wrong += [f"{name} {bad[name]}, and a case of it is in the results" for name in sorted(used)]
    quarantined = set(shooting.quarantined())
    wrong += [f"{name} is in quarantine and was good" for name in sorted(quarantined - set(bad))]
    # A night may end before a board that is out of reach most of the time has failed often enough.
    failures = Counter(one.device for one in read_tries(night.folder) if one.outcome == "failed")
    caught = {name for name in bad if failures[name] >= HealthRules().failures_in_a_row}
    wrong += [f"{name} {bad[name]} and isn't in quarantine" for name in sorted(caught - quarantined)]
    return wrong


def clean_run(shooting: Shooting) -> Path:
    """Measure the same suites on one good board, and return the run."""
    folder = shooting.folder / "clean"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, shooting.suites)]
    command += ["--device", "nano33", "--backend", "virtual", "--samples", str(shooting.samples)]
    command += ["--results-dir", str(folder), "--lab", os.devnull]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (own program)
    if done.returncode != 0:
        raise SystemExit(done.stdout)
    return folder / "latest"


def main(arguments: list[str] | None = None) -> int:
    """Run the night and print what was seen; 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=16)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--bad", type=int, default=1, help="bad boards of each sort (default: 1)")
    parser.add_argument("--suite", dest="suites", type=Path, action="append", help="default: all in suites/")
    parser.add_argument(
        "--samples", type=int, default=40, help="inputs of each suite; the smallest has 40 (default: 40)"
    )
    parser.add_argument("--kills", type=int, default=25, help="at most; the night may end before (default: 25)")
    parser.add_argument("--pause", type=float, default=7.0, help="seconds between kills, on average (default: 7)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("farm-night"), help="made anew (default: farm-night)")
    chosen = parser.parse_args(arguments)
    suites = [path.resolve() for path in chosen.suites or sorted((ROOT / "suites").glob("*.yaml"))]
    shutil.rmtree(chosen.folder, ignore_errors=True)
    chosen.folder.mkdir(parents=True)
    options = {name: value for name, value in vars(chosen).items() if name not in ("folder", "suites")}
    shooting = Shooting(folder=chosen.folder.resolve(), suites=suites, **options)
    try:
        clean = clean_run(shooting)
        shooting.prepare()
        begun = time.monotonic()
        code = shooting.run()
        seconds = time.monotonic() - begun
        wrong = verify(shooting, clean)
        cases = load_results(shooting.night().run).cases
    except HilError as error:
        raise SystemExit(f"{error}\nSee {shooting.folder}") from error
    finally:
        shooting.close()
    figures = {
        "boards": shooting.boards,
        "hosts": shooting.hosts,
        "bad": shooting.bad_boards,
        "cases": len(cases),
        "complete": int((cases["status"] == "complete").sum()),
        "attempts": int(cases["attempts"].sum()),
        "boards that measured": int(cases["device"].nunique()),
        "in quarantine": shooting.quarantined(),
        "killed": dict(shooting.killed),
        "exit code": code,
        "seconds": round(seconds, 1),
        "wrong": wrong,
    }
    print(json.dumps(figures, indent=2))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
