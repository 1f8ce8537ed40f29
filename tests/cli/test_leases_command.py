"""`hil leases`: who has what, and what is free."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from click.testing import CliRunner

from fakes.old_leases import hang
from harness.boards.opening import open_board
from harness.cli import main
from harness.config import Lab
from harness.config.state import now
from harness.farm.booking import Booking, reserve
from harness.farm.calendar import Calendar
from harness.health.book import open_book
from harness.locks.lease import TTL_S, Lease
from harness.text.times import minute

CRASHED = """
import os, signal
from harness.locks.lease import Lease
Lease("bench-3", "probe", "P3", purpose="nightly").acquire()
os._exit(9)
"""
DEVICES = """
devices:
  bench-1: {kind: nano33, backend: virtual}
  bench-2: {kind: nano33, backend: virtual}
  bench-3: {kind: nano33, probe: P3}
  far: {kind: nano33, backend: virtual, host: elsewhere}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("HIL_USER", "ana")
    monkeypatch.setenv("HIL_HOST", "host1")
    path = tmp_path / "devices.yaml"
    path.write_text(DEVICES)
    return path


def leases(lab, *options):
    done = CliRunner().invoke(main, ["leases", "--lab", str(lab), *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_no_board_is_held(lab):
    assert leases(lab) == f"No board is held.\nFree ({lab}): bench-1, bench-2, bench-3\n"


def test_who_holds_what(lab):
    with open_board(Lab.load(lab).devices[0], "virtual"):
        text = leases(lab)
        assert f"Free ({lab}): bench-2, bench-3\n" in text
        words = " ".join(text.split())
        assert "Boards in use" in words
        for part in ("bench-1", "nano33", "virtual", "ana", f"{os.getpid()} on host1", "0 min", "s ago", "held"):
            assert part in words
        content = json.loads(leases(lab, "--json"))
    (lease,) = content["leases"]
    assert (lease["device"], lease["owner"], lease["state"]) == ("bench-1", "ana", "held")
    assert content["free"] == ["bench-2", "bench-3"]
    assert "No board is held." in leases(lab)


def test_what_others_have_reserved_or_is_out_of_use_is_not_free(lab):
    reserve(Calendar(Lab.load(lab)), Booking(("bench-1",), minute(now()), timedelta(hours=1), "ben"), now())
    open_book(Lab.load(lab)).quarantine("bench-2", "smells of smoke", "ben")
    text = leases(lab)
    assert "\nbench-1: reserved by ben until " in text
    assert "\nbench-2: quarantined " in text
    assert "smells of smoke" in text
    assert f"Free ({lab}): bench-3\n" in text
    content = json.loads(leases(lab, "--json"))
    assert (content["free"], sorted(content["kept"])) == (["bench-3"], ["bench-1", "bench-2"])


def test_probe_and_port_of_one_board_are_one_row(lab):
    with Lease("bench-3", "probe", "P3"), Lease("bench-3", "port", "S3"):
        text = leases(lab)
    assert text.count("bench-3") == 1
    assert "Free" in text
    assert "bench-3" not in text.partition("Free")[2]


def test_a_board_is_in_use_under_whatever_name(lab):
    with Lease("elsewhere", "probe", "P3"):
        assert "bench-3" not in leases(lab)


def test_an_expired_lease_says_so(lab):
    with Lease("bench-3", "probe", "P3") as lease:
        hang(lease, TTL_S + 1)
        assert json.loads(leases(lab, "--json"))["leases"][0]["state"] == "expired"
        assert "the next run that asks for the board takes it over" in leases(lab)


def test_what_a_crash_left_is_cleaned_up(lab):
    subprocess.run([sys.executable, "-c", CRASHED], check=False)
    text = leases(lab)
    assert "No board is held." in text
    assert "of ana (nightly) ended without releasing it; what it left was cleaned up." in text
    assert leases(lab) == f"No board is held.\nFree ({lab}): bench-1, bench-2, bench-3\n"
