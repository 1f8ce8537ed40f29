"""`hil doctor` on what stands between this user and the boards: permissions, udev rules, ModemManager."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.matching import KNOWN_USB
from harness.measure.finding import Finding
from harness.power.joulescope import USB_IDS as JOULESCOPE_USB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.boards.discover import Port
    from harness.boards.usb import UsbDevice

_RULES = "60-tinyml-hil.rules"
_SEGGER = 0x1366
_PROBE_WORDS = ("CMSIS-DAP", "J-Link", "STLINK", "ST-Link", "DAPLink")
_IGNORED = ("E:ID_MM_DEVICE_IGNORE=1", "E:ID_MM_PORT_IGNORE=1")


@dataclass(frozen=True)
class Places:
    """Where Linux keeps what is looked at here; other folders are for tests."""

    proc: Path = Path("/proc")
    udev_data: Path = Path("/run/udev/data")
    rules: tuple[Path, ...] = (Path("/etc/udev/rules.d"), Path("/usr/lib/udev/rules.d"), Path("/lib/udev/rules.d"))


def usb_findings(
    ports: Sequence[Port], devices: Sequence[UsbDevice], places: Places | None = None
) -> Iterator[Finding]:
    """Check each serial port, probe and Joulescope, the udev rules, and ModemManager.

    Args:
        ports: USB serial ports.
        devices: USB devices.
        places: where to look; None for this computer's own.
    """
    places = places or Places()
    yield _ports_finding(ports)
    if not sys.platform.startswith("linux"):
        return
    yield from _usb_access("Probe permission", filter(_is_probe, devices))
    yield from _usb_access("Power monitor permission", filter(_is_joulescope, devices))
    yield _rules_finding(places, needed=bool(ports) or any(_is_probe(one) or _is_joulescope(one) for one in devices))
    yield _modem_manager_finding(ports, places)
    yield from _holders(ports, places)


def install_command() -> str:
    """Return the command that installs the udev rules."""
    source = shlex.quote(str(rules_file()))
    return f"sudo cp {source} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"


def rules_file() -> Path:
    """Return the shipped udev rules."""
    return Path(str(resources.files("harness.boards") / _RULES))


def _ports_finding(ports: Sequence[Port]) -> Finding:
    if not ports:
        return Finding("optional", "Serial ports", "no USB serial port is attached")
    paths = [port.path for port in ports]
    denied = [path for path in paths if os.name == "posix" and not os.access(path, os.R_OK | os.W_OK)]
    if not denied:
        return Finding("ok", "Serial ports", ", ".join(paths))
    group = Path(denied[0]).group()
    remedy = f"sudo usermod -aG {group} {os.environ.get('USER', '$USER')}, then log out and in again"
    return Finding("problem", "Serial ports", f"no permission for {', '.join(denied)}: {remedy}")


def _is_probe(device: UsbDevice) -> bool:
    known = KNOWN_USB.get((device.vid, device.pid))
    if known is not None:
        return known[1] is None
    return device.vid == _SEGGER or any(word.lower() in device.product.lower() for word in _PROBE_WORDS)


def _is_joulescope(device: UsbDevice) -> bool:
    return (device.vid, device.pid) in JOULESCOPE_USB


def _usb_access(what: str, devices: Iterable[UsbDevice]) -> Iterator[Finding]:
    """What may not be opened isn't even listed by pyOCD or the monitor's driver, so it is looked for on the USB bus."""
    for device in devices:
        if device.denied:
            name = device.product or f"{device.vid:04x}:{device.pid:04x}"
            yield Finding(
                "problem",
                what,
                f"no permission for {name} at {device.location} ({device.node}): {install_command()}, then plug it in "
                "again",
            )


def _rules_finding(places: Places, *, needed: bool) -> Finding:
    wanted = rules_file().read_bytes()
    for folder in places.rules:
        installed = folder / _RULES
        if installed.is_file():
            if installed.read_bytes() == wanted:
                return Finding("ok", "udev rules", str(installed))
            return Finding("optional", "udev rules", f"{installed} is of another release: {install_command()}")
    why = "" if needed else "; needed once a board is attached"
    return Finding("optional", "udev rules", f"not installed{why}: {install_command()}")


def _modem_manager_finding(ports: Sequence[Port], places: Places) -> Finding:
    """ModemManager talks to each new port that udev doesn't tell it to leave alone."""
    what = "ModemManager"
    if "ModemManager" not in {_read(path) for path in places.proc.glob("[0-9]*/comm")}:
        return Finding("ok", what, "is not running")
    grabbed = [port.path for port in ports if not _left_alone(port, places)]
    if not ports:
        return Finding("ok", what, "is running; no port is attached that it could grab")
    if not grabbed:
        return Finding("ok", what, "is running and leaves the boards' ports alone")
    return Finding(
        "problem",
        what,
        f"is running and may send AT commands to {', '.join(grabbed)}: {install_command()}; for a port that the rules "
        "don't know: sudo systemctl disable --now ModemManager",
    )


def _left_alone(port: Port, places: Places) -> bool:
    try:
        number = Path(port.path).stat().st_rdev
    except OSError:
        return False
    lines = _read(places.udev_data / f"c{os.major(number)}:{os.minor(number)}").splitlines()
    return any(line in _IGNORED for line in lines)


def _holders(ports: Sequence[Port], places: Places) -> Iterator[Finding]:
    """Name the programs that have a port open, as far as this user may see them."""
    paths = {os.path.realpath(port.path): port.path for port in ports}
    if not paths:
        return
    for path, program in port_holders(paths, places):
        yield Finding("problem", "Serial ports", f"{path} is open in {program}; end it before a run")


def port_holders(paths: Mapping[str, str], places: Places | None = None) -> Iterator[tuple[str, str]]:
    """Yield which of some ports other programs have open, and what these programs are called.

    Args:
        paths: what each port is called in messages, by its real path.
        places: where to look; None for this computer's own.
    """
    for folder in sorted((places or Places()).proc.glob("[0-9]*")):
        if folder.name == str(os.getpid()):
            continue
        for path in sorted({paths[target] for target in _open_files(folder) if target in paths}):
            yield path, f"{_read(folder / 'comm')} (process {folder.name})"


def _open_files(process: Path) -> set[str]:
    try:
        return {str(link.readlink()) for link in (process / "fd").iterdir()}
    except OSError:  # another user's process, or one that has just ended
        return set()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
