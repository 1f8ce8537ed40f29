"""Ports and probes of other computers: how devices.yaml writes them, and what address is behind that."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

#: What pyOCD writes in front of the computer that runs its probe server.
REMOTE_PROBE = "remote:"
_PYOCD_PORT = 5555
_SCHEMES = ("socket", "rfc2217")
_PROBE = re.compile(r"remote:(?P<host>[^:\s]+)(:(?P<port>[0-9]{1,5}))?")


def port_address(url: str) -> tuple[str, int]:
    """Return host and TCP port of a serial port's URL.

    Raises:
        ValueError: it isn't a URL that the harness opens; the message says which ones are.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    else:
        if parts.scheme not in _SCHEMES:
            host = None
    if not host or not port:
        raise ValueError(
            f'{url!r} is not a port of another computer: write "socket://HOST:PORT" or "rfc2217://HOST:PORT"'
        )
    return host, port


def probe_address(probe: str | None) -> tuple[str, int] | None:
    """Return host and TCP port of a probe that `pyocd server` offers; None for a probe of this computer.

    Raises:
        ValueError: it begins like one, and isn't.
    """
    if probe is None or not probe.startswith(REMOTE_PROBE):
        return None
    match = _PROBE.fullmatch(probe)
    port = int(match["port"] or _PYOCD_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(f'{probe!r} is not a probe of another computer: write "remote:HOST" or "remote:HOST:PORT"')
    return match["host"].lower(), port


def spelled(address: tuple[str, int]) -> str:
    """Return an address as one word, the same however it was written."""
    return f"{address[0]}:{address[1]}"
