"""`hil worker`: offers this computer's boards to the lab's scheduler."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, load_lab


@click.command()
@click.argument("scheduler", required=False, metavar="[ADDRESS]")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Device, kind or tag (default: all).")
@click.option(
    "--certificates", type=click.Path(path_type=Path), metavar="DIR", help="Default: `farm: {certificates: ...}`."
)
@LAB
def worker(scheduler: str | None, devices: tuple[str, ...], certificates: Path | None, lab: str | None) -> None:
    """Offer the boards of this computer to the scheduler at ADDRESS, like tls://lab:8786.

    It does so until it is stopped. Each board of devices.yaml that is attached here, or virtual, becomes a worker that
    is named after it. While nobody answers at ADDRESS the boards are free, and it is asked again. See docs/farm.md.
    """
    import signal
    from typing import Any

    from harness.errors import ConfigError
    from harness.farm.worker import Host, boards_of

    loaded = load_lab(lab)
    address = scheduler or loaded.farm.scheduler
    if address is None:
        raise ConfigError("say which scheduler: hil worker tls://lab:8786, or `farm: {scheduler: ...}` in devices.yaml")
    offered = boards_of(loaded, devices or ("all",))
    host = Host(address, loaded, certificates or loaded.farm.certificates, offered, click.echo)

    def stop(*_: Any) -> None:
        host.stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    click.echo(f"offers {', '.join(name for name, _ in offered)} to {address}")
    host.run()
