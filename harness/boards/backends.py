"""Where a device's cases run: on the real board, on Renode, or on the virtual board.

Nothing here needs pyOCD, which takes half a second to import: who only plans or hands out cases never opens a board.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from harness.boards.discover import find_port, matching_probes, missing_probe, probes_for
from harness.boards.renode import PLATFORMS, find_renode, require_renode
from harness.boards.simavr import how_it_is_flashed, require_simavr
from harness.config.chip import SIMAVR_CHIPS
from harness.config.remote import REMOTE_PROBE, probe_address
from harness.errors import ConfigError, LinkError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.boards.base import Backend
    from harness.config import BoardKind, Device

Wanted = Literal["auto", "hardware", "renode", "virtual"]


def choose_backend(device: Device, wanted: Wanted) -> tuple[Backend, str]:
    """Decide where a device's cases run.

    Args:
        device: the device that was asked for.
        wanted: `auto` takes the real board if it is attached, else Renode if it is installed, else the virtual one.

    Returns:
        The backend, and why, in words.

    Raises:
        ConfigError, ProbeError: the wanted backend can't be had; the message says what to do.
    """
    if device.backend is not None:
        if wanted not in ("auto", device.backend):
            raise ConfigError(f"{device.name}: devices.yaml says that it is a {device.backend} board, not {wanted}")
        return device.backend, _emulated(device, "devices.yaml says so")
    if wanted == "renode" and device.link != "uart":
        lacks = {"usb": "USB", "probe": "debug probe"}[device.link]
        raise ConfigError(
            f"{device.name}: Renode has no {lacks}, so `link: {device.link}` needs a real board or the virtual one"
        )
    if wanted == "renode":
        return "renode", f"asked for; {require_renode().program}"
    if wanted == "virtual":
        return "virtual", _emulated(device, "asked for")
    missing = _why_no_hardware(device)
    if missing is None:
        return "hardware", _how_attached(device)
    if wanted == "hardware":
        raise ProbeError(
            f"{device.name}: {missing}. {_remedy(device)}; or use `--backend virtual`, which needs no board"
        )
    if device.kind.twin is None:
        raise ProbeError(f"{device.name}: {missing}, and {device.kind.title} has no virtual board")
    fits = device.link == "uart" and device.kind.twin in PLATFORMS and sys.platform != "win32"
    renode = find_renode() if fits else None
    if renode is not None:
        return "renode", f"{missing}, and Renode is installed ({renode.program}, {renode.origin})"
    return "virtual", _emulated(device, f"{missing}, and Renode is not installed" if fits else missing)


def refuse_faults(device: Device, faults: Sequence[str]) -> None:
    """Refuse faults for a board that simavr emulates.

    Raises:
        ConfigError: there are some.
    """
    if faults and device.kind.twin in SIMAVR_CHIPS:
        raise ConfigError(
            f"{device.name}: {faults[0].partition('=')[0]} can't be injected into an {device.kind.title}: it is "
            "emulated by simavr, and only this package's own virtual boards have faults"
        )


def _emulated(device: Device, why: str) -> str:
    """Say why a device is emulated, and by what if that isn't this package.

    Raises:
        ConfigError: what emulates it isn't here.
    """
    if device.kind.twin not in SIMAVR_CHIPS:
        return why
    try:
        require_simavr()
    except ConfigError as error:
        raise ConfigError(f"{device.name}: {error}") from error
    return f"{why}; emulated by simavr, {how_it_is_flashed()[1]}"


def emulated_kinds(kinds: Iterable[BoardKind], wanted: Wanted) -> tuple[str, ...]:
    """Return the names of the kinds that an emulator can stand in for, if one was asked for by name, else none.

    `auto` has none: who says `all` and has no board configured shall not take an emulator's run for one of boards.
    """
    if wanted not in ("virtual", "renode"):
        return ()
    twins = {kind.name: kind.twin for kind in kinds if kind.twin is not None}
    missing = without_emulator(kinds, wanted)
    return tuple(
        name for name, twin in twins.items() if (wanted == "virtual" and name not in missing) or twin in PLATFORMS
    )


def without_emulator(kinds: Iterable[BoardKind], wanted: Wanted) -> dict[str, str]:
    """Return the kinds that would be emulated if what emulates them were installed here, and why they can't be."""
    names = [kind.name for kind in kinds if kind.twin in SIMAVR_CHIPS] if wanted == "virtual" else []
    try:
        if names:
            require_simavr()
    except ConfigError as error:
        return dict.fromkeys(names, str(error))
    return {}


def _why_no_hardware(device: Device) -> str | None:
    """Say why the real board can't be used, or None if it is attached."""
    if device.probe is None and device.port is not None and device.flasher != "pyocd":
        try:
            find_port(device)
        except LinkError as error:
            return str(error)
        return None
    if device.probe is None:
        return "no real board is configured under that name"
    if not matching_probes(device, probes_for(device)):
        return missing_probe(device)[0]
    return None


def _remedy(device: Device) -> str:
    if probe_address(device.probe) is not None:
        return missing_probe(device)[1]
    return "Connect the board, run `hil devices` to see what there is, and name its probe and port in devices.yaml"


def _how_attached(device: Device) -> str:
    if device.probe is not None:
        return f"probe {device.probe} {'answers' if device.probe.startswith(REMOTE_PROBE) else 'is attached'}"
    there = device.port is None or device.port.url is None
    return "its serial port is attached" if there else f"its serial port is {device.port}"
