"""An image in the formats that other flash programs read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.config import BoardKind
    from harness.image.elf import Image

_ROW = 16


def binary(image: Image, kind: BoardKind) -> bytes:
    """Return the flash from the application's start to the image's end; gaps are erased flash, 0xFF."""
    content = bytearray()
    for segment in image.segments:
        content += b"\xff" * (segment.address - kind.flash.start - len(content)) + segment.data
    return bytes(content)


def intel_hex(image: Image) -> str:
    """Return the image as Intel HEX with 32-bit addresses."""
    lines: list[str] = []
    high = -1
    for segment in image.segments:
        offset = 0
        while offset < len(segment.data):
            address = segment.address + offset
            if address >> 16 != high:
                high = address >> 16
                lines.append(_record(0, 4, struct.pack(">H", high)))
            size = min(_ROW, 0x10000 - (address & 0xFFFF))
            lines.append(_record(address & 0xFFFF, 0, segment.data[offset : offset + size]))
            offset += size
    return "\n".join([*lines, _record(0, 1, b""), ""])


def _record(address: int, kind: int, data: bytes) -> str:
    content = struct.pack(">BHB", len(data), address, kind) + data
    return f":{(content + bytes([-sum(content) & 0xFF])).hex().upper()}"
