"""The board on Renode: the same sessions as on any other board, and what is wrong with the emulator or the firmware."""

from __future__ import annotations

import os
import signal
import time

import pytest

import harness
from fakes.small_suite import write_small_suite
from harness.boards.backends import choose_backend
from harness.boards.opening import open_board
from harness.boards.renode import RenodeBoard, machine, process, require_renode
from harness.boards.renode.board import chip_id
from harness.boards.start_image import restart_image, start_image
from harness.config import load_suite
from harness.errors import BoardError, BoardFaultError, ConfigError, EmulatorError, FlashError, HilError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.run.options import Options
from harness.run.session import Session

AIRCR, SYSRESETREQ = 0xE000ED0C, 0x05FA0004  # Armv7-M B3.2.6

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the Renode backend is for Linux and macOS")


@pytest.fixture
def image(prebuilt, nano33):
    return load_image(prebuilt / "fashion_mnist_int8.elf", nano33.kind)


@pytest.fixture
def open_renode(stand_in, nano33, monkeypatch):
    stand_in.trap("")
    monkeypatch.setattr(process, "_STOP_S", 2.0)
    opened = []

    def open_renode(**options):
        opened.append(RenodeBoard(nano33, require_renode(), **options))
        return opened[-1]

    yield open_renode
    for board in opened:
        board.close()


def run(board, image, times=1):
    link = Link(board.link(), board.name)
    info = start_image(board, image, link)
    return info, [link.infer(bytes(info.input_bytes)) for _ in range(times)]


# ---- the same as on every other backend


@pytest.mark.slow
def test_rows_of_a_run(stand_in, root, tmp_path):
    suite = write_small_suite(tmp_path / "suite.yaml", root)
    here = harness.benchmark(suite, backend="renode", samples=12, results_dir=tmp_path / "a")
    there = harness.benchmark(suite, backend="virtual", samples=12, results_dir=tmp_path / "b")
    assert here.cases.status.tolist() == ["complete", "complete"]
    assert set(here.cases.backend) == {"renode"}
    assert set(here.cases.counter) == {"instructions"}
    latency = [name for name in here.cases.columns if name.startswith("latency_us")]
    assert len(latency) == 4
    assert here.cases[[*latency, "energy_uj"]].isna().all(axis=None)
    assert set(here.cases.latency_reason) == {"an emulator counts instructions, not time"}
    assert here.cases.board_uid.nunique() == 1
    assert here.cases.attempts.tolist() == [1, 1]
    for column in ("prediction", "output_crc", "ticks"):
        assert here.samples[column].tolist() == there.samples[column].tolist()
    for column in ("ram_stack_bytes", "ram_peak_bytes", "flash_bytes"):
        assert here.cases[column].tolist() == there.cases[column].tolist()
    folder = next(path for path in (tmp_path / "a").iterdir() if path.is_dir() and not path.is_symlink())
    assert "Robot Framework remote server" in (folder / "logs" / "nano33.renode.log").read_text()
    log = (folder / "logs" / "nano33.log").read_text()
    assert log.count("ExecutedInstructions since the reset, CYCCNT at") == 2
    assert stand_in.trace[-1] == ["ended"]


@pytest.mark.slow
def test_the_commands_are_those_that_were_seen_to_work(open_renode, stand_in, image):
    board = open_renode()
    run(board, image)
    board.close()
    port = stand_in.commands[5].split()[2]
    firmware = next(line for line in stand_in.commands if "LoadELF" in line)
    low, high = chip_id("nano33")
    repl = next(line for line in stand_in.commands if "LoadPlatform" in line)
    assert repl.endswith("/nano33.repl")
    assert stand_in.commands[:11] == [
        "using sysbus",
        'mach create "board"',
        repl,
        "cpu PerformanceInMips 100",
        "emulation SetGlobalAdvanceImmediately true",
        f'emulation CreateServerSocketTerminal {port} "term" false',
        "connector Connect sysbus.uart0 term",
        f"sysbus WriteDoubleWord 0x10000060 0x{low:X}",
        f"sysbus WriteDoubleWord 0x10000064 0x{high:X}",
        "sysbus WriteDoubleWord 0x10000100 0x52840",
        "pause",
    ]
    macro = [firmware, "cpu VectorTableOffset 0x10000", machine._NEW_SEED]
    reset = ["pause", "machine Reset", *macro, "cpu VectorTableOffset", "start"]
    assert stand_in.commands[11:] == ["runMacro $reset", *macro, *reset]
    assert [entry for entry in stand_in.trace if entry[0] in ("uart", "stop")] == [
        ["uart", "connected"],
        ["uart", "disconnected"],
        ["stop", False],  # nobody is connected any more when Renode is asked to end: it would hang
    ]


@pytest.mark.slow
def test_chip_identity_is_read_through_renode_and_told_by_the_firmware(open_renode, image):
    board = open_renode()
    info, _ = run(board, image)
    assert board.read_memory(board.kind.chip_id, 8) == info.chip_id.to_bytes(8, "little")
    assert info.chip_id == chip_id("nano33")[0] | chip_id("nano33")[1] << 32
    assert chip_id("nano33") != chip_id("another")


@pytest.mark.slow
def test_a_reset_starts_the_image_anew_and_counts_from_0(open_renode, image):
    board = open_renode()
    info, first = run(board, image, 3)
    before = board.instructions()
    link = Link(board.link(), board.name)
    again = restart_image(board, image, link, info)
    assert again.nonce != info.nonce
    assert link.infer(bytes(info.input_bytes)).ticks == first[0].ticks
    assert board.instructions() < before
    assert 0 < board.cycle_counter() <= board.instructions()


@pytest.mark.slow
def test_every_boot_has_a_nonce_of_its_own(open_renode, prebuilt, nano33):
    """Renode's random numbers begin anew at every start, and loading an image zeroes the boot count in RAM."""
    board = open_renode()
    nonces = []
    for name in ("int8", "int8", "float32", "int8"):
        image = load_image(prebuilt / f"fashion_mnist_{name}.elf", nano33.kind)
        link = Link(board.link(), board.name)
        nonces += [start_image(board, image, link).nonce, restart_image(board, image, link).nonce]
        board._live.write_word(AIRCR, SYSRESETREQ)  # as the firmware itself does
        board.link().drain()
        nonces.append(link.connect().nonce)
    assert len(set(nonces)) == len(nonces)


@pytest.mark.slow
def test_images_that_begin_alike_need_one_attempt_each(stand_in, root, nano33, tmp_path):
    """The agent of the one before answers when it is asked whether the image runs already."""
    suite = load_suite(root / "suites" / "fashion_mnist.yaml")
    pair = [suite.variant(name) for name in ("sparse_int8", "student_int8")]
    starts = {load_image(suite.image_path(variant, nano33.kind)).segments[0].data[:8] for variant in pair}
    assert len(starts) == 1
    bench = Session.build(Options(("nano33",), "renode", None, tmp_path, samples=2, retries=0))
    bench.suites = {suite.path: suite}
    try:
        for variant in pair:
            row, _ = bench.measure(bench.targets[0], suite, variant, None)
            assert (row["status"], row["attempts"]) == ("complete", 1)
    finally:
        bench.close()
    assert stand_in.pids


def test_reading_memory_is_one_request(open_renode, stand_in, image):
    board = open_renode()
    board.flash(image)
    before = len(stand_in.trace)
    assert len(board.read_memory(0x20000000, 0x40000)) == 0x40000
    assert stand_in.trace[before:][0] == ["keyword", "ExecutePython"]
    assert [entry[1] for entry in stand_in.trace[before:]].count("ExecutePython") == 1


@pytest.mark.slow
def test_another_image_on_the_same_board(open_renode, prebuilt, nano33, image):
    board = open_renode()
    run(board, image)
    other = load_image(prebuilt / "fashion_mnist_float32.elf", nano33.kind)
    assert run(board, other)[0].build_id == other.build_id


@pytest.mark.slow
def test_two_boards_at_once_without_isolation(open_renode, image):
    """Both listen on all interfaces of one computer, so their ports must differ."""
    boards = [open_renode(isolated=False), open_renode(isolated=False)]
    assert boards[0].port != boards[1].port
    ticks = [run(board, image)[1][0].ticks for board in boards]
    assert ticks[0] == ticks[1]


# ---- the serial line


@pytest.mark.slow
def test_uart_ports_that_are_taken_are_tried_again(open_renode, stand_in, image):
    stand_in.trap("uart-busy=3")
    run(open_renode(), image)
    ports = [line.split()[2] for line in stand_in.commands if "CreateServerSocketTerminal" in line]
    assert len(ports) == 4


@pytest.mark.slow
def test_uart_ports_that_are_all_taken_are_an_error(open_renode, stand_in):
    stand_in.trap("uart-busy=99")
    with pytest.raises(EmulatorError, match=r"AddressAlreadyInUse \(tried 8 ports\)"):
        open_renode()
    assert stand_in.running() == []


def test_a_renode_that_dies_ends_the_line(open_renode, stand_in, image):
    board = open_renode()
    run(board, image)
    os.kill(stand_in.pids[0], signal.SIGKILL)
    with pytest.raises(EmulatorError, match=r"connection to Renode's UART is gone: .*exit code -9"):
        for _ in range(1200):
            board.link().write(bytes(16))
            board.link().read(1, 0.05)


@pytest.mark.slow
def test_nothing_in_flash(open_renode):
    with pytest.raises(BoardError, match="nothing is in the flash"):
        open_renode().reset()


def test_after_close(open_renode, image):
    board = open_renode()
    board.close()
    board.close()
    for use in (board.link, lambda: board.read_memory(0x20000000, 4), lambda: board.flash(image), board.crash_report):
        with pytest.raises(EmulatorError, match="switched off"):
            use()


# ---- what an emulator can do wrong


@pytest.mark.slow
@pytest.mark.parametrize("deaths", [1, 2])
def test_a_run_goes_on_with_another_renode_each_time_that_one_dies(stand_in, root, tmp_path, deaths):
    """No retry is spent on a reset, which a dead Renode can't do."""
    options = Options(("nano33",), "renode", None, tmp_path, samples=20, retries=deaths)
    bench = Session.build(options)
    suite = load_suite(write_small_suite(tmp_path / "suite.yaml", root))
    bench.suites = {suite.path: suite}
    killed = []

    def kill(stage, done, _total):
        if stage == "measure" and done == 7 and len(killed) < deaths:
            killed.append(stand_in.pids[-1])
            os.kill(killed[-1], signal.SIGKILL)

    try:
        row, _ = bench.measure(bench.targets[0], suite, suite.variant("int8"), kill)
    finally:
        bench.close()
    assert (row["status"], row["samples"], row["attempts"]) == ("complete", 20, deaths + 1)
    assert killed == stand_in.pids[:-1]
    log = next(tmp_path.glob("2*/logs/nano33.log")).read_text()
    assert log.count("connection to Renode's UART is gone") == deaths
    assert log.count("next: reflash") == deaths


def test_flash_that_reads_back_differently(open_renode, stand_in, image):
    stand_in.trap("flip")
    with pytest.raises(FlashError, match=r"flash at 0x10064 reads 0x.. instead of 0x"):
        open_renode().flash(image)


@pytest.mark.slow
def test_a_reset_whose_macro_did_not_run(open_renode, stand_in, image):
    stand_in.trap("no-macro")
    board = open_renode()
    board.flash(image)
    with pytest.raises(EmulatorError, match=r"vector table at 0x0 instead of 0x10000: its macro `reset` did not run"):
        board.reset()


@pytest.mark.slow
def test_a_read_that_is_short(open_renode, stand_in, image):
    stand_in.trap("short-read")
    with pytest.raises(EmulatorError, match=r"Renode read \d+ bytes at 0x10000 instead of \d+"):
        open_renode().flash(image)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["machine Reset", "start", "cpu VectorTableOffset"])
def test_virtual_time_that_stands_still_meets_the_deadline_of_the_host(
    open_renode, stand_in, image, monkeypatch, command
):
    stand_in.trap(f"deaf={command}")
    board = open_renode()
    board.flash(image)
    monkeypatch.setattr(machine, "_LOAD_S", 1.0)
    monkeypatch.setattr(machine.Machine.command, "__defaults__", (1.0,))
    monkeypatch.setattr(process, "_STOP_S", 0.3)
    monkeypatch.setattr(process, "_TERM_S", 5.0)  # only who ignores SIGTERM is waited for
    began = time.monotonic()
    with pytest.raises(EmulatorError, match=rf"doesn't answer ExecuteCommand \['{command}'\] in 1 s"):
        board.reset()
    assert time.monotonic() - began < 60
    board.close()
    assert board.notes == ["Renode didn't end by itself: SIGTERM was needed"]
    assert stand_in.running() == []


@pytest.mark.slow
def test_renode_s_log_that_cannot_be_kept_is_said(open_renode, tmp_path):
    board = open_renode()
    board.logs = tmp_path / "file"
    board.logs.write_text("")
    board.close()
    assert "can't be kept" in board.notes[0]


# ---- what the firmware can do wrong


@pytest.mark.slow
def test_an_access_to_nothing_is_a_fault_although_renode_goes_on(open_renode, stand_in, image):
    stand_in.trap("wild=0x30000000")
    board = open_renode()
    with pytest.raises(BoardFaultError, match="ReadDoubleWord from non existing peripheral at 0x30000000"):
        run(board, image)
    assert "0x30000000" in board.crash_report()


def span(image):
    bottom, top = image.stack
    return bottom, top - bottom


@pytest.mark.slow
def test_a_case_with_such_an_access_is_never_scored(stand_in, root, tmp_path):
    stand_in.trap("wild=0x30000000")
    suite = write_small_suite(tmp_path / "suite.yaml", root)
    results = harness.benchmark(suite, backend="renode", samples=3, results_dir=tmp_path, retries=0)
    assert results.cases.status.tolist() == ["failed", "failed"]
    assert results.cases.reason.str.contains("a real board would not go on").all()
    assert results.cases[["accuracy", "ticks_median", "ram_peak_bytes"]].isna().all(axis=None)


@pytest.mark.slow
def test_a_peripheral_that_is_not_modelled_is_noted(open_renode, stand_in, image):
    stand_in.trap("wild=0x40007000")
    board = open_renode()
    run(board, image)
    board.read_memory(*span(image))
    assert board.notes[1:] == [
        "not modelled by Renode: sysbus: [cpu: 0x10234] ReadDoubleWord from non existing peripheral at 0x40007000."
    ]


@pytest.mark.slow
def test_a_fault_of_the_firmware(open_renode, root, nano33):
    board = open_renode()
    image = load_image(root / "tests/images/fault.elf", nano33.kind)
    link = Link(board.link(), board.name)
    info = start_image(board, image, link)
    with pytest.raises(BoardFaultError, match="bus error, address 0x30000000"):
        for _ in range(9):
            link.infer(bytes(info.input_bytes))
    report = board.crash_report()
    assert report.startswith("the firmware stopped in its fault handler: ")
    assert "0x30000000" in report


@pytest.mark.slow
def test_where_firmware_is_that_does_not_answer(open_renode, root, nano33):
    board = open_renode()
    image = load_image(root / "tests/images/hang.elf", nano33.kind)
    link = Link(board.link(), board.name)
    start_image(board, image, link)
    assert board.crash_report() is None  # it waits


@pytest.mark.slow
def test_firmware_that_is_about_to_wait_is_not_called_running(open_renode, image, monkeypatch):
    board = open_renode()
    run(board, image)
    number, busy = machine.Machine.number, [image.vectors, image.vectors]
    monkeypatch.setattr(machine.Machine, "number", lambda self, what: busy.pop() if busy else number(self, what))
    assert board.crash_report() is None
    busy.extend([image.vectors] * 100)
    assert board.crash_report().startswith("the firmware is running at PC 0x")


# ---- choosing it


def test_without_renode_the_message_tells_how_to_get_it(nano33, monkeypatch, tmp_path):
    nowhere(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match=r"Renode is not installed\. `hil renode install` .*HIL_RENODE"):
        choose_backend(nano33, "renode")
    assert choose_backend(nano33, "auto") == (
        "virtual",
        "no real board is configured under that name, and Renode is not installed",
    )


def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HIL_RENODE", raising=False)


def test_auto_takes_renode_if_it_is_installed(nano33, stand_in):
    backend, why = choose_backend(nano33, "auto")
    assert backend == "renode"
    assert why.endswith(f"and Renode is installed ({stand_in.program}, HIL_RENODE)")
    assert choose_backend(nano33, "virtual")[0] == "virtual"


@pytest.mark.usefixtures("stand_in")
def test_a_kind_without_a_platform(nano33):
    other = nano33.model_copy(update={"kind": nano33.kind.model_copy(update={"twin": None})})
    with pytest.raises(ConfigError, match="no Renode platform"):
        open_board(other, "renode")


@pytest.mark.usefixtures("stand_in")
def test_faults_are_for_virtual_boards(nano33):
    with pytest.raises(HilError, match="virtual board only"):
        open_board(nano33, "renode", ["serial.flip=1e-4"])


@pytest.mark.slow
def test_another_version_is_warned_of(open_renode, stand_in):
    stand_in.trap("version=1.15.3.999")
    assert open_renode().notes == [
        "Renode 1.15.3.999 is outside of the range that this backend was written for (1.16.x)"
    ]
