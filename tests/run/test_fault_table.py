"""Whole cases under each fault: the same result as without it, or a failure with the right reason; the docs' table."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fakes.stale_image import zero_weights
from harness.boards.discover import Port
from harness.boards.opening import VirtualBoard, open_board
from harness.boards.port_board import PortBoard
from harness.boards.probe import ProbeBoard
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.config.access import CommandFlasher
from harness.errors import HilError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.run.case import run_case
from harness.store import Run, load_results

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "faults.md"
SAMPLES = 20
INT8, FLOAT = "fashion_mnist_int8", "fashion_mnist_float32"
START, END = "<!-- table -->\n", "<!-- end -->\n"

#: Fault, status, attempts, and what the user must read.
CASES = [
    ("serial.flip=1e-4,seed=1", "complete", 1, ""),
    ("serial.drop=3e-4,seed=1", "complete", 1, ""),
    ("serial.double=3e-4,seed=1", "complete", 1, ""),
    ("serial.reorder=3e-4,seed=1", "complete", 1, ""),
    ("serial.stall=1,after=1300", "complete", 1, ""),
    ("serial.silence=3000,after=1300", "complete", None, ""),
    ("serial.vanish,after=1300", "complete", 2, ""),
    ("serial.garbage=300", "complete", 1, ""),
    ("serial.baud=115200", "failed", 3, "doesn't answer as it should.* baud rate"),
    ("usb.unplug=0.3,after=700", "complete", 2, ""),
    ("usb.suspend=2.5,after=700", "complete", None, ""),
    ("usb.reset,after=700", "complete", 2, ""),
    ("usb.stall=0x81,after=700", "complete", 1, ""),
    ("usb.stall=0x01,after=700", "complete", 2, ""),
    ("usb.short,seed=1", "complete", 1, ""),
    ("usb.lines=9600,after=700", "complete", 1, ""),
    ("usb.lines=1200,after=700", "complete", 2, ""),
    ("usb.taken=1", "complete", 1, ""),
    ("probe.flip,after=60,times=40", "complete", 1, ""),
    ("probe.gone=0.5,after=100", "complete", 2, ""),
    ("probe.busy,times=0", "not opened", 0, "Resource busy.*Another program has the probe"),
    ("probe.halt", "complete", 2, ""),
    ("probe.halt,times=0", "failed", 3, "the CPU is halted.*another debugger"),
    ("swd.fault,after=10", "complete", 1, ""),
    ("swd.fault,after=40", "complete", 2, ""),
    ("swd.fault,after=10,times=0", "failed", 3, "injected FAULT answer"),
    ("swd.timeout,after=10", "complete", 1, ""),
    ("swd.timeout,after=40", "complete", 2, ""),
    ("swd.timeout,after=10,times=0", "failed", 3, "injected time-out"),
    ("swd.unplug,after=10", "complete", 1, ""),
    ("swd.unplug,after=10,times=0", "failed", 3, "the probe was unplugged"),
    ("swd.stuck=0x10400", "complete", 1, ""),
    ("swd.stuck=0x10400,times=0", "failed", 3, "flash at 0x10400 reads 0xFF instead of 0x"),
    ("swd.locked", "not opened", 0, "is locked .*--allow-mass-erase"),
    ("swd.part=0x52832", "not opened", 0, "wrong chip .* its part number is 0x52832"),
    ("board.hardfault", "complete", 2, ""),
    ("board.hardfault,times=0", "failed", 3, "the firmware stopped.*bus error"),
    ("board.watchdog", "complete", 2, ""),
    ("board.watchdog,times=0", "failed", 3, "was reset in the middle"),
    ("board.brownout", "complete", 2, ""),
    ("board.hang", "complete", 2, ""),
    ("board.wrap,inference=1,times=0", "complete", 1, ""),
]
COMPARED = ["sample", "label", "prediction", "ticks", "output_crc"]


def prebuilt_image(name):
    return load_image(ROOT / "firmware" / "prebuilt" / "nano33" / f"{name}.elf")


def tell(error) -> str:
    """A message without what differs from run to run."""
    text = str(error)
    for pattern, instead in (
        (r"virtual:(nano33(-[ab])?)-\d+-\d+", r"virtual:\1"),
        (r"/dev/pts/\d+", "/dev/pts/N"),
        (re.escape(f"{ROOT}{os.sep}"), ""),
        (r"\b[0-9A-F]{16}\b", "..."),
        (r"build id [0-9a-f]+", "build id ..."),
        (r"was flashed \([0-9a-f]+\)", "was flashed (...)"),
        (r"Last bytes seen: [^.]*\.", "Last bytes seen: ..."),
        (r"after \d+ bytes", "after N bytes"),
        (r"no \w+ to \w+", "no answer"),
        (r"nonce 0x[0-9A-F]+, was 0x[0-9A-F]+", "nonce 0x..., was 0x..."),
        (r"0x[0-9A-F]{8}\b", "0x..."),
        (r"(PC 0x\.\.\.)( in \w+)?", r"\1"),
        (r" at 0x\.\.\. in \w+", " at 0x..."),
    ):
        text = re.sub(pattern, instead, text)
    return text.replace("|", "\\|").replace("\n", " ")


@pytest.fixture(scope="module")
def results_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@dataclass(frozen=True)
class Outcome:
    """What came of a case; `row` is None if the board could not be opened, `struck` is how often a fault did."""

    row: Any
    samples: Any
    error: HilError | None
    struck: int
    log: str


@contextmanager
def faulty(nano33, fault=None, **options):
    link = (fault or "").partition(".")[0]
    if link in ("usb", "probe"):
        nano33 = nano33.model_copy(update={"link": link})
    with open_board(nano33, "virtual", [fault] if fault else [], **options) as board:
        yield board


def one_cable(nano33, fault):
    return open_board(nano33.model_copy(update={"link": "usb", "flasher": "arduino"}), "virtual", [fault])


@contextmanager
def holding(nano33, name):
    """A board that runs another build than the one that is asked for."""
    with VirtualBoard(nano33) as board:
        start_image(board, prebuilt_image(name), Link(board.link(), board.name))
        yield board


@contextmanager
def holding_other_weights(nano33):
    """A board that runs the very build that is asked for, but for its weights."""
    with TemporaryDirectory() as folder, VirtualBoard(nano33) as board:
        stale = load_image(zero_weights(prebuilt_image(INT8).path, Path(folder, "stale.elf")))
        start_image(board, stale, Link(board.link(), board.name))
        yield board


@contextmanager
def crossed(nano33, name):
    """The probe of one board and the port of another, which runs the named image."""
    mine, theirs = (nano33.model_copy(update={"name": f"nano33-{letter}"}) for letter in "ab")
    with VirtualNrf52840(mine.name) as twin, VirtualBoard(theirs) as other:
        start_image(other, prebuilt_image(name), Link(other.link(), other.name))
        other.link().close()
        with ProbeBoard("nano33", nano33.kind, "virtual", twin.probe_uid, other.port) as mixed:
            yield mixed


@contextmanager
def with_a_tool_that_writes_another_build(nano33, name):
    """A board without a probe, whose flash program ends well and has written another image than it was given."""

    class Tool:
        def flash(self, _image, _progress):
            probe.flash(prebuilt_image(name))

        def reset(self):
            probe.reset()

    device = nano33.model_copy(update={"flasher": CommandFlasher(command=["flasher"])})
    with VirtualNrf52840("nano33") as twin:
        probe = ProbeBoard("programmer", nano33.kind, "virtual", twin.probe_uid, twin.port)
        with probe, PortBoard(device, lambda: Port(twin.port, "", None, None)) as board:
            board._flasher = Tool()
            yield board


@contextmanager
def of_another_kind(nano33):
    kind = nano33.kind.model_copy(update={"name": "nano34", "title": "Nano 34"})
    with VirtualBoard(nano33.model_copy(update={"kind": kind})) as board:
        yield board


#: What the user has before the run, in words; how it is made, status, attempts, and what the user must read.
SITUATIONS = [
    (
        "`swd.locked` with `--allow-mass-erase`",
        lambda nano33: faulty(nano33, "swd.locked", unlock=True),
        ("complete", 1, ""),
    ),
    (
        "`usb.taken,times=0`: another program keeps the port, and nothing is retried",
        lambda nano33: faulty(nano33, "usb.taken,times=0"),
        ("failed", 1, "can't be opened.* It is open in this program: end that program"),
    ),
    (
        "one cable and no probe: `usb.lines=1200,after=700`",
        lambda nano33: one_cable(nano33, "usb.lines=1200,after=700"),
        ("complete", 2, ""),
    ),
    (
        "one cable and no probe: `usb.unplug=0.3,after=700`",
        lambda nano33: one_cable(nano33, "usb.unplug=0.3,after=700"),
        ("complete", 2, ""),
    ),
    ("stale image: the board still runs another build", lambda nano33: holding(nano33, FLOAT), ("complete", 1, "")),
    ("stale image: the same build id, other weights", holding_other_weights, ("complete", 1, "")),
    (
        "stale image: the flash program wrote another build",
        lambda nano33: with_a_tool_that_writes_another_build(nano33, FLOAT),
        ("failed", 3, "running firmware has build id [0-9a-f]+, but fashion_mnist_int8.elf was flashed"),
    ),
    (
        "image of another board",
        of_another_kind,
        ("failed", 1, "built for board 'nano33', but the device is a 'nano34'"),
    ),
    (
        "swapped boards: the other one runs another image",
        lambda nano33: crossed(nano33, FLOAT),
        ("failed", 1, "chip [0-9A-F]{16} is behind its probe .* but chip [0-9A-F]{16} answers on its serial port"),
    ),
    (
        "swapped boards: the other one runs the same image",
        lambda nano33: crossed(nano33, INT8),
        ("failed", 1, "chip [0-9A-F]{16} is behind its probe .* but chip [0-9A-F]{16} answers on its serial port"),
    ),
]


@pytest.fixture(scope="module")
def measured(nano33, suite, results_dir):
    """Run a case on a board that is made by `arrange`, once for each label."""
    data, variant, known = suite.load_data(), suite.variant("int8"), {}
    # By its path, since the suite itself offers a board only the images of its kind.
    variant = variant.model_copy(update={"image": str(suite.image_path(variant, nano33.kind).resolve())})

    def run_on(label, arrange):
        with Run.create(results_dir, {"seed": 0}) as run:
            error, struck = None, 0
            try:
                with arrange(nano33) as board:
                    try:
                        retries = 0 if "nothing is retried" in label else 2
                        run_case(board, suite, variant, data, run, samples=SAMPLES, retries=retries)
                    finally:
                        struck = sum(active.struck for active in board.twin.faults) if hasattr(board, "twin") else 0
            except HilError as raised:
                error = raised
        results = load_results(run.path)
        row = results.cases.iloc[0] if len(results.cases) else None
        log = run.path / "logs" / "nano33.log"
        return Outcome(row, results.samples, error, struck, log.read_text() if log.exists() else "")

    def measured(label, arrange=None):
        if label not in known:
            known[label] = run_on(label, arrange or (lambda device: faulty(device, label)))
        return known[label]

    return measured


def named(label) -> str:
    return label if " " in label else f"`{label}`"


def line(label, outcome) -> str:
    name = named(label)
    row, log = outcome.row, outcome.log
    if row is None:
        return f"| {name} | not opened | nothing | 0 | {tell(outcome.error)} |"
    attempts = row.attempts - 1
    tried = [f"the case, {'once' if attempts == 1 else 'twice'}"] if attempts else []
    if label.startswith("serial.") and row.retransmissions:
        tried.append("frames")
    if label.startswith("swd.") and "Tried again with SWD at 100 kHz" in log:
        tried.append("flashing, at a slower clock")
    seen = "same" if row.status == "complete" else f"failed: {tell(outcome.error)}"
    if "erased whole" in log:
        seen += "; the log says that the chip was erased whole, boot loader included"
    return f"| {name} | {row.status} | {' and '.join(tried) or 'nothing'} | {row.samples} | {seen} |"


def check(outcome, clean, status, attempts, words):
    """Hold a case against the clean one: the same in every sample, or failed with the right reason and no score."""
    row, samples = outcome.row, outcome.samples
    if status == "not opened":
        assert row is None
        assert re.search(words, str(outcome.error))
        return
    assert row.status == status
    assert attempts in (None, row.attempts)
    if status == "complete":
        assert samples[COMPARED].values.tolist() == clean[COMPARED].values.tolist()
        assert len(samples) == SAMPLES
        return
    assert re.search(words, str(outcome.error))
    assert row.reason == str(outcome.error)
    assert row[["accuracy", "ticks_median", "ram_peak_bytes"]].isna().all()
    kept = samples[COMPARED].values.tolist()  # samples of a failed attempt are never scored, and never wrong either
    assert kept == clean[COMPARED].values.tolist()[: len(kept)]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "status", "attempts", "words"), CASES)
def test_same_result_or_the_right_reason(measured, fault, status, attempts, words):
    outcome = measured(fault)
    assert outcome.struck > 0 or status == "not opened"
    assert line(fault, outcome) in table_of_the_docs()
    check(outcome, measured("none", faulty).samples, status, attempts, words)


@pytest.mark.slow
@pytest.mark.parametrize(("label", "arrange", "expected"), SITUATIONS, ids=[name for name, *_ in SITUATIONS])
def test_what_was_wrong_before_the_run_is_mended_or_refused_by_name(measured, label, arrange, expected):
    outcome = measured(label, arrange)
    assert line(label, outcome) in table_of_the_docs()
    check(outcome, measured("none", faulty).samples, *expected)


def table_of_the_docs() -> list[str]:
    return DOCS.read_text(encoding="utf-8").partition(START)[2].partition(END)[0].splitlines()[2:]


def test_the_docs_have_each_fault_in_its_place(request):
    """HIL_WRITE_FAULT_TABLE=1 writes the table anew before."""
    if os.environ.get("HIL_WRITE_FAULT_TABLE"):
        write_table(request.getfixturevalue("measured"))
    rows = [row.split(" | ")[0].removeprefix("| ") for row in table_of_the_docs()]
    assert rows == [named(label) for label, *_ in (*CASES, *SITUATIONS)]


def write_table(measured):
    head = "| fault | case | retried | samples recorded | result, or what the user reads |\n|---|---|---|---:|---|\n"
    outcomes = [(fault, measured(fault)) for fault, *_ in CASES]
    outcomes += [(label, measured(label, arrange)) for label, arrange, _ in SITUATIONS]
    table = head + "".join(line(*outcome) + "\n" for outcome in outcomes)
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    DOCS.write_text(f"{before}{START}{table}{END}{rest.partition(END)[2]}", encoding="utf-8")


@pytest.mark.slow
def test_many_samples_at_one_wrong_bit_in_ten_thousand(nano33, suite, results_dir):
    data, variant, seen = suite.load_data(), next(v for v in suite.variants if v.name == "int8"), []
    for faults in ([], ["serial.flip=1e-4,seed=1"]):
        with Run.create(results_dir, {"seed": 0}) as run, open_board(nano33, "virtual", faults) as board:
            row = run_case(board, suite, variant, data, run, samples=300)
            struck = sum(active.struck for active in board.twin.faults)
        seen.append(load_results(run.path).samples[COMPARED].values.tolist())
    assert len(seen[0]) == 300
    assert seen[0] == seen[1]
    assert struck > 150
    assert row["retransmissions"] > 90
    assert row["attempts"] == 1


def test_counter_that_went_round_is_no_measurement(nano33, root):
    """2^32 and a few thousand instructions: the difference of two readings would be a few thousand."""
    with open_board(nano33, "virtual") as board:
        link = Link(board.link(), board.name)
        start_image(board, load_image(root / "tests/images/long.elf"), link)
        with pytest.raises(HilError, match=r"counter went round \(2\^32 ticks, 67 s at 64 MHz\)"):
            link.infer(bytes(784))


@pytest.mark.slow
def test_swapped_boards_are_refused_on_both_sides(nano33, prebuilt):
    int8, float32 = (load_image(prebuilt / f"fashion_mnist_{name}.elf") for name in ("int8", "float32"))
    with VirtualBoard(nano33) as one, VirtualBoard(nano33) as other:
        for board, image in ((one, int8), (other, float32)):
            start_image(board, image, Link(board.link(), board.name))
            board.link().close()
        for mine, theirs, image, name in ((one, other, int8, "float32"), (other, one, float32, "int8")):
            with ProbeBoard("mixed", nano33.kind, "virtual", mine.twin.probe_uid, theirs.port) as mixed:
                build_id = load_image(prebuilt / f"fashion_mnist_{name}.elf").build_id
                with pytest.raises(HilError, match=f"running firmware has build id {build_id}"):
                    start_image(mixed, image, Link(mixed.link(), "mixed"))
