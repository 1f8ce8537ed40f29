"""The virtual board's USBD as a USB/IP server, for another host than ours (the kernel's usbip_protocol.rst)."""

from __future__ import annotations

import contextlib
import socket
import struct
from functools import partial

from harness.boards.virtual.usb.host import StalledError, UsbHost, control, retried
from harness.boards.virtual.usb.tokens import PACKET

_IMPORT, _SUBMIT, _UNLINK = 0x8003, 1, 2
_STALLED, _UNLINKED, _GONE = -32, -104, -108
BUS_ID = b"1-1"


class UsbipHost(UsbHost):
    """One importer at a time. Its transfers (URBs) go on as the device lets them, on the thread of the board's CPU.

    Attributes:
        port: of the server, on the loopback interface.
        requests: the setup packets that have come.
    """

    def __init__(self, twin):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self.port = self._listener.getsockname()[1]
        self._peer = None
        self._imported = False
        self._got = bytearray()
        self._to_send = bytearray()
        self._transfers = {}
        self.requests = []
        super().__init__(twin.machine.usbd)
        twin.machine.usb_host = self
        twin._wake.watched.append(lambda: (self._peer or self._listener, bool(self._to_send)))

    def plugged_in(self):
        pass

    def detached(self):
        self._hang_up()

    def _hang_up(self):
        self._transfers.clear()
        self._got.clear()
        self._to_send.clear()
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def step(self):
        moved = self._receive()
        for number in list(self._transfers):
            if self.device.busy:
                break
            transfer = self._transfers.get(number)
            if transfer is not None:
                with contextlib.suppress(StopIteration):
                    next(transfer)
                    continue
                self._transfers.pop(number, None)
                moved = True
        self._flush()
        return moved

    # ------------------------------------------------------------------ the connection

    def _receive(self):
        with contextlib.suppress(BlockingIOError):
            if self._peer is None:
                self._peer, _ = self._listener.accept()
                self._peer.settimeout(0)
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._imported = False
            data = self._peer.recv(65536)
            if not data:
                self._hang_up()
                return False
            self._got += data
        moved = False
        while self._take():
            moved = True
        return moved

    def _flush(self):
        with contextlib.suppress(BlockingIOError):
            if self._to_send and self._peer is not None:
                del self._to_send[: self._peer.send(self._to_send)]

    def _take(self):
        """Take one message; False if it isn't whole yet."""
        size = 48 if self._imported else 40
        if len(self._got) < size:
            return False
        if not self._imported:
            assert struct.unpack_from(">H", self._got, 2) == (_IMPORT,)
            del self._got[:size]
            path = b"/sys/devices/virtual/1-1".ljust(256, b"\0") + BUS_ID.ljust(32, b"\0")
            ids = struct.pack(">III HHH BBBBBB", 1, 2, 2, 0x2341, 0x805A, 0x100, 0xEF, 2, 1, 0, 1, 2)
            self._to_send += struct.pack(">HHI", 0x0111, 3, 0) + path + ids
            self._imported = True
            self.device.bus_reset()
            return True
        command, number, _, to_host, endpoint = struct.unpack_from(">5I", self._got)
        _, length = struct.unpack_from(">Ii", self._got, 20)
        data_bytes = length if command == _SUBMIT and not to_host else 0
        if len(self._got) < size + data_bytes:
            return False
        setup, data = bytes(self._got[40:48]), bytes(self._got[48 : 48 + data_bytes])
        unlinked = struct.unpack_from(">I", self._got, 20)[0]
        del self._got[: size + data_bytes]
        if command == _UNLINK:
            status = _UNLINKED if self._transfers.pop(unlinked, None) is not None else 0
            self._to_send += struct.pack(">5I i 24x", 4, number, 0, 0, 0, status)
        else:
            self._transfers[number] = self._transfer(number, endpoint, to_host, length, setup, data)
        return True

    # ------------------------------------------------------------------ transfers

    def _transfer(self, number, endpoint, to_host, length, setup, data):
        status, got = 0, b""
        try:
            if endpoint == 0:
                self.requests.append(setup)
                got = yield from control(self.device, setup, data)
            elif to_host:
                while len(got) < length:
                    packet = yield from retried(partial(self.device.token_in, endpoint))
                    got += packet
                    if len(packet) < PACKET:
                        break
            else:
                for start in range(0, length, PACKET):
                    yield from retried(partial(self.device.token_out, endpoint, data[start : start + PACKET]))
        except StalledError:
            status = _STALLED
        actual = len(got) if to_host else length
        self._to_send += struct.pack(">5I iiiii 8x", 3, number, 0, 0, 0, status, actual, 0, 0, 0)
        self._to_send += got if to_host else b""
