"""Nordic's SoftDevice in the flash of an nRF52: why pyOCD then fails to erase, and what helps."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from harness.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config import BoardKind
    from harness.image.elf import Image

_INFORMATION, _MAGIC = 0x3004, 0x51B1E5DB


def softdevice_in_the_way(
    image: Image, kind: BoardKind, probe_uid: str, read_memory: Callable[[int, int], bytes]
) -> str | None:
    """Say that a SoftDevice keeps the flash from being erased, if that is so: pyOCD says 0x67, or nothing.

    The magic number of its information is at 0x3004, at 0x3008 stands where it ends (Nordic's SoftDevice
    specifications, "Memory resource map and usage"). The algorithms that pyOCD has for the nRF52 erase no page below.
    """
    if not kind.pyocd_target.startswith("nrf52"):
        return None
    try:
        magic, end = struct.unpack("<II", read_memory(_INFORMATION, 8))
    except ProbeError:
        return None
    if magic != _MAGIC or image.segments[0].address >= end:
        return None
    return (
        "A SoftDevice (Nordic's Bluetooth stack) is in the flash, and pyOCD erases nothing below its end, "
        f"0x{end:X}. Erase the chip once, with all that is on it, then flash again: pyocd erase --mass "
        f"--target {kind.pyocd_target} --uid {probe_uid}"
    )
