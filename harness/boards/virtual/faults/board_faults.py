"""Faults of the board itself, at a given instruction of a given inference."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.memory import RAM_BYTES
from harness.boards.virtual.chips.peripheral import RESET_WATCHDOG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.faults.fault import ActiveFault, Install, Parts

_SYNC_PIN = 1 << 32 + 11  # P1.11, high while inferences run
# A boot loader that starts the application at 0x10000, as the real board's does after a reset.
_BOOTLOADER = (
    struct.pack("<II", 0x20040000, 9) + bytes.fromhex("0248 0168 81f30888 4068 0047") + struct.pack("<I", 0x10000)
)


def _at_inference(board: Parts, active: ActiveFault, act: Callable[[], None]) -> None:
    """Act at the start of each inference that the fault names, in the CPU's thread."""
    gpio = board.machine.bus.gpio
    earlier = gpio.on_output
    was_high = False
    inferences = 0

    def on_output(levels: int) -> None:
        nonlocal was_high, inferences
        if earlier is not None:
            earlier(levels)
        high = bool(levels & _SYNC_PIN)
        if high and not was_high:
            inferences += 1
            if inferences % active.fault.inference == 0 and active.strike():
                act()
        was_high = high

    gpio.on_output = on_output


def _later(happen: Install) -> Install:
    def install(board: Parts, active: ActiveFault) -> None:
        machine = board.machine
        _at_inference(
            board,
            active,
            lambda: machine.at_instruction(machine.instructions() + active.fault.at, lambda: happen(board, active)),
        )

    return install


def _ensure_bootloader(board: Parts) -> None:
    flash = board.machine.memory.flash
    if bool((flash[: len(_BOOTLOADER)] == 0xFF).all()):
        flash[: len(_BOOTLOADER)] = np.frombuffer(_BOOTLOADER, np.uint8)
        board.machine.code_changed(0, len(_BOOTLOADER))


def _hardfault(board: Parts, _active: ActiveFault) -> None:
    board.machine.bus_fault("injected")


def _watchdog(board: Parts, _active: ActiveFault) -> None:
    _ensure_bootloader(board)
    board.machine.request_reset(RESET_WATCHDOG)


def _brownout(board: Parts, active: ActiveFault) -> None:
    _ensure_bootloader(board)
    noise = random.Random(f"brownout/{active.fault.seed}")  # noqa: S311 - must repeat from run to run
    board.machine.lose_power(noise.randbytes(RAM_BYTES))


def _hang(board: Parts, _active: ActiveFault) -> None:
    board.machine.hung = True


def _wrap(board: Parts, active: ActiveFault) -> None:
    def preset() -> None:
        board.machine.debug.cycle_count = 2**32 - active.fault.at

    _at_inference(board, active, preset)


def _slip(board: Parts, active: ActiveFault) -> None:
    board.machine.debug.cycle_count += int(active.fault.value)


BOARD_FAULTS: Mapping[str, Install] = {
    "board.hardfault": _later(_hardfault),
    "board.watchdog": _later(_watchdog),
    "board.brownout": _later(_brownout),
    "board.hang": _later(_hang),
    "board.wrap": _wrap,
    "board.slip": _later(_slip),
}
