"""Is the chip behind the probe the one that the board is said to have?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.boards.base import Board


def check_part(board: Board, probe_uid: str) -> None:
    """Read the chip's part number, where its kind says how.

    Raises:
        ConfigError: it is another chip.
        ProbeError: it can't be read.
    """
    part = board.kind.part
    if part is None:
        return
    found = int.from_bytes(board.read_memory(part.address, 4), "little")
    if found != part.value:
        raise ConfigError(
            f"{board.name}: wrong chip behind probe {probe_uid}: its part number is 0x{found:X}, that of the "
            f"{board.kind.mcu} on a {board.kind.title} is 0x{part.value:X}. Correct the device's kind or probe in "
            "devices.yaml; nothing was written to the chip"
        )
