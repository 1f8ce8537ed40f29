"""Flashing over the board's own USB: the real flasher against the virtual board's bootloader, over a pty."""

from __future__ import annotations

import os
import tty
from contextlib import contextmanager

import pytest
import serial
from virtual_lab import conversation, running, wait_until

from harness.boards.arduino import Arduino
from harness.boards.discover import ARDUINO_APPLICATION, ARDUINO_BOOTLOADER, Port
from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.config import Lab
from harness.errors import BoardFaultError, ConfigError, FlashError, LinkError
from harness.link.client import Link

DEVICES = """
devices:
  cable: {kind: nano33, backend: virtual, link: usb, flasher: arduino}
  probe: {kind: nano33, backend: virtual, link: usb}
"""
RNG, BOOTLOADERS_RAM = 0x4000D000, 0x20009E14


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "devices.yaml"
    path.write_text(DEVICES)
    return {device.name: device for device in Lab.load(path).devices}


@contextmanager
def waiting(lab):
    """A board that waits in its bootloader, and what flashes it."""
    with open_board(lab["cable"], "virtual") as board:
        yield board, Arduino(lab["cable"], board._seen, patience=60)


def flash_of(board, image):
    flash = board.twin.machine.memory.flash
    return [flash[segment.address : segment.end].tobytes() for segment in image.segments]


def test_over_one_cable_a_board_says_what_it_says_when_a_probe_has_flashed_it(lab, pair):
    said, shares = {}, []
    for name, device in lab.items():
        with open_board(device, "virtual") as board:
            link = Link(board.link(), name)
            start_image(board, pair, link, lambda _what, done, of: shares.append(done / of))
            said[name] = conversation(link)
            assert link.ask().nonce == link.info.nonce
            assert link.counters.retransmissions == 0
            if name == "cable":
                assert shares == sorted(shares)
                assert shares[-1] == 1
                assert start_image(board, pair, link, force=False).build_id == pair.build_id
                assert (board.flashing, board.reads_memory, board.probe_uid) == ("kept", False, "")
                assert flash_of(board, pair) == [segment.data for segment in pair.segments]
    assert said["cable"] == said["probe"]


def test_the_agent_trusts_nothing_that_the_bootloader_leaves_behind(lab, pair):
    with running(lab["cable"], pair) as (board, link):
        machine, counted = board.twin.machine, pair.symbols["__boots"]
        with machine.paused():
            assert machine.memory.read_word(pair.symbols["rx_errors"]) == 0
            read = {hex(at): machine.bus.read(at, 4) for at in (0x4001C500, 0x40021500, 0x40022500, 0x4002D500)}
            assert set(read.values()) == {0}, read  # PWM0 to PWM3
            assert [machine.debug_read(at, 4) for at in (0xE000ED14, 0xE000ED94)] == [0x200, 0]  # CCR, MPU_CTRL
            assert [machine.cpu.read(name) for name in ("primask", "basepri", "fpscr")] == [1, 0, 0]
            assert machine.cpu.read("control") & 2 == 0
            assert machine.bus.pages[0x40006000].inten == 0
            assert machine.bus.pages[0x40011000].deadline() is None  # RTC1 stands
            assert machine.bus.uarte.get(0x534) != 0x20009BD4
            boots = machine.memory.read_word(counted)
        board.reset()
        link.connect()
        assert machine.memory.read_word(counted) == boots + 1
        assert counted >= BOOTLOADERS_RAM


def test_an_upload_that_breaks_off_leaves_the_board_in_its_bootloader(lab, pair):
    def stop(share):
        if share > 0.4:
            raise KeyboardInterrupt

    with waiting(lab) as (board, flasher):
        flasher.flash(pair)
        flasher.reset()
        assert board._seen().usb == ARDUINO_APPLICATION
        with pytest.raises(KeyboardInterrupt):
            flasher.flash(pair, stop)
        machine = board.twin.machine
        old = board.twin._port  # another port may have the same name
        machine.reset(4)
        wait_until(lambda: board.twin.port and board.twin._port is not old)
        with serial.Serial(board.twin.port) as port:  # a program that was killed in the middle of a page
            port.write(b"S00000000,00001000#half a page")
        flasher.flash(pair)
        assert flash_of(board, pair) == [segment.data for segment in pair.segments]


def test_what_is_not_written_as_it_should_be_is_noticed(lab, pair):
    with waiting(lab) as (board, flasher):
        board.twin.line.to_board = lambda data: data.replace(pair.segments[0].data[256:260], b"\0\0\0\0")
        with pytest.raises(FlashError, match=r"cable: after writing 4096 bytes at 0x10000, their CRC is 0x\w+, not"):
            flasher.flash(pair)
        board.twin.line.to_board = lambda data: b"" if data.startswith(b"Y") else data
        flasher._answer = 0.5
        with pytest.raises(FlashError, match=r"doesn't answer any more while 0x10000 is written. Press .* twice"):
            flasher.flash(pair)


def test_two_resets_in_half_a_second_make_it_stay(lab, pair):
    with running(lab["cable"], pair) as (board, _):
        machine = board.twin.machine
        machine.reset(1)
        wait_until(lambda: machine.memory.read_word(0x20007FFC) == 0x07738135)
        machine.reset(1)
        wait_until(lambda: board.twin.usb_identity is not None)
        assert board._seen().usb == ARDUINO_BOOTLOADER
        assert len(board._seen().serial) == 16  # the zeros before it aren't its own
        with pytest.raises(LinkError, match="is its bootloader's port; its firmware has not been started"):
            board._locate()


def test_an_image_that_reaches_into_the_bootloader_is_refused(lab, pair):
    low = lab["cable"].kind.flash.model_copy(update={"start": 0})
    device = lab["cable"].model_copy(update={"kind": lab["cable"].kind.model_copy(update={"flash": low})})
    with pytest.raises(FlashError, match=r"reaches down to 0x0, .* bootloader is below 0x10000.*debug probe"):
        Arduino(device, lambda: pytest.fail("looked for")).flash(pair)


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ("same", "/dev/pts/.* is there. Press the board's reset button twice"),
        ("none", "it went, and nothing came back"),
    ],
)
def test_the_way_out_where_the_bootloader_does_not_come(lab, pair, later, words):
    master, slave = os.openpty()
    tty.setraw(slave)
    port = Port.of_usb(os.ttyname(slave), ARDUINO_APPLICATION, "42")
    left = [port]

    def find():
        if later == "same" or left:
            return left.pop() if left else port
        raise LinkError("away")

    with pytest.raises(FlashError, match=rf"cable: /dev/\S+ was opened at 1200 baud, but 0.1 s later .*{words}"):
        Arduino(lab["cable"], find, patience=0.1).flash(pair)
    os.close(master)
    os.close(slave)


def test_what_does_not_start_is_told_from_what_is_not_there(lab, pair):
    with waiting(lab) as (board, flasher):
        with pytest.raises(
            FlashError, match=r"found no application to start, and is back as .*hil flash IMAGE --device"
        ):
            flasher.reset()
        flasher.flash(pair)
        board.twin.machine.memory.flash[pair.vectors + 4 : pair.vectors + 8] = (9, 0, 0, 0)  # the bootloader's loop
        flasher._patience = 1.0
        with pytest.raises(
            FlashError, match=r"1 s later there is no USB port of 2341:805a\. Does that firmware use USB"
        ):
            flasher.reset()


def test_another_chip_or_bootloader_is_not_written_to(lab, pair):
    answers = {b"nRF52840": (ConfigError, "its bootloader says nRF52833"), b"KXYZ": (FlashError, "doesn't say that it")}
    for text, (error, words) in answers.items():
        with waiting(lab) as (board, flasher):
            board.twin.line.to_host = lambda data, text=text: data.replace(text, b"nRF52833"[: len(text)])
            with pytest.raises(error, match=words):
                flasher.flash(pair)
            assert (board.twin.machine.memory.flash[0x10000:] == 0xFF).all()


def test_the_flasher_needs_the_link_that_it_goes_over(tmp_path):
    for kind, keys, words in (
        ("nano33", "flasher: arduino", 'goes over the board\'s own USB: add "link: usb"'),
        ("nano33", "flasher: bossac", '"flasher: bossac" is now "flasher: arduino"'),
        ("microbit_v2", "flasher: arduino, link: usb", "a microbit_v2 has no bootloader that arduino knows"),
    ):
        (tmp_path / "devices.yaml").write_text(f"devices: {{a: {{kind: {kind}, port: {{serial: '1'}}, {keys}}}}}")
        with pytest.raises(ConfigError, match=words):
            Lab.load(tmp_path / "devices.yaml")


def test_without_a_bootloader_a_twin_has_none():
    with VirtualNrf52840("nano33", link="usb") as twin:
        assert (twin.bootloader, twin.usb_identity) == (None, None)


def test_firmware_that_has_crashed_still_goes_into_the_bootloader(lab, pair):
    with running(lab["cable"], pair) as (board, link):
        with board.twin.machine.paused():
            board.twin.machine.bus_fault("injected")
        with pytest.raises(BoardFaultError, match="the firmware stopped: imprecise bus error"):
            link.echo(bytes(20))
        start_image(board, pair, link)
        assert link.echo(bytes(20)) == bytes(20)
