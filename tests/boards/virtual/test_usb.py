"""USB end to end: the agent's own CDC-ACM device on the model of USBD, and what that model takes offence at."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from virtual_lab import PAIR_INPUT, conversation, halted_counts, running, wait_until

from harness.boards.backends import choose_backend
from harness.boards.serial_stream import SerialStream
from harness.boards.virtual import VirtualNrf52840
from harness.build import parse_tflite, plan_memory
from harness.build.making import Making, make_model_image
from harness.build.sources import target_for
from harness.config import Lab
from harness.errors import ConfigError, LinkError
from harness.link.client import Link
from harness.link.frame import Reply, Request
from harness.power.meter import Meter, PowerOptions
from harness.store import load_results

USBD, POWER, WORKAROUND = 0x40027000, 0x40000000, 0x4006E000
DEVICES = """
devices:
  cable: {kind: nano33, backend: virtual, link: usb}
  probe: {kind: nano33, backend: virtual, link: probe}
  wires: {kind: nano33, backend: virtual}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "devices.yaml"
    path.write_text(DEVICES)
    return {device.name: device for device in Lab.load(path).devices}


def test_over_usb_and_probe_a_board_says_what_it_says_over_the_uart(lab, pair):
    said = {}
    for name, device in lab.items():
        with running(device, pair) as (board, link):
            assert board.contains(pair)
            said[name] = conversation(link)
            assert link.counters.retransmissions == 0, name
            first = link.info
            board.reset()  # leaves the bus; the port comes back under another name
            assert link.connect().nonce != first.nonce
            assert board.crash_report() is None
    assert said["cable"] == said["probe"] == said["wires"]


def test_an_image_answers_where_it_is_spoken_to(lab, pair):
    with running(lab["cable"], pair) as (board, usb):
        wires = SerialStream("uart", board.twin.uart_port, 1_000_000)
        uart = Link(wires, "uart")
        wires.drain()
        data = os.urandom(PAIR_INPUT)
        for _ in range(3):
            assert uart.connect(after_reset=False) == usb.info
            assert uart.echo(data) == data
            assert usb.echo(data) == data
        # A conversation that broke off in a payload doesn't keep the other from beginning one.
        usb._wire.announce(Request.ECHO, 77, 700, 0)
        wait_until(lambda: (frame := usb._wire.receive(77, {Reply.CREDIT}, 1.0)) is not None and frame.seq == 77)
        board.link().write(bytes(100))
        assert uart.connect(after_reset=False).nonce == usb.info.nonce
        assert uart.echo(data) == data
        wires.close()


def test_the_serial_number_is_the_one_of_arduinos_firmware(lab, pair):
    with running(lab["cable"], pair) as (board, _):
        low, high = (board.read_memory(0x100000A4 + 4 * n, 4)[::-1].hex().upper() for n in range(2))
        assert board.twin.usb.identity == (0x2341, 0x805A, high + low)


CALM = [bytes([n] * 16) + np.float32(n).tobytes() for n in range(30)]


@pytest.fixture(scope="module")
def clean(lab, pair):
    with running(lab["cable"], pair) as (_, link):
        return [link.infer(data) for data in CALM]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["serial.drop=4e-4", "serial.vanish,after=2000"])
def test_faults_of_the_cable_leave_the_results_as_they_are(lab, pair, clean, fault):
    with running(lab["cable"], pair, [f"{fault},seed=3"]) as (board, link):
        seen = []
        for data in CALM:
            try:
                seen.append(link.infer(data))
            except LinkError:  # the port is gone; the next one leads to the same board
                again = Link(board.link(), "again")
                again.connect(after_reset=False)
                seen.append(again.infer(data))
        assert seen == clean
        assert board.twin.faults[0].struck


def test_the_touch_at_1200_baud_resets_into_the_bootloader(lab, pair):
    with running(lab["cable"], pair) as (board, _):
        twin = board.twin
        with twin.machine.paused():
            twin.usb.touch(1200)
        wait_until(lambda: twin.crash is not None)  # nothing is at 0, where the reset leads
        assert twin.port == ""
        assert twin.machine.bus.clock_power.get(0x51C) == 0xB0


def test_no_energy_over_a_cable_that_feeds_the_board(lab):
    with pytest.raises(ConfigError, match=r"link: usb.*past the power monitor.*link: uart"):
        Meter(lab["cable"], PowerOptions("required"))
    with pytest.raises(ConfigError, match="Renode has no USB"):
        choose_backend(lab["cable"].model_copy(update={"backend": None}), "renode")


def test_a_probe_is_not_taken_for_the_boards_own_port(tmp_path):
    (tmp_path / "devices.yaml").write_text("devices: {a: {kind: nano33, probe: '1', link: usb}}")
    with pytest.raises(ConfigError, match=r"devices.yaml:1.*link: usb.*not of its probe"):
        Lab.load(tmp_path / "devices.yaml")


# ---------------------------------------------------------------------- what the model takes offence at


class Bench:
    """A chip that doesn't run: the test does what firmware would, and the host's part."""

    def __init__(self, twin):
        self.machine = twin.machine
        self.usbd = self.machine.usbd
        self.said = []
        self.machine.misuse = self.said.append
        self.machine.event_time = 0.0

    def write(self, *pairs):
        for offset, value in pairs:
            self.machine.bus.write(USBD + offset, value)

    def later(self):
        self.machine.event_time += 1000
        self.usbd.advance()

    def enable(self, *, wake_up=0xC0, speed=3):
        self.machine.bus.write(POWER, 1)  # HFCLKSTART
        for offset, value in ((0xD14, speed), (0xC14, wake_up)):
            self.machine.bus.write(WORKAROUND + 0xC00, 0x9375)
            self.machine.bus.write(WORKAROUND + offset, value)
            self.machine.bus.write(WORKAROUND + 0xC00, 0x9375)
        self.write((0x500, 1))

    def join(self):
        self.enable()
        self.later()
        self.write((0x400, 1 << 11))
        self.machine.bus.write(WORKAROUND + 0xC00, 0x9375)
        self.machine.bus.write(WORKAROUND + 0xC14, 0)
        self.write((0x504, 1), (0x510, 3), (0x514, 3), (0x4A4, 0))

    def send(self, pointer=0x20000000, size=10, workaround=0x82):
        self.write((0x614, pointer), (0x618, size), (0xC1C, workaround), (0x008, 1))


@pytest.fixture
def bench():
    with VirtualNrf52840("nano33", link="usb") as twin, twin.machine.paused():
        yield Bench(twin)


def test_a_packet_each_way_as_it_should_be(bench):
    bench.join()
    bench.send()
    bench.later()
    assert bench.usbd.token_in(1) == bytes(10)
    assert bench.usbd.token_out(1, b"abc").value == "ACK"
    assert bench.usbd.token_out(1, b"def").value == "NAK"
    bench.write((0x714, 0x20000100), (0x718, bench.usbd.read(0x4A4)), (0xC1C, 0x82), (0x02C, 1))
    bench.later()
    assert bench.machine.memory.read(0x20000100, 3) == b"abc"
    assert bench.usbd.token_out(1, b"def").value == "ACK"
    assert bench.said == []


WRONG = {
    "before EVENTCAUSE.READY": lambda b: (b.enable(), b.write((0x504, 1))),
    "is started before EVENTCAUSE.READY": lambda b: (b.enable(), b.write((0x050, 1))),
    "without the workarounds of anomalies 171 and 187/211": lambda b: b.enable(wake_up=0),
    "without unlocking": lambda b: b.machine.bus.write(WORKAROUND + 0xD14, 3),
    "of anomaly 171 was not ended": lambda b: (b.enable(), b.later(), b.write((0x504, 1))),
    "the crystal oscillator": lambda b: (
        b.machine.bus.clock_power.reset(),
        b.join(),
        b.machine.bus.write(POWER + 4, 1),
        b.write((0x504, 1)),
    ),
    "while DMA runs": lambda b: (b.join(), b.send(), b.usbd.read(0x4A4)),
    "writes USBD.TASKS_STARTEPOUT": lambda b: (b.join(), b.send(), b.write((0x02C, 1))),
    "before the host has fetched": lambda b: (b.join(), b.send(), b.later(), b.send()),
    "SIZE.EPOUT[1] is written twice": lambda b: (b.join(), b.write((0x4A4, 0))),
    "leaves RAM": lambda b: (b.join(), b.send(pointer=0x10000)),
    "a packet has at most 64": lambda b: (b.join(), b.send(size=65)),
    "workaround of anomaly 199": lambda b: (b.join(), b.send(workaround=0)),
    "but no packet has come": lambda b: (b.join(), b.write((0x02C, 1))),
    "MAXCNT 2, but the packet has 3": lambda b: (
        *(b.join(), b.usbd.token_out(1, b"abc")),
        b.write((0x714, 0x20000100), (0x718, 2), (0xC1C, 0x82), (0x02C, 1)),
    ),
    "without a control transfer": lambda b: (
        b.join(),
        b.usbd.setup(bytes((0, 5, 7, 0, 0, 0, 0, 0))),
        b.write((0x050, 1)),
    ),
    "EP0RCVOUT twice": lambda b: (b.join(), b.usbd.setup(bytes((0x80, 6, 0, 1, 0, 0, 18, 0))), b.write((0x04C, 1))),
    "the endpoint isn't enabled": lambda b: (b.join(), b.write((0x510, 1)), b.send()),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_fails_on_silicon_is_reported(bench, text):
    WRONG[text](bench)
    assert any(text in said for said in bench.said), bench.said


def test_firmware_that_misuses_the_usbd_is_stopped_where_it_does_so():
    with halted_counts("chip") as chip:
        chip.prepare("store", r0=USBD + 0x504, r1=1)
        chip.target.resume()
        wait_until(lambda: chip.twin.crash is not None)
        assert (chip.twin.crash.kind, chip.twin.crash.pc & -16) == ("misuse", chip.symbols["store"] & -16)
        assert "USBD.USBPULLUP before EVENTCAUSE.READY" in chip.twin.crash.text


# ---------------------------------------------------------------------- the main job


@pytest.mark.slow
def test_a_suite_measures_the_same_over_usb_and_probe(root, nano33, toolchain, kept_objects, tmp_path):
    """As users do it: a devices.yaml, a suite, and pytest."""
    graph = parse_tflite(root / "firmware/models/meat_fat/meat_fat_int8.tflite")
    making = Making(target_for(nano33.kind, [nano33.kind], root / "firmware"), toolchain, kept=kept_objects)
    make_model_image(graph, plan_memory(graph), making, tmp_path / "meat_fat_int8.elf", "meat_fat_int8")
    (tmp_path / "devices.yaml").write_text(DEVICES)
    suite = (
        (root / "suites" / "meat_fat.yaml").read_text().partition("images:")[0].replace("data/", f"{root}/suites/data/")
    )
    variants = "variants: {int8: {image: meat_fat_int8.elf, technique: int8}}\n"
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "meat_fat.yaml").write_text(
        suite + variants.replace("meat_fat_int8.elf", f"{tmp_path}/meat_fat_int8.elf")
    )
    said = []
    for name in ("cable", "probe", "wires"):
        command = [sys.executable, "-m", "pytest", "suites", "--device", name, "-p", "no:cacheprovider"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        results = load_results(tmp_path / "results" / "latest")
        said.append([results.samples[["sample", "ticks", "output_crc"]], results.outputs[["sample", "raw"]]])
    assert len(said[0][0]) == 43
    for cable, probe, wires in zip(*said, strict=True):
        assert cable.equals(wires)
        assert probe.equals(wires)
