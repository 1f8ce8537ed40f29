"""The debug probe as the link: a mailbox in RAM, and what it makes of resets, other debuggers and bad wires."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.probe.tcp_probe_server import DebugProbeServer
from virtual_lab import PAIR_INPUT, running, wait_until

from harness.boards.backends import choose_backend
from harness.boards.opening import open_board
from harness.boards.probe import ProbeBoard
from harness.boards.probe_stream import VECTOR
from harness.boards.serial_stream import SerialStream
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.config import Lab
from harness.errors import BoardFaultError, BoardResetError, ConfigError, ImageError, LinkError, ProbeError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.frame import Reply, Request, encode_header
from harness.power.meter import Meter, PowerOptions

SYNC_PIN = 1 << 32 + 11  # P1.11, high while inferences run
FAULTS = ["probe.flip,after=60,times=80", "swd.fault,after=80,times=3", "swd.timeout,after=90"]
SHIPPED = ["shoulder_anomaly_float32", "keyword_stream_int8", "fashion_mnist_96_int8_patched_kept"]
CALM = [bytes([n] * 16) + np.float32(n).tobytes() for n in range(30)]


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "devices.yaml"
    path.write_text("devices: {solo: {kind: nano33, backend: virtual, link: probe}}")
    (device,) = Lab.load(path).devices
    return device


@pytest.fixture(scope="module")
def clean(device, pair):
    with running(device, pair) as (_, link):
        return [link.infer(data) for data in CALM]


@contextmanager
def also_wired(device, pair):
    """A board with a UART as well: its link over the probe, and one over the pins."""
    with running(device.model_copy(update={"link": "uart"}), pair) as (board, _):
        board.link().close()
        with ProbeBoard("solo", device.kind, "virtual", board.probe_uid, "", "probe") as probe:
            probe.adopt(pair)
            wires = SerialStream("uart", board.twin.uart_port, 1_000_000)
            wires.drain()
            yield probe, Link(probe.link(), "probe"), Link(wires, "uart")
            wires.close()


def test_an_image_answers_over_the_probe_while_that_speaks(device, pair):
    with also_wired(device, pair) as (board, probe, uart):
        data = os.urandom(PAIR_INPUT)
        info = uart.connect(after_reset=False)
        for _ in range(3):
            assert probe.connect(after_reset=False) == info
            assert probe.echo(data) == data
            assert uart.echo(data) == data
        # A conversation that broke off in a payload, or with an answer that nobody fetched, keeps none from beginning.
        probe._wire.announce(Request.ECHO, 77, 700, 0)
        wait_until(lambda: (frame := probe._wire.receive(77, {Reply.CREDIT}, 1.0)) is not None and frame.seq == 77)
        board.link().write(bytes(100))
        assert uart.echo(data) == data
        board.link().write(encode_header(Request.PING, 78))
        wait_until(lambda: (board.link().write(b""), board.link()._given == 0)[1])
        assert uart.echo(data) == data
        again = Link(board.link(), "again")
        assert again.connect(after_reset=False) == info
        assert again.echo(data) == data


def noting(real, touched, machine):
    """Note what address this thread asks for, and whether an inference is running then."""
    host = threading.get_ident()

    def seen(address, *rest, **more):
        if threading.get_ident() == host:
            touched.append((address, bool(machine.bus.gpio.outputs() & SYNC_PIN)))
        return real(address, *rest, **more)

    return seen


def test_nothing_is_touched_while_the_counter_runs(device, pair):
    with running(device, pair, ["board.hang,inference=1,at=40"]) as (board, link):
        machine, touched = board.twin.machine, []
        for owner, name in ((machine.memory, "read"), (machine, "debug_write"), (machine.private.debug, "read")):
            setattr(owner, name, noting(getattr(owner, name), touched, machine))
        link._runs.load(CALM[0])
        link._wire.announce(Request.RUN, link._wire.next_run_seq(), 0, 3)
        assert board.link().read(1, 0.3) == b""
        board.link().write(bytes(50))
        assert machine.hung
        assert {address for address, counting in touched if counting} == {0xE000EDF0}  # DHCSR
        assert {address for address, counting in touched if not counting} > {0xE000EDF0, 0xE000E200}


def test_a_crash_in_an_inference_is_told(device, root):
    """The fault handler sleeps by WFE until its last words are fetched."""
    image = load_image(root / "tests" / "images" / "fault.elf")
    told = r"bus error, address 0x30000000 at PC 0x"
    with running(device, image) as (_, link), pytest.raises(BoardFaultError, match=told):
        for _ in range(20):
            link.infer(bytes(link.info.input_bytes))


def test_a_debugger_that_never_pauses_leaves_the_cpu_its_turn(device, pair):
    with running(device, pair) as (board, _):
        core, stream, looks, sent = board._core(), board.link(), [], board._mailbox() + 24
        for _ in range(20):
            before = core.read32(sent)
            stream.write(encode_header(Request.PING, 5))
            while stream._outgoing:  # it is kept while the CPU is still awake from the answer before
                stream._exchange()
            looks.append(0)
            while core.read32(sent) == before:
                looks[-1] += 1
                assert looks[-1] < 100_000
            assert len(stream.read(4096, 60)) == 16
        assert sorted(looks)[10] < 100


def test_a_reset_in_between_is_noticed(device, pair):
    with running(device, pair, ["board.watchdog,inference=2,at=40"]) as (board, link):
        link.infer(CALM[0])
        with pytest.raises(BoardResetError, match="solo: the board was reset in the middle"):
            link.infer(CALM[0])
        again = Link(board.link(), "again")
        assert again.connect(after_reset=False).nonce != link.info.nonce
        assert again.infer(CALM[1]).output


def test_another_debugger_that_halts_the_cpu_is_named(device, pair):
    with running(device, pair) as (board, link):
        before = link.infer(CALM[0])
        with ProbeBoard("other", device.kind, "virtual", board.probe_uid, "") as other:
            other._core().halt()
            with pytest.raises(LinkError, match=r"solo: the CPU is halted.*another debugger"):
                link.infer(CALM[0])
            board.reset()
            assert link.connect().build_id == pair.build_id
            assert link.infer(CALM[0]) == before


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_wires_leave_the_results_as_they_are(device, pair, clean, fault):
    with running(device, pair, [fault]) as (board, link):
        assert [link.infer(data) for data in CALM] == clean
        assert board.twin.faults[0].struck


def test_a_probe_that_is_unplugged_says_so_and_is_opened_again(device, pair, clean):
    with running(device, pair) as (board, link):
        assert link.infer(CALM[0]) == clean[0]
        board.twin.inject("probe.gone=0.3")
        with pytest.raises(ProbeError, match="talking to the firmware failed: the probe was unplugged"):
            link.infer(CALM[1])
        board.reconnect()
        again = Link(board.link(), "again")
        again.connect(after_reset=False)
        assert again.infer(CALM[1]) == clean[1]


def test_a_probe_is_all_that_a_board_needs_even_one_of_another_computer(tmp_path, pair, clean):
    """As a real board: pyOCD's own server stands between."""
    with VirtualNrf52840("far", link="probe") as twin:
        (probe,) = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=twin.probe_uid)
        server = DebugProbeServer(Session(None, no_config=True), probe, 0, serve_local_only=True)
        server.start()
        wait_until(lambda: server.port)
        entry = f"far: {{kind: nano33, probe: 'remote:localhost:{server.port}', link: probe}}"
        (tmp_path / "devices.yaml").write_text(f"devices: {{{entry}}}")
        (far,) = Lab.load(tmp_path / "devices.yaml").devices
        assert choose_backend(far, "auto")[0] == "hardware"
        with open_board(far, "hardware") as board:
            link = Link(board.link(), board.name)
            start_image(board, pair, link)
            assert list(link.infer_each(CALM)) == clean
            assert link.counters.retransmissions == 0
        server.stop()
        server._server.server_close()


def test_an_image_without_mailbox_is_refused_before_it_is_flashed(device, pair):
    first, *rest = pair.segments
    at = pair.vectors + 4 * VECTOR - first.address
    old = replace(pair, segments=(replace(first, data=first.data[:at] + bytes(4) + first.data[at + 4 :]), *rest))
    with open_board(device, "virtual") as board:
        with pytest.raises(ImageError, match=r"no mailbox for `link: probe` of solo.*build it again"):
            board.flash(old)
        with pytest.raises(LinkError, match="what is in flash has no mailbox"):
            board._mailbox()


def test_what_can_not_be_done_through_a_probe_is_refused(device, tmp_path):
    with pytest.raises(ConfigError, match=r"link: probe.*debug unit.*link: uart"):
        Meter(device, PowerOptions("required"))
    with pytest.raises(ConfigError, match="Renode has no debug probe, so `link: probe`"):
        choose_backend(device.model_copy(update={"backend": None}), "renode")
    (tmp_path / "devices.yaml").write_text("devices: {a: {kind: nano33, port: {serial: '1'}, link: probe}}")
    with pytest.raises(ConfigError, match=r"devices.yaml:1.*link: probe.*needs \"probe\""):
        Lab.load(tmp_path / "devices.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_images_say_the_same_over_each_link(device, prebuilt, name):
    """One of real values, one with state, and one that takes its input in parts; they use as much stack, too."""
    image, said = load_image(prebuilt / f"{name}.elf"), []
    for carrier in ("uart", "usb", "probe"):
        with running(device.model_copy(update={"link": carrier}), image) as (_, link):
            draw = np.random.default_rng(5)
            size = link.info.whole_bytes
            inputs = [draw.uniform(-1, 1, size // 4).astype("<f4").tobytes() for _ in range(2)]
            if "int8" in name:
                inputs = [draw.bytes(size) for _ in range(2)]
            each = [*link.infer_each(inputs), link.profile(inputs[1])]
            said.append((each, link.stats()))
            assert link.counters.retransmissions == 0
    assert said[0] == said[1] == said[2]
