"""`hil doctor`: is everything there, and what to do if not."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import click

from harness.cli.options import BACKEND, FILE, LAB, waits

if TYPE_CHECKING:
    from pathlib import Path

    from harness.boards.backends import Wanted
    from harness.locks.waiting import Patience

_MARKS = {"ok": ("ok", "green"), "optional": ("--", "yellow"), "problem": ("!!", "red")}


@click.command()
@click.option("--device", metavar="NAME", help="Check this device too: probe, flash, link.")
@click.option("--image", type=FILE, help="With a real --device: flash this image (it replaces what is there).")
@BACKEND
@LAB
@waits
def doctor(device: str | None, image: Path | None, backend: Wanted, lab: str | None, patience: Patience) -> None:
    """Check everything that the harness needs, a line each, with the remedy."""
    from harness.cli.doctor.device import device_findings
    from harness.cli.doctor.host import host_findings, lab_or_finding
    from harness.text.escape import printable
    from harness.text.terminal import echo_styled

    loaded, of_lab = lab_or_finding(lab)
    findings = host_findings(loaded, of_lab)
    if device is not None and loaded is not None:
        findings = chain(findings, device_findings(loaded, device, image, backend, patience))
    healthy = True
    for finding in findings:
        mark, color = _MARKS[finding.state]
        echo_styled(f"{click.style(mark, fg=color)}  {printable(f'{finding.what}: {finding.text}')}")
        healthy = healthy and finding.state != "problem"
    if not healthy:
        raise SystemExit(1)
