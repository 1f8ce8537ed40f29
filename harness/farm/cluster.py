"""Dask's side of a farm: a scheduler on this computer, or the way to the lab's; safe or not at all."""

from __future__ import annotations

import ipaddress
import logging
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
    from collections.abc import Mapping
    from pathlib import Path

#: Of what is sent between driver and workers; it changes with `harness.farm.task`.
PROTOCOL: Final = "1"
#: How long a connection may take.
CONNECT_S: Final = 10.0
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


class Cluster:
    """A connection to a scheduler, which may be this process's own.

    Args:
        address: of the lab's; None starts one on loopback, for as long as this process lives.
        certificates: folder of this host's; None on loopback.

    Raises:
        ConfigError: dask.distributed is missing, or the way isn't safe.
        FarmError: the scheduler can't be reached, or has other versions.
    """

    def __init__(self, address: str | None, certificates: Path | None = None) -> None:
        configure()
        self._closing = ExitStack()
        self._security = security_of(None) if address is None else secured(address, certificates)
        self.own = address is None
        self.address = self._start() if address is None else address
        self.client: Any = None
        try:
            self.connect()
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

    def connect(self) -> None:
        """Connect, anew if the connection was lost.

        Raises:
            FarmError: that fails.
        """
        from distributed import Client  # noqa: PLC0415

        self.disconnect()
        silent = reach(self.address)
        if silent is not None:
            raise FarmError(f"no scheduler answers at {self.address}: {silent}")
        try:
            client = Client(  # type: ignore[no-untyped-call]
                self.address, security=self._security, timeout=CONNECT_S, set_as_default=False, name="hil"
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise FarmError(f"the scheduler at {self.address} can't be used: {error}") from error
        self.client = client
        told: Any = client.get_versions()
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

    def await_back(self, seconds: float) -> bool:
        """Wait for the scheduler to come back, at most so long; whether it did."""
        deadline = time.monotonic() + (0.0 if self.own else seconds)
        while True:
            with suppress(FarmError):
                self.connect()
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(2.0)

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
