"""What `hil doctor` says about power monitors."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from serial.tools import list_ports

from harness.errors import HilError
from harness.measure.finding import Finding
from harness.power.opening import SERIAL_MONITORS, find_monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serial.tools.list_ports_common import ListPortInfo

    from harness.config import Device, Lab

_WHAT = "Power monitor"


def power_findings(load_lab: Callable[[], Lab], ports: list[ListPortInfo] | None = None) -> Iterator[Finding]:
    """Look for the monitors that devices.yaml names, and say which others are attached.

    Args:
        load_lab: reads devices.yaml; an error in it is another finding's.
        ports: the serial ports, None for this computer's.
    """
    ports = list(list_ports.comports()) if ports is None else ports
    try:
        devices = [device for device in load_lab().devices if device.power is not None]
    except HilError:
        devices = []
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
        yield Finding("optional", _WHAT, text)
    elif not devices:
        yield Finding("optional", _WHAT, "none; the energy columns stay empty (docs/power.md)")


def _configured(device: Device, ports: list[ListPortInfo]) -> Finding:
    supply = device.power
    assert supply is not None  # noqa: S101 - the caller has looked
    what = f"{_WHAT} of {device.name}"
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
    return Finding("ok", what, f"{supply.monitor} {found.serial} at {found.path}, sync pin on D{supply.sync_input}")
