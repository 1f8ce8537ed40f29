"""Faults of the board itself, at a given instruction of a given inference."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.memory import RAM_BYTES
from harness.boards.virtual.chips.peripherals import RESET_WATCHDOG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.board import VirtualNrf52840
    from harness.boards.virtual.faults.parse import ActiveFault

_SYNC_PIN = 1 << 32 + 11  # P1.11, high while inferences run
# A boot loader that starts the application at 0x10000, as the real board's does after a reset.
_BOOTLOADER = (
    struct.pack("<II", 0x20040000, 9) + bytes.fromhex("0248 0168 81f30888 4068 0047") + struct.pack("<I", 0x10000)
)


def _at_inference(twin: VirtualNrf52840, active: ActiveFault, act: Callable[[], None]) -> None:
    """Act at the start of each inference that the fault names, in the CPU's thread."""
    gpio = twin.machine.bus.gpio
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


def _later(happen: Callable[[VirtualNrf52840, ActiveFault], None]) -> Callable[[VirtualNrf52840, ActiveFault], None]:
    def install(twin: VirtualNrf52840, active: ActiveFault) -> None:
        machine = twin.machine
        _at_inference(
            twin,
            active,
            lambda: machine.at_instruction(machine.instructions() + active.fault.at, lambda: happen(twin, active)),
        )

    return install


def _ensure_bootloader(twin: VirtualNrf52840) -> None:
    flash = twin.machine.memory.flash
    if bool((flash[: len(_BOOTLOADER)] == 0xFF).all()):
        flash[: len(_BOOTLOADER)] = np.frombuffer(_BOOTLOADER, np.uint8)
        twin.machine.code_changed(0, len(_BOOTLOADER))


def _hardfault(twin: VirtualNrf52840, _active: ActiveFault) -> None:
    twin.machine.bus_fault("injected")


def _watchdog(twin: VirtualNrf52840, _active: ActiveFault) -> None:
    _ensure_bootloader(twin)
    twin.machine.reset_by_itself(RESET_WATCHDOG)


def _brownout(twin: VirtualNrf52840, active: ActiveFault) -> None:
    _ensure_bootloader(twin)
    noise = random.Random(f"brownout/{active.fault.seed}")  # noqa: S311 - must repeat from run to run
    twin.machine.lose_power(noise.randbytes(RAM_BYTES))


def _hang(twin: VirtualNrf52840, _active: ActiveFault) -> None:
    twin.machine.hung = True


def _wrap(twin: VirtualNrf52840, active: ActiveFault) -> None:
    debug = twin.machine.debug
    _at_inference(twin, active, lambda: debug.preset_cycle_count(2**32 - active.fault.at))


def _slip(twin: VirtualNrf52840, active: ActiveFault) -> None:
    twin.machine.debug.slip_cycle_count(int(active.fault.value))


BOARD_FAULTS: Mapping[str, Callable[[VirtualNrf52840, ActiveFault], None]] = {
    "board.hardfault": _later(_hardfault),
    "board.watchdog": _later(_watchdog),
    "board.brownout": _later(_brownout),
    "board.hang": _later(_hang),
    "board.wrap": _wrap,
    "board.slip": _later(_slip),
}
