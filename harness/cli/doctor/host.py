"""What `hil doctor` says about this computer: programs, libraries, images, probes, ports and power monitors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from serial.tools import list_ports

from harness.boards.discover import attached_ports, attached_probes
from harness.boards.renode.find import HOW_TO_GET_IT, find_renode
from harness.boards.simavr import how_it_is_flashed, require_simavr
from harness.boards.targets import OWN_TARGETS, knows
from harness.boards.usb import usb_devices
from harness.boards.virtual import VirtualNrf52840
from harness.cli.doctor.links import configured_links
from harness.cli.doctor.usb import install_command, usb_findings
from harness.cli.options import load_lab
from harness.config import shipped_kinds
from harness.errors import ConfigError, HilError
from harness.image.elf import load_image
from harness.measure.finding import Finding
from harness.power.opening import SERIAL_MONITORS, find_monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serial.tools.list_ports_common import ListPortInfo

    from harness.boards.discover import Probe
    from harness.config import Device, Lab

PREBUILT: Final = Path("firmware/prebuilt")
_MONITOR = "Power monitor"


def lab_or_finding(name: str | None) -> tuple[Lab | None, Finding]:
    """Read devices.yaml, and say what it holds or what is wrong with it."""
    try:
        lab = load_lab(name)
    except HilError as error:
        return None, Finding("problem", "Lab", str(error))
    where = f"{lab.path}: " if lab.path else "no devices.yaml here: "
    kinds = ", ".join(kind.name for kind in lab.kinds)
    return lab, Finding("ok", "Lab", f"{where}{len(lab.devices)} devices; kinds: {kinds}")


def host_findings(lab: Lab | None, of_lab: Finding) -> Iterator[Finding]:
    """Check what is needed with or without a board; what is said of the lab stands among it."""
    yield Finding("ok", "Python", sys.version.split()[0])
    yield of_lab
    yield _unicorn_finding()
    yield from _pyocd_findings()
    probes, of_probes = _attached_probes()
    yield of_probes
    ports = [port for port in attached_ports() if port.serial or port.location]
    yield from usb_findings(ports, usb_devices())
    yield from configured_links(() if lab is None else lab.devices, ports, probes)
    yield _prebuilt_finding()
    yield from power_findings(lab, list(list_ports.comports()))
    yield _tool_finding("arm-none-eabi-gcc", "only needed to rebuild firmware", "apt install gcc-arm-none-eabi")
    yield _tool_finding("avr-gcc", "only needed for an Arduino Uno's firmware", "apt install gcc-avr avr-libc")
    yield renode_finding()
    yield _avrdude_finding()
    yield _simavr_finding()


def _pyocd_findings() -> Iterator[Finding]:
    version = metadata.version("pyocd")
    for kind in shipped_kinds().values():
        what = f"pyOCD {version}"
        if not kind.pyocd_target:
            continue
        if kind.pyocd_target in OWN_TARGETS:
            yield Finding("ok", what, f"gets the target {kind.pyocd_target} from this package ({kind.title})")
        elif knows(kind.pyocd_target):
            yield Finding("ok", what, f"knows {kind.pyocd_target} ({kind.title})")
        else:
            yield Finding("problem", what, f"doesn't know {kind.pyocd_target}: pyocd pack install {kind.pyocd_target}")


def _unicorn_finding() -> Finding:
    what = f"Unicorn {metadata.version('unicorn')}"
    try:
        with VirtualNrf52840("doctor") as twin:
            return Finding("ok", what, f"the virtual board starts; {twin.counter_description}")
    except HilError as error:
        return Finding("problem", what, f"{error}; pip install --force-reinstall unicorn")


def _attached_probes() -> tuple[list[Probe], Finding]:
    what = "Debug probes"
    try:
        probes = attached_probes()
    except HilError as error:
        return [], Finding("problem", what, str(error))
    if probes:
        return probes, Finding("ok", what, ", ".join(f"{probe.description} ({probe.uid})" for probe in probes))
    return [], Finding("optional", what, "none attached; --device nano33 then uses the virtual board")


def _avrdude_finding() -> Finding:
    path = shutil.which("avrdude")
    if path is None:
        return Finding("optional", "avrdude", "not found; only needed to flash an Arduino Uno (apt install avrdude)")
    return Finding("ok", "avrdude", path)


def _simavr_finding() -> Finding:
    try:
        require_simavr()
    except HilError as error:
        return Finding("optional", "simavr", str(error))
    optiboot, how = how_it_is_flashed()
    return Finding("ok" if optiboot else "optional", "simavr", f"emulates an Arduino Uno; {how}")


def _prebuilt_finding() -> Finding:
    images = sorted(PREBUILT.glob("*/*.elf"))
    if not images:
        return Finding(
            "optional",
            "Prebuilt images",
            f"none in {PREBUILT.absolute()}; run this in a lab folder (`hil init` makes one), or make images "
            "of models with `hil build`",
        )
    try:
        for path in images:
            load_image(path, shipped_kinds().get(path.parent.name))
    except HilError as error:
        return Finding("problem", "Prebuilt images", str(error))
    return Finding("ok", "Prebuilt images", f"{len(images)} in {PREBUILT}, all readable")


def _tool_finding(tool: str, purpose: str, remedy: str) -> Finding:
    path = shutil.which(tool)
    if path is None:
        return Finding("optional", tool, f"not found; {purpose} ({remedy})")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
    return Finding("ok", tool, (done.stdout or done.stderr).strip().partition("\n")[0] or path)


def power_findings(lab: Lab | None, ports: list[ListPortInfo]) -> Iterator[Finding]:
    """Look for the monitors that devices.yaml names, and say which others are attached.

    Args:
        lab: what devices.yaml says; None if it is wrong.
        ports: the serial ports.
    """
    devices = [device for device in lab.devices if device.power is not None] if lab is not None else []
    for device in devices:
        yield _configured(device, ports)
    attached = [
        f"{name} {port.serial_number or 'without serial number'}"
        for name, kind in SERIAL_MONITORS.items()
        for port in ports
        if (port.vid, port.pid) == kind.usb
    ]
    if attached and not devices:
        text = (
            f"{', '.join(sorted(set(attached)))} attached, but no device in devices.yaml has `power:` (docs/power.md)"
        )
        yield Finding("optional", _MONITOR, text)
    elif not devices:
        yield Finding("optional", _MONITOR, "none; the energy columns stay empty (docs/power.md)")


def _configured(device: Device, ports: list[ListPortInfo]) -> Finding:
    supply = device.power
    assert supply is not None  # noqa: S101 - the caller has looked
    what = f"{_MONITOR} of {device.name}"
    if supply.simulated:
        return Finding("ok", what, f"simulated {supply.monitor}: works on the virtual board only, measures nothing")
    if supply.monitor == "joulescope":
        if find_spec("pyjoulescope_driver") is None:
            return Finding("problem", what, "pyjoulescope_driver is missing: pip install 'tinyml-hil[power]'")
        return Finding("ok", what, "pyjoulescope_driver is installed; the monitor is looked for when a run begins")
    try:
        found = find_monitor(supply.monitor, SERIAL_MONITORS[supply.monitor].usb, supply.serial, ports)
    except HilError as error:
        return Finding("problem", what, str(error))
    where = f"{supply.monitor} {found.serial} at {found.path}"
    if os.name == "posix" and not os.access(found.path, os.R_OK | os.W_OK):
        return Finding("problem", what, f"no permission for {where}: {install_command()}, then plug it in again")
    return Finding("ok", what, f"{where}, sync pin on D{supply.sync_input}")


def renode_finding() -> Finding:
    """Say whether Renode is there, which version, and where it was found."""
    try:
        found = find_renode()
    except ConfigError as error:
        return Finding("problem", "Renode", str(error))
    if found is None:
        return Finding("optional", "Renode", f"not found, a second emulator. {HOW_TO_GET_IT}")
    where = f"{found.program} ({found.origin})"
    if found.warning is not None:
        return Finding("optional", "Renode", f"{where}: {found.warning}")
    return Finding("ok", "Renode", f"{found.version}, {where}")
