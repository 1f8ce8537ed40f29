"""Flashing by other programs: fake ones on PATH, which flash a virtual board where a test runs the result."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo
from serial.urlhandler import protocol_loop

from fakes.stale_image import zero_weights
from harness.boards.backends import choose_backend
from harness.boards.discover import Port
from harness.boards.firmware_files import binary, intel_hex
from harness.boards.flashers import make_flasher, run_tool
from harness.boards.hardware import HardwareBoard
from harness.boards.port_board import PortBoard
from harness.boards.probe import ProbeBoard
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.config.access import CommandFlasher, SerialLines
from harness.config.lab import PortMatch
from harness.errors import BoardError, ConfigError, FlashError, LinkError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.run.case import run_case
from harness.store import Run, load_results

ASK = """#!/usr/bin/env python3
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({path!r})
line.sendall(" ".join(sys.argv[1:]).encode() + b"\\n")
sys.exit(0 if line.recv(16) == b"done" else 1)
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Put a program on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (tmp_path / "bin").mkdir()

    def make(name, text):
        path = tmp_path / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    return make


def device(nano33, flasher):
    return nano33.model_copy(update={"name": "bench", "flasher": flasher, "port": PortMatch(serial="42")})


def at(path):
    """Return what finds a port at a path."""
    return lambda: Port(path, "", "42", None)


def command(words, **keys):
    return CommandFlasher.model_validate({"command": words, **keys})


def test_binary_begins_at_the_application(image, nano33):
    content = binary(image, nano33.kind)
    for segment in image.segments:
        offset = segment.address - 0x10000
        assert content[offset : offset + len(segment.data)] == segment.data
    assert len(content) == image.segments[-1].end - 0x10000


def test_hex_file_is_what_another_reader_reads(image, tmp_path):
    from intelhex import IntelHex

    path = tmp_path / "image.hex"
    path.write_text(intel_hex(image))
    content = IntelHex(str(path))
    for segment in image.segments:
        assert content.tobinstr(segment.address, size=len(segment.data)) == segment.data


def test_placeholders(image, nano33, tool, tmp_path):
    log = tmp_path / "log"
    tool(
        "flasher", f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\ncp "$2" {tmp_path}/seen.bin\ncp "$3" {tmp_path}/seen.hex\n'
    )
    spec = command("flasher {image} {bin} {hex} --to={port} '{uid} $HOME;'")
    make_flasher(device(nano33, spec), at("/dev/ttyACM7"), "0240").flash(image)
    words = log.read_text().splitlines()
    assert words[0] == str(image.path)
    assert words[3:] == ["--to=/dev/ttyACM7", "0240 $HOME;"]
    assert (tmp_path / "seen.bin").read_bytes() == binary(image, nano33.kind)
    assert (tmp_path / "seen.hex").read_text() == intel_hex(image)


def test_placeholder_that_does_not_exist():
    with pytest.raises(ValueError, match=r"'\{elf\}' has a placeholder that isn't one of \{image\}"):
        command(["flasher", "{elf}"])


def test_program_that_fails(tool):
    tool("flasher", "#!/bin/sh\nfor n in 1 2 3 4 5 6; do echo line $n; done\necho no chip >&2\nexit 7\n")
    with pytest.raises(FlashError, match=r"bench: `flasher` ended with code 7. .*: line 3 \| .*line 6 \| no chip$"):
        run_tool("bench", ["flasher"], 60)


def test_program_that_hangs(tool):
    tool("flasher", "#!/bin/sh\necho waiting for device\nexec sleep 300\n")
    for patience in (0.5, 5, 30):
        with pytest.raises(FlashError, match=rf"`flasher` had not ended after {patience} s") as caught:
            run_tool("bench", ["flasher"], patience)
        if "said nothing" not in str(caught.value):  # as on a computer on which it had not even begun
            break
    assert "waiting for device" in str(caught.value)


def test_program_that_is_not_there():
    with pytest.raises(FlashError, match="no-such-flasher is not installed"):
        run_tool("bench", ["no-such-flasher"], 1)


@pytest.mark.parametrize(("dtr", "rts"), [(None, None), (True, False), (False, True), (False, False)])
def test_a_reset_by_dtr_and_rts_begins_and_ends_as_the_board_has_them(nano33, monkeypatch, dtr, rts):
    changes = []
    for line in ("dtr", "rts"):
        monkeypatch.setattr(
            protocol_loop.Serial,
            f"_update_{line}_state",
            lambda port, line=line: changes.append((line, getattr(port, f"_{line}_state"))),
        )
    board = device(nano33, command("flasher")).model_copy(update={"serial": SerialLines(dtr=dtr, rts=rts)})
    make_flasher(board, at("loop://")).reset()
    for line, idle in (("dtr", dtr is not False), ("rts", rts is not False)):
        assert [state for name, state in changes if name == line] == [idle, not idle, idle]


def test_a_port_without_control_lines_asks_for_a_reset_command(nano33):
    master, slave = os.openpty()
    with pytest.raises(LinkError, match=r"bench: DTR and RTS of /dev/\S+ can't be switched .* Give a `reset` command"):
        make_flasher(device(nano33, command("flasher")), at(os.ttyname(slave))).reset()
    os.close(master)
    os.close(slave)


def test_pyocd_needs_a_probe(nano33):
    with pytest.raises(ConfigError, match="no probe is configured"):
        PortBoard(device(nano33, "pyocd"), at("/dev/ttyACM0"))


def test_with_a_probe_what_a_program_flashed_is_read_back(nano33, image, tool, monkeypatch):
    tool("flasher", '#!/bin/sh\n[ "$1" = "$2" ]\n')
    with VirtualNrf52840("bench") as twin:
        port = ListPortInfo(twin.port)
        port.serial_number = "42"
        monkeypatch.setattr(list_ports, "comports", lambda: [port])
        spec = command(["flasher", "{uid}", twin.probe_uid])
        bench = device(nano33, spec).model_copy(update={"probe": twin.probe_uid})
        with HardwareBoard(bench) as board, pytest.raises(FlashError, match="flash at 0x10000 reads 0xFF"):
            board.flash(image)
        with ProbeBoard("programmer", nano33.kind, "virtual", twin.probe_uid, twin.port) as probe:
            probe.flash(image)
        with HardwareBoard(bench) as board:
            assert start_image(board, image, Link(board.link(), "bench")).build_id == image.build_id


def test_port_that_is_not_attached_is_no_hardware(nano33):
    backend, why = choose_backend(device(nano33, "arduino"), "auto")
    assert (backend, "USB serial number 42" in why) == ("virtual", True)


@pytest.fixture
def programmer(nano33, image, tmp_path, tool):
    """Yield a virtual board's port; the fake `flasher` on PATH flashes and resets that board, as a real one would."""
    path = str(tmp_path / "socket")
    asked = []
    with (
        VirtualNrf52840("bench") as twin,
        socket.socket(socket.AF_UNIX) as server,
        ProbeBoard("programmer", nano33.kind, "virtual", twin.probe_uid, twin.port) as probe,
    ):
        server.bind(path)
        server.listen()

        def serve():
            while True:
                try:
                    client = server.accept()[0]
                except OSError:
                    return
                with client:
                    asked.append(client.recv(4096).decode().split()[0])
                    if asked[-1] == "quit":
                        return
                    if asked[-1] == "write":
                        probe.flash(image)
                    probe.reset()
                    client.sendall(b"done")

        thread = threading.Thread(target=serve)
        thread.start()
        tool("flasher", ASK.format(path=path))
        yield twin, asked
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(path)
            last.sendall(b"quit\n")
        thread.join()


@pytest.mark.slow
def test_without_a_probe_only_what_this_run_has_written_is_believed(programmer, nano33, image, tmp_path):
    """The board runs the very image already, and says so; but who flashed it, and from which file?"""
    twin, asked = programmer
    spec = command("flasher write {bin}", reset="flasher reset")
    stale = load_image(zero_weights(image.path, tmp_path / "stale.elf"))

    def start(board, wanted):
        start_image(board, wanted, Link(board.link(), board.name), force=False)
        done = asked.copy()
        asked.clear()
        return board.flashing, done

    with PortBoard(device(nano33, spec), lambda: Port(twin.port, "", "42", None)) as board:
        start_image(board, image, Link(board.link(), board.name))
    asked.clear()
    with PortBoard(device(nano33, spec), lambda: Port(twin.port, "", "42", None)) as board:
        assert start(board, image) == ("written", ["write", "reset"])
        assert start(board, image) == ("kept", ["reset"])
        assert start(board, stale) == ("written", ["write", "reset"])  # the fake writes its image all the same
        board.link()
        board._stream.gone = True  # unplugged: it may be another board that comes back
        assert start(board, stale) == ("written", ["write", "reset"])
        board.reconnect()
        assert start(board, stale) == ("written", ["write", "reset"])


def test_a_file_that_changed_since_it_was_read_is_not_handed_to_a_flash_program(nano33, image, tmp_path, tool):
    path = tmp_path / "model.elf"
    path.write_bytes(image.path.read_bytes())
    read = load_image(path)
    zero_weights(image.path, path)
    tool("flasher", "#!/bin/sh\nexit 0\n")
    flasher = make_flasher(device(nano33, command("flasher {image}")), at("/dev/ttyACM0"))
    with pytest.raises(FlashError, match=r"model.elf has changed since it was read"):
        flasher.flash(read)


@pytest.mark.slow
def test_a_case_on_a_board_without_a_probe(programmer, nano33, suite, tmp_path, image):
    twin, asked = programmer
    spec = command("flasher write {bin}", reset="flasher reset")
    with PortBoard(device(nano33, spec), lambda: Port(twin.port, "", "42", None)) as board:
        with Run.create(tmp_path / "results", {"seed": 0}) as run:
            rows = [run_case(board, suite, suite.variant("int8"), suite.load_data(5), run) for _ in range(2)]
        with pytest.raises(BoardError, match="can't be read without a debug probe"):
            board.read_memory(0, 4)
    assert asked == ["write", "reset", "reset"]
    assert [(row["status"], row["flashing"]) for row in rows] == [("complete", "written"), ("complete", "kept")]
    case = load_results(run.path).cases.iloc[0]
    assert case[["probe_uid"]].isna().all()
    assert case.build_id == image.build_id
    assert 100 < case.ram_stack_bytes < 1244
