"""What a program that a test starts sees of USB: the serial ports that the test tells it of, instead of the computer's.

Python imports this before anything else where its folder is on PYTHONPATH; pyserial's own list is replaced, so that all
that asks it, asks the test.
"""

from __future__ import annotations

import json
import os
import socket

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo


def _comports(include_links: bool = False) -> list[ListPortInfo]:  # noqa: ARG001, FBT001, FBT002 - pyserial's
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["HIL_TEST_PORTS"])
        told = json.loads(line.makefile().read())
    ports = []
    for device, vendor, product, serial, name in told:
        port = ListPortInfo(device)
        port.vid, port.pid, port.serial_number, port.product = vendor, product, serial, name
        port.location = "1-3"
        port.apply_usb_info()
        ports.append(port)
    return ports


list_ports.comports = _comports
