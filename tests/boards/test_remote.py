"""Boards of other computers: a real serial server and pyOCD's own probe server, with a virtual board behind them."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager

import numpy as np
import pytest
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.probe.tcp_probe_server import DebugProbeServer

from fakes.tcp_bridge import TcpBridge
from harness.boards.backends import choose_backend
from harness.boards.leases import leases_of
from harness.boards.opening import open_board
from harness.boards.serial_stream import SerialStream
from harness.boards.start_image import start_image
from harness.boards.virtual import VirtualNrf52840
from harness.config import Lab
from harness.errors import BusyError, ConfigError, LinkError, ProbeError
from harness.image.elf import load_image
from harness.link.client import Link

pytestmark = pytest.mark.skipif(os.name != "posix", reason="bridges a pseudo-terminal")


@pytest.fixture(scope="module")
def image(root):
    return load_image(root / "tests" / "images" / "pair.elf")


@pytest.fixture(scope="module")
def inputs():
    draw = np.random.default_rng(8)
    pairs = zip(draw.integers(-9000, 9000, (12, 8)).astype("<i2"), draw.normal(0, 2, 12).astype("<f4"), strict=True)
    return [signal.tobytes() + gain.tobytes() for signal, gain in pairs]


@pytest.fixture(scope="module")
def expected(nano33, image, inputs):
    with open_board(nano33, "virtual") as board:
        link = Link(board.link(), board.name)
        start_image(board, image, link)
        return list(link.infer_each(inputs))


@pytest.fixture
def served():
    """A virtual board and pyOCD's server of its probe, as `pyocd server` runs it."""
    with VirtualNrf52840("far") as twin:
        (probe,) = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=twin.probe_uid)
        server = DebugProbeServer(Session(None, no_config=True), probe, 0, serve_local_only=True)
        server.start()
        while not server.port:
            time.sleep(0.01)
        yield twin, server
        if server.is_running:
            server.stop()
        server._server.server_close()


def device(tmp_path, text, name="far"):
    path = tmp_path / "devices.yaml"
    path.write_text("devices:\n" + text)
    return next(device for device in Lab.load(path).devices if device.name == name)


@contextmanager
def opened(tmp_path, server, bridge):
    text = f"  far: {{kind: nano33, probe: 'remote:localhost:{server.port}', port: {{url: '{bridge.url}'}}}}\n"
    far = device(tmp_path, text)
    assert choose_backend(far, "auto") == ("hardware", f"probe remote:localhost:{server.port} answers")
    with open_board(far, "hardware") as board:
        yield board


@pytest.mark.parametrize("rfc2217", [False, True], ids=["socket", "rfc2217"])
def test_a_board_of_another_computer_says_what_it_says_here(tmp_path, served, image, inputs, expected, rfc2217):
    twin, server = served
    with TcpBridge(twin.port, rfc2217=rfc2217) as bridge, opened(tmp_path, server, bridge) as board:
        link = Link(board.link(), board.name)
        start_image(board, image, link)
        data = bytes(range(256)) * 2  # 255 is what RFC 2217 escapes
        assert link.echo(data[: link.info.max_chunk]) == data[: link.info.max_chunk]
        assert list(link.infer_each(inputs)) == expected
        assert link.counters.retransmissions == 0


@pytest.mark.slow
@pytest.mark.parametrize("rfc2217", [False, True], ids=["socket", "rfc2217"])
def test_a_connection_that_is_dropped_is_named_and_opened_again(tmp_path, served, image, inputs, expected, rfc2217):
    twin, server = served
    with TcpBridge(twin.port, rfc2217=rfc2217) as bridge, opened(tmp_path, server, bridge) as board:
        link = Link(board.link(), board.name)
        start_image(board, image, link)
        assert link.infer(inputs[0]) == expected[0]
        bridge.drop()
        with pytest.raises(LinkError, match=rf"^far: the connection to {bridge.url} is gone: .* the network down\?$"):
            link.infer(inputs[1])
        again = Link(board.link(), board.name)
        start_image(board, image, again, force=False)
        assert list(again.infer_each(inputs)) == expected
        assert bridge.clients == 2


def test_a_probe_server_that_ends_is_an_error_at_once(tmp_path, served, image):
    twin, server = served
    with TcpBridge(twin.port) as bridge, opened(tmp_path, server, bridge) as board:
        start_image(board, image, Link(board.link(), board.name))
        connection = board._session.probe._socket._socket  # the thread that serves it can't be ended from outside
        connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ProbeError, match="far: reading 4 bytes at 0x20000000 failed: "):
            board.read_memory(0x20000000, 4)
        board.reconnect()
        board.read_memory(0x20000000, 4)


def test_nobody_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    far = device(
        tmp_path,
        f"  far: {{kind: nano33, probe: 'remote:127.0.0.1:{port}', port: {{url: 'socket://127.0.0.1:{port}'}}}}\n",
    )
    backend, why = choose_backend(far, "auto")
    assert backend == "virtual"
    assert why.startswith(f"its probe remote:127.0.0.1:{port} can't be reached: Connection refused, and Renode")
    with pytest.raises(ProbeError, match=r"Connection refused.*--allow-remote"):
        choose_backend(far, "hardware")
    with pytest.raises(
        LinkError, match=rf"^far: port socket://127.0.0.1:{port} .* refused\. Does a server for it run there"
    ):
        SerialStream("far", far.port.url, 1_000_000)


def test_however_an_address_is_written_it_is_one_lock(tmp_path):
    text = "  far: {kind: nano33, port: {url: 'URL'}, flasher: {command: 'true'}}\n"
    held, other = (
        leases_of(device(tmp_path, text.replace("URL", url)), "hardware")[0]
        for url in ("socket://LAB:4001", "rfc2217://lab:4001")
    )
    held.acquire()
    with pytest.raises(BusyError, match=r"far: port lab:4001 is in use"):
        other.acquire()
    held.release()
    twice = text.replace("URL", "socket://lab:4001") + text.replace("far", "b").replace("URL", "rfc2217://LAB:4001")
    with pytest.raises(ConfigError, match=r"devices.b.port: is the same as that of far"):
        device(tmp_path, twice)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("port: {url: 'tcp://lab:1'}", 'write "socket://HOST:PORT" or "rfc2217://HOST:PORT"'),
        ("port: {url: 'socket://lab'}", "is not a port of another computer"),
        ("port: {url: 'socket://lab:x'}", "is not a port of another computer"),
        ("port: {url: 'socket://lab:1', serial: '2'}", 'needs neither "serial" nor "location"'),
        ("probe: 'remote:lab:port'", 'write "remote:HOST" or "remote:HOST:PORT"'),
        ("probe: '1', link: usb, port: {url: 'socket://lab:1'}", '"link: usb" needs a port of this computer'),
        ("probe: '1', port: {url: 'socket://lab:1'}, serial: {dtr: true}", "rfc2217:// has"),
        ("flasher: arduino, port: {url: 'socket://lab:1'}", 'add "link: usb"'),
    ],
)
def test_what_cannot_be_meant(tmp_path, keys, words):
    with pytest.raises(ConfigError) as caught:
        device(tmp_path, f"  far: {{kind: nano33, {keys}}}\n")
    assert words in str(caught.value)
