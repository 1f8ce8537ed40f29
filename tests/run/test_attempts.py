"""The attempts table, held against what the board's log says, and against the cases: on a virtual board with faults."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from harness.errors import HilError
from harness.run.access import Access
from harness.run.options import Options
from harness.run.session import Session
from harness.store import load_results
from harness.store.attempts import attempts_of
from harness.store.results import plain_rows

FAILS, OK = ("measure", "failed", "BoardFaultError"), ("measure", "ok", None)
#: Fault, and stage, outcome and error of each attempt.
CASES = [
    ("board.hardfault,inference=3", [FAILS, OK]),
    ("board.hardfault,inference=3,times=0", [FAILS, FAILS]),
    ("swd.stuck=0x10400,times=0", [("flash", "failed", "FlashError")] * 2),
    ("swd.locked", [("open", "failed", "LockedError")]),
    *(
        pytest.param(fault, wanted, marks=pytest.mark.slow)
        for fault, wanted in (
            ("serial.flip=1e-4,seed=1", [OK]),
            ("board.hang,inference=3", [("measure", "failed", "LinkError"), OK]),
            ("serial.baud=115200", [("start", "failed", "LinkError")] * 2),
        )
    ),
]


class Listener(Access):
    """What a lab would be told."""

    told = ()

    def attempt_ended(self, device, attempt):
        self.told += ((device.name, dict(attempt)),)


@pytest.mark.parametrize(("fault", "wanted"), CASES)
def test_the_rows_agree_with_the_log_and_the_case(fault, wanted, suite, tmp_path):
    samples = 20 if "flip" in fault else 5
    options = Options(("nano33",), "virtual", None, tmp_path, samples, 1, virtual_faults=(fault,))
    began, variant = datetime.now(UTC), suite.variant("int8")
    with contextlib.closing(Session.build(options, Listener(Session.build(options).lab))) as session:
        with contextlib.suppress(HilError):
            session.measure(session.targets[0], suite, variant, None)
        kind = session.targets[0].devices[0].kind
        going = attempts_of(session.run.path)  # from the journal, while the run goes on
    results = load_results(session.run.path)
    rows, case = results.attempts, results.cases.iloc[0]
    assert [(row["stage"], row["outcome"], row["error"]) for row in plain_rows(rows)] == wanted
    assert rows.attempt.tolist() == list(range(1, len(wanted) + 1))
    assert case.attempts == len(wanted)
    assert (case.status == "complete") == (wanted[-1][1] == "ok")

    log = session.run.path / "logs" / "nano33.log"
    text = log.read_text() if log.exists() else ""
    lines = re.findall(r"^attempt (\d+): (.*) \((?:next: [^()]*|given up)\)$", text, re.MULTILINE)
    failed = rows[rows.outcome != "ok"]
    assert [(int(number), reason) for number, reason in lines] == list(zip(failed.attempt, failed.reason, strict=True))
    announced = rows.stage == "measure"
    assert rows.answered.tolist() == announced.tolist() == rows.board_uid.notna().tolist()
    assert rows.board_uid.dropna().isin([case.board_uid]).all()
    opened = rows.stage != "open"
    assert rows.image_sha256.notna().tolist() == opened.tolist()
    assert rows.image_sha256.dropna().isin([sha256(suite.image_path(variant, kind).read_bytes()).hexdigest()]).all()
    assert rows.retransmissions.sum() == (0 if case.isna().retransmissions else case.retransmissions)
    assert (rows.retransmissions.sum() > 0) or not fault.startswith("serial.flip")

    times = [began, *rows.ended, datetime.now(UTC)]
    assert times == sorted(times)
    assert 0 < rows.seconds.sum() <= (times[-1] - began).total_seconds()
    stored = attempts_of(session.run.path)
    assert [row for _, row in session.access.told] == stored
    assert [{**row, "attempt": number} for number, row in enumerate(going, 1)] == stored


def test_an_image_that_is_missing_is_no_fault_of_the_board(suite, tmp_path):
    variant = suite.variant("int8").model_copy(update={"image": "none"})
    session = Session.build(Options(("nano33",), "virtual", None, tmp_path, 2, 1))
    with contextlib.closing(session), pytest.raises(HilError):
        session.measure(session.targets[0], suite, variant, None)
    (row,) = attempts_of(session.run.path)
    assert (row["stage"], row["outcome"], row["answered"]) == ("open", "failed", False)
    assert load_results(session.run.path).cases.attempts.tolist() == [1]
