"""A made-up farm in a folder, written through what writes a real one where there is such a thing."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fakes.made_trials import write_run
from fakes.recorded_runs import VARIANTS, Setting, begin, memory, record_case
from fakes.recorded_runs import about as about_run
from harness.boards.leases import virtual_lease
from harness.config import Lab
from harness.farm.booking import Booking, reserve
from harness.farm.calendar import Calendar
from harness.health.book import HealthBook
from harness.health.trial import Trial
from harness.locks.lease import Lease
from harness.store import Run
from harness.text.times import minute

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: devices.yaml with two virtual boards and one that isn't attached.
THREE_BOARDS = """\
devices:
  b1: {kind: nano33, backend: virtual}
  b2: {kind: nano33, backend: virtual}
  real: {kind: nano33, probe: "A1", port: {serial: "1"}}
"""
REPORT = "<!doctype html><html><head><title>A report</title></head><body><h1>A report</h1></body></html>"


@dataclass
class Farm:
    """Boards bench-1 to bench-8 on this host and far-1 on another one; all virtual.

    Attributes:
        folder: devices.yaml, `state` and `results` lie in it.
        now: every fact is so old as it was made at this time.
    """

    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        names = [f"bench-{number}" for number in range(1, 9)]
        devices = {name: {"kind": "nano33", "backend": "virtual", "tags": ["ble", "rack-a"]} for name in names}
        devices["far-1"] = {"kind": "nano33", "backend": "virtual", "host": "attic"}
        content = {"farm": {"state": "state"}, "devices": devices}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "devices.yaml").write_text(json.dumps(content))
        self.state, self.results = self.folder / "state", self.folder / "results"
        self.state.mkdir()
        self.results.mkdir()
        self.undo = ExitStack()

    @property
    def lab(self) -> Lab:
        return Lab.load(self.folder / "devices.yaml")

    @property
    def book(self) -> HealthBook:
        return HealthBook(self.state, None, self.results, devices=self.lab.devices, clock=lambda: self.now)

    def hold(self, name: str, purpose: str) -> Lease:
        """Take the lease of a board, as this process."""
        lease = hold(self.lab, name, purpose)
        self.undo.callback(lease.release)
        return lease

    def reserve(self, name: str, owner: str, purpose: str, *, after_h: float = 0, hours: float = 2) -> None:
        start = self.now + timedelta(hours=after_h)
        wish = Booking((name,), minute(start), timedelta(hours=hours), owner, purpose)
        reserve(Calendar(self.lab), wish, self.now)

    def events(self, name: str, outcomes: str, reason: str = "no answer within 5 s") -> None:
        """Record a case for each letter, a minute apart up to now: `.` worked, `x` failed in the link."""
        made = [
            Trial(
                when=self.now - timedelta(minutes=len(outcomes) - number),
                host="here",
                device=name,
                kind="nano33",
                backend="virtual",
                outcome="ok" if letter == "." else "failed",
                suite="fashion_mnist",
                variant="int8",
                image_sha256=f"{number % 3}" * 64,
                error=None if letter == "." else "LinkError",
                reason=None if letter == "." else reason,
                attempts=1 if letter == "." else 3,
                retransmissions=0,
            )
            for number, letter in enumerate(outcomes)
        ]
        write_run(self.results, made)

    def run(self, *, name: str | None = None, reason: str | None = None, cases: int = 3, report: bool = True) -> Path:
        """Write a run, of which one more case failed if there is a `reason`."""
        setting = Setting(samples=20, device="bench-1")
        with Run.create(self.results, about_run(setting)) as run:
            for variant in VARIANTS[:cases]:
                record_case(run, variant, setting)
            if reason is not None:
                begin(run, VARIANTS[cases], setting).finish(status="failed", reason=reason, **memory(VARIANTS[cases]))
        path = run.path if name is None else run.path.rename(self.results / name)
        if report:
            (path / "report.html").write_text(REPORT)
        return path

    def night(self, name: str, *, cases: int = 6, run: Path | None = None, age_h: float = 8) -> Path:
        """Write the plan of a night."""
        folder = self.state / "nights" / name
        created = self.now - timedelta(hours=age_h)
        plan = {
            "id": name,
            "created": created.isoformat(),
            "deadline": (created + timedelta(hours=9)).isoformat(),
            "host": "here",
            "run": str(run or self.results / "20261121T010000Z-night0"),
            "options": {},
            "cases": [
                {"number": number, "suite": "suites/fashion_mnist.yaml", "task": "fashion_mnist", "target": "nano33",
                 "variant": VARIANTS[number].name, "pool": "nano33", "devices": ["bench-1"], "seconds": None}
                for number in range(cases)
            ],
        }  # fmt: skip
        put(folder / "plan.json", plan)
        return folder

    def close(self) -> None:
        self.undo.close()


def hold(lab: Lab, name: str, purpose: str) -> Lease:
    """Take the lease of a virtual board."""
    made = virtual_lease(lab.select([name])[0])
    assert made is not None
    lease = Lease(made.device, made.what, made.key, kind="nano33", purpose=purpose)
    lease.acquire()
    return lease


def finish(folder: Path, at: datetime, **content: Any) -> None:
    """Say that a night has ended."""
    counts = {"complete": 6, "failed": 0, "skipped": 0}
    whole = {"state": "complete", "exit_code": 0, "counts": counts, "regressed": False, "summary": "All went well.\n"}
    put(folder / "finished.json", {"at": at.isoformat(), **whole, **content})
    (folder / "report.html").write_text(REPORT)


def put(path: Path, content: Mapping[str, Any] | str) -> None:
    """Write a file of the farm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
