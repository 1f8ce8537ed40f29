"""Faults of the board itself, at a given instruction of a given inference, and of the debug connection to it."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.device import RESET_WATCHDOG
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.faults.fault import ActiveFault, Install, Parts

#: Names of transfers of several words.
BLOCKS = ("read_block", "write_block")
# A boot loader that starts the application at 0x10000, as the real board's does after a reset.
_BOOTLOADER = (
    struct.pack("<II", 0x20040000, 9) + bytes.fromhex("0248 0168 81f30888 4068 0047") + struct.pack("<I", 0x10000)
)


def _at_inference(board: Parts, active: ActiveFault, act: Callable[[], None]) -> None:
    """Act at the start of each inference that the fault names, in the CPU's thread."""
    gpio, sync = board.machine.bus.gpio, 1 << board.machine.wiring.sync
    earlier = gpio.on_output
    was_high = False
    inferences = 0

    def on_output(levels: int) -> None:
        nonlocal was_high, inferences
        if earlier is not None:
            earlier(levels)
        high = bool(levels & sync)
        if high and not was_high:
            inferences += 1
            if inferences % active.fault.inference == 0 and active.strike():
                act()
        was_high = high

    gpio.on_output = on_output


def later(happen: Install) -> Install:
    """Let something happen at an instruction of each inference that the fault names, in the CPU's thread."""

    def install(board: Parts, active: ActiveFault) -> None:
        machine = board.machine
        _at_inference(
            board,
            active,
            lambda: machine.at_instruction(machine.instructions() + active.fault.at, lambda: happen(board, active)),
        )

    return install


def ensure_bootloader(board: Parts) -> None:
    """Put a boot loader to where the chip starts, if nothing is there."""
    flash = board.machine.memory.flash
    if bool((flash[: len(_BOOTLOADER)] == 0xFF).all()):
        flash[: len(_BOOTLOADER)] = np.frombuffer(_BOOTLOADER, np.uint8)
        board.machine.code_changed(0, len(_BOOTLOADER))


def _hardfault(board: Parts, _active: ActiveFault) -> None:
    board.machine.bus_fault("injected")


def _watchdog(board: Parts, _active: ActiveFault) -> None:
    ensure_bootloader(board)
    board.machine.request_reset(RESET_WATCHDOG)


def _brownout(board: Parts, active: ActiveFault) -> None:
    ensure_bootloader(board)
    noise = random.Random(f"brownout/{active.fault.seed}")  # noqa: S311 - must repeat from run to run
    board.machine.lose_power(noise.randbytes)


def _hang(board: Parts, _active: ActiveFault) -> None:
    board.machine.hung = True


def _wrap(board: Parts, active: ActiveFault) -> None:
    def preset() -> None:
        board.machine.debug.cycle_count = 2**32 - active.fault.at

    _at_inference(board, active, preset)


def _slip(board: Parts, active: ActiveFault) -> None:
    board.machine.debug.cycle_count += int(active.fault.value)


def before_transfers(board: Parts, act: Callable[[str], None]) -> None:
    """Act before every transfer, given its name, after what is done there already."""
    earlier = board.dap.before_transfer

    def hook(name: str) -> None:
        if earlier is not None:
            earlier(name)
        act(name)

    board.dap.before_transfer = hook


def _failing(error: str, text: str) -> Install:
    """Fail `times` transfers, one after the other, with one of pyOCD's errors.

    Only transfers of blocks count for `after`: how often pyOCD polls a single word depends on the host's speed.
    """

    def install(board: Parts, active: ActiveFault) -> None:
        blocks = 0

        def act(name: str) -> None:
            nonlocal blocks
            blocks += name in BLOCKS
            if blocks > active.fault.after and active.strike():
                from pyocd.core import exceptions  # noqa: PLC0415 - pyOCD takes a while to import

                raise getattr(exceptions, error)(text)

        before_transfers(board, act)

    return install


def _stuck(board: Parts, active: ActiveFault) -> None:
    flash = board.machine.bus.flash
    earlier, address = flash.resists, int(active.fault.value) & ~3

    def resists(word: int) -> bool:
        return (earlier is not None and earlier(word)) or (word == address and active.strike())

    flash.resists = resists


def _locked(board: Parts, active: ActiveFault) -> None:
    if not board.machine.bus.has_ctrl_ap:
        raise ConfigError(f"{active.fault.kind}: APPROTECT is Nordic's; how this chip protects itself isn't modelled")
    active.strike()
    board.dap.locked = True


def _part(board: Parts, active: ActiveFault) -> None:
    address = board.machine.wiring.part
    if address is None:
        raise ConfigError(f"{active.fault.kind}: this kind of board doesn't say where its part number is")
    active.strike()
    if board.machine.memory.find(address, 4) is None:
        board.machine.debug.words[address] = int(active.fault.value)
    else:
        board.machine.memory.put(address, struct.pack("<I", int(active.fault.value)))


BOARD_FAULTS: Mapping[str, Install] = {
    "board.hardfault": later(_hardfault),
    "board.watchdog": later(_watchdog),
    "board.brownout": later(_brownout),
    "board.hang": later(_hang),
    "board.wrap": _wrap,
    "board.slip": later(_slip),
    "swd.fault": _failing("TransferFaultError", "injected FAULT answer"),
    "swd.timeout": _failing("TransferTimeoutError", "injected time-out"),
    "swd.unplug": _failing("ProbeDisconnected", "the probe was unplugged (injected)"),
    "swd.stuck": _stuck,
    "swd.locked": _locked,
    "swd.part": _part,
}
