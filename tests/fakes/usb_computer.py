"""A computer with a virtual board on its USB cable, as the programs see it that a test starts there."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from harness.boards.virtual import VirtualNrf52840

NAMES = {0x805A: "Nano 33 BLE", 0x005A: "Arduino Nano 33 BLE"}


class UsbComputer:
    """Tells programs that are started with `environment` which serial ports there are now."""

    def __init__(self, twin: VirtualNrf52840, folder: Path) -> None:
        self._twin = twin
        self._path = str(folder / "ports")
        self._server = socket.socket(socket.AF_UNIX)

    @property
    def environment(self) -> dict[str, str]:
        hooks = Path(__file__).with_name("usb_of_a_process")
        return {**os.environ, "PYTHONPATH": str(hooks), "HIL_TEST_PORTS": self._path}

    def ports(self) -> list[tuple[str, int, int, str, str]]:
        path, identity = self._twin.port, self._twin.usb_identity
        return [] if identity is None or not path else [(path, *identity, NAMES[identity[1]])]

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            with line:
                line.sendall(json.dumps(self.ports()).encode())

    def __enter__(self) -> Self:
        self._server.bind(self._path)
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
