"""`hil farm scheduler`: the scheduler of a farm of several computers."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from harness.errors import FarmError
from harness.farm.cluster import configure, secured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def run_scheduler(
    host: str, port: int, certificates: Path | None, dashboard: int | None, say: Callable[[str], None]
) -> None:
    """Run a scheduler until it is told to end.

    Args:
        host: address to listen on.
        port: 0 for any that is free.
        certificates: folder of this computer's; None on loopback, where there is no TLS.
        dashboard: port of Dask's dashboard, which only this computer sees; None for none.
        say: takes a line for people.

    Raises:
        ConfigError: it would listen to others without TLS, or the certificates can't be used.
        FarmError: the port is taken.
    """
    configure()
    protocol = "tcp" if certificates is None else "tls"
    security = secured(f"{protocol}://{host}:{port or 1}", certificates)
    try:
        asyncio.run(_serve(host, port, protocol, security, dashboard, say))
    except OSError as error:
        raise FarmError(f"the scheduler can't listen on {host}:{port}: {error.strerror or error}") from error


async def _serve(
    host: str, port: int, protocol: str, security: Any, dashboard: int | None, say: Callable[[str], None]
) -> None:
    from distributed import Scheduler  # noqa: PLC0415 (slow, and not always installed)

    scheduler: Any = Scheduler(
        host=host,
        port=port,
        protocol=protocol,
        security=security,
        dashboard=dashboard is not None,
        dashboard_address=f"127.0.0.1:{dashboard or 0}",
    )
    await scheduler
    say(f"the scheduler is at {scheduler.address}")
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await ended.wait()
    finally:
        await scheduler.close()
