"""`hil devices`: what is configured, what ships, what is attached, and what of it could be added."""

from __future__ import annotations

import click

from harness.cli.options import LAB, load_lab


@click.command()
@click.option(
    "--add", is_flag=False, flag_value="", metavar="[NAME]", help="Write what is attached and new into devices.yaml."
)
@click.option("--kind", metavar="KIND", help="With --add: which kind of board it is.")
@click.option("--probe", metavar="ID", help="With --add: the board behind this probe.")
@click.option("--port", metavar="PORT", help="With --add: the board's port (path, serial number or location).")
@LAB
def devices(add: str | None, kind: str | None, probe: str | None, port: str | None, lab: str | None) -> None:
    """List the configured devices, the kinds of boards, and what is attached; or add what is new.

    A board needs one connection of three, its link: a serial adapter at its UART (uart), a cable to its own USB (usb),
    or a debug probe alone (probe). --add takes the probe where there is no port.
    """
    from harness.cli.devices.adding import Wish, add_attached
    from harness.cli.devices.listing import show_devices

    if add is not None:
        add_attached(load_lab(lab), Wish(add or None, kind, probe, port))
    elif kind or probe or port:
        raise click.UsageError("--kind, --probe and --port go with --add")
    else:
        show_devices(load_lab(lab))
