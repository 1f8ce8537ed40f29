"""Dask's side of a farm: the scheduler, and the way to it; safe or not at all."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from harness.errors import ConfigError, FarmError
from harness.farm.certificates import INSTALL, security_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Of what is sent between driver and workers; it changes with `harness.farm.order` and `task`.
PROTOCOL: Final = "3"
#: How long a connection may take.
CONNECT_S: Final = 10.0
#: How often it is asked whether a scheduler is back.
_AGAIN_S: Final = 2.0
#: What Dask does otherwise, and doesn't suit boards: it would repeat a case by itself, notice a host that is gone only
#: after minutes, and warn of orders that carry their image and inputs.
_DASK: Final = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.scheduler.work-stealing": False,
    "distributed.comm.timeouts.connect": f"{CONNECT_S:g}s",
    "distributed.comm.timeouts.tcp": "15s",
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.worker.daemon": False,
    "distributed.version": 2,
}


def configure() -> None:
    """Set Dask up for boards, in this process.

    Raises:
        ConfigError: it isn't installed; names the line that installs it.
    """
    try:
        import dask  # noqa: PLC0415 (slow, and not always installed)
        import distributed  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(f"a farm needs dask.distributed ({error}): {INSTALL}") from error
    dask.config.set(_DASK)
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said in our words


def versions() -> dict[str, str]:
    """Return what must be equal on all hosts of a farm."""
    return {
        "harness": metadata.version("tinyml-hil"),
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "distributed": metadata.version("distributed"),
        "farm protocol": PROTOCOL,
    }


def difference(theirs: Mapping[str, Any], whose: str) -> str | None:
    """Say which versions of another process aren't this one's; None if all are that it names."""
    mine = versions()
    odd = [f"{name} {theirs[name]} (here {mine[name]})" for name in mine if theirs.get(name, mine[name]) != mine[name]]
    if not odd:
        return None
    return f"{whose} has {', '.join(odd)}: install the same versions on all hosts of the farm"


def is_loopback(address: str) -> bool:
    """Whether an address like tcp://127.0.0.1:8786 stays on this computer."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secured(address: str, certificates: Path | None) -> Any:
    """Return the security for the connection to a scheduler.

    Args:
        address: tls://HOST:PORT, or tcp://127.0.0.1:PORT.
        certificates: folder of this host's; needed with tls.

    Raises:
        ConfigError: the address is no such thing, or anybody in the network could run code on this computer.
    """
    parts = urlsplit(address)
    try:
        known = parts.scheme in ("tls", "tcp") and parts.hostname and parts.port
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"{address} is no address of a scheduler; write it like tls://lab:8786")
    if parts.scheme == "tcp":
        if not is_loopback(address):
            raise ConfigError(
                f"{address} isn't encrypted: whoever reaches a port of Dask's runs code there. Use tls://, with "
                "certificates from `hil farm certs`"
            )
        return security_of(None)
    if certificates is None:
        raise ConfigError(
            f"{address} needs certificates: `farm: {{certificates: FOLDER}}` in devices.yaml, or --certificates; "
            "`hil farm certs DIR` makes them"
        )
    return security_of(certificates)


def reach(address: str) -> str | None:
    """Say why nobody answers at an address; None if somebody does."""
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_S):
            return None
    except OSError as error:
        return str(error.strerror or error)


class SchedulerGoneError(FarmError):
    """No scheduler answers."""


class Cluster:
    """A connection to a scheduler, which may be this process's own.

    Args:
        address: of the lab's; None starts one on loopback, for as long as this process lives.
        certificates: folder of this host's; None on loopback.
        wait_s: how long to wait for a scheduler that doesn't answer.
        on_wait: told why it waits, once.

    Raises:
        ConfigError: dask.distributed is missing, or the way isn't safe.
        SchedulerGoneError: nobody answers.
        FarmError: the scheduler has other versions.
    """

    def __init__(
        self,
        address: str | None,
        certificates: Path | None = None,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] = lambda _why: None,
    ) -> None:
        configure()
        self._closing = ExitStack()
        self._security = security_of(None) if address is None else secured(address, certificates)
        self.own = address is None
        self.address = self._start() if address is None else address
        self.client: Any = None
        try:
            self.connect(wait_s, on_wait)
        except BaseException:
            self._closing.close()
            raise

    def _start(self) -> str:
        from distributed import LocalCluster  # noqa: PLC0415

        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=0,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=50,
        )
        self._closing.callback(cluster.close, timeout=5)
        return str(cluster.scheduler_address)

    def connect(self, wait_s: float = 0.0, on_wait: Callable[[str], None] = lambda _why: None) -> None:
        """Connect, anew if the connection was lost.

        Args:
            wait_s: how long to wait for a scheduler that doesn't answer; this process's own doesn't come back.
            on_wait: told why it waits, once.

        Raises:
            SchedulerGoneError: nobody answers.
            FarmError: it has other versions, which waiting won't change.
        """
        deadline, said = time.monotonic() + (0.0 if self.own else wait_s), False
        while True:
            try:
                self._connect()
            except SchedulerGoneError as error:
                if time.monotonic() >= deadline:
                    raise
                if not said:
                    on_wait(str(error))
                said = True
                time.sleep(min(_AGAIN_S, max(0.0, deadline - time.monotonic())))
            else:
                return

    def _connect(self) -> None:
        from distributed import Client  # noqa: PLC0415

        self.disconnect()
        silent = reach(self.address)
        if silent is not None:
            raise SchedulerGoneError(f"no scheduler answers at {self.address}: {silent}")
        try:
            self.client = Client(  # type: ignore[no-untyped-call]
                self.address, security=self._security, timeout=CONNECT_S, set_as_default=False, name="hil"
            )
            told: Any = self.client.get_versions()
        except (OSError, TimeoutError, ValueError) as error:
            self.disconnect()
            raise SchedulerGoneError(f"the scheduler at {self.address} can't be used: {error}") from error
        wrong = difference(scheduler_versions(told["scheduler"]), f"the scheduler at {self.address}")
        if wrong is not None:
            self.disconnect()
            raise FarmError(wrong)

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        client, self.client = self.client, None
        if client is not None:
            with suppress(Exception):  # it may be lost already, which Dask says in many ways
                client.close(timeout=2)

    def workers(self) -> dict[str, dict[str, Any]] | None:
        """Return what the scheduler knows of each worker, by address; None if the scheduler is gone."""
        if self.client is None or self.client.status != "running":
            return None
        try:
            found: dict[str, dict[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        except Exception:  # noqa: BLE001 (Dask has many ways to say that the connection is lost)
            return None
        return dict(found)

    def close(self) -> None:
        """Let go of the scheduler; this process's own ends. Safe to call twice."""
        self.disconnect()
        with suppress(Exception):
            self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def scheduler_versions(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that a scheduler has told in Dask's way; it needs no harness."""
    packages = told.get("packages", {})
    python = ".".join(str(packages.get("python", "")).split(".")[:2])
    found = {"Python": python, "distributed": str(packages.get("distributed", ""))}
    return {name: version for name, version in found.items() if version}


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
    from distributed import Scheduler  # noqa: PLC0415

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
