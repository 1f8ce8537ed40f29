"""Who may look at the status page: names by which it is asked for, and the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORTEST = 16
_BEARER = "Bearer "
_HTTP = 80


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this computer."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name, which may mean anything
        return False


def in_url(host: str) -> str:
    """Return an address as URLs and Host headers hold it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def choose_token(host: str, given: str | None) -> str | None:
    """Return the token that visitors must know: the given one; None on loopback without one; elsewhere a random one.

    Raises:
        ConfigError: it is too short, or not of letters, digits and signs of ASCII.
    """
    if given is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if len(given) < _SHORTEST or not given.isascii() or not given.isprintable() or " " in given:
        raise ConfigError(
            f"the token needs at least {_SHORTEST} letters, digits or signs and no spaces, so that nobody guesses it; "
            "`openssl rand -hex 16` makes one"
        )
    return given


@dataclass(frozen=True)
class Door:
    """Lets visitors in or not.

    Attributes:
        host: address that is listened on.
        port: likewise.
        token: that visitors must know; None for all who can reach the port.

    On loopback a request must ask by a name of this computer, so that no page of another site, whose name was pointed
    at this address (DNS rebinding), can read ours. Elsewhere such a page lacks the token: cookies belong to names.
    """

    host: str
    port: int
    token: str | None

    @property
    def cookie_name(self) -> str:
        """Cookies don't know ports, so that two servers need different ones."""
        return f"hil_{self.port}"

    @property
    def _cookie_value(self) -> str:
        """Show that the token was known, without being it."""
        return hmac.new((self.token or "").encode(), b"hil serve cookie", hashlib.sha256).hexdigest()

    @property
    def cookie(self) -> str:
        """What the browser is to keep; it is sent neither to scripts nor from other sites."""
        return f"{self.cookie_name}={self._cookie_value}; Path=/; HttpOnly; SameSite=Strict"

    def asked_by_name(self, hosts: Sequence[str]) -> bool:
        """Whether the Host headers of a request are one that this server goes by."""
        if len(hosts) != 1:
            return False
        if not is_loopback(self.host):
            return True
        names = {"localhost", "127.0.0.1", "[::1]", in_url(self.host)}
        ours = {f"{name}:{self.port}" for name in names}
        return hosts[0].strip().lower() in (ours | names if self.port == _HTTP else ours)

    def open_to(self, authorizations: Sequence[str], cookies: Sequence[str]) -> bool:
        """Whether a request shows that it knows the token, by its Authorization or its Cookie headers."""
        if self.token is None:
            return True
        if len(authorizations) == 1 and authorizations[0].startswith(_BEARER):
            return _same(authorizations[0].removeprefix(_BEARER).strip(), self.token)
        return any(_same(value, self._cookie_value) for value in self._kept(cookies))

    def knocks(self, query: str) -> bool | None:
        """Return whether the token in a query is right; None if there is none, or none is needed."""
        try:
            said = parse_qs(query, keep_blank_values=True, max_num_fields=20).get("token")
        except ValueError:  # too many fields
            return False
        if self.token is None or said is None:
            return None
        return len(said) == 1 and _same(said[0], self.token)

    def _kept(self, cookies: Sequence[str]) -> list[str]:
        """Return the values of our cookie; those of other servers of this computer may be of any form."""
        pairs = (one.strip().partition("=") for header in cookies for one in header.split(";"))
        return [value for name, _, value in pairs if name == self.cookie_name]


def _same(said: str, right: str) -> bool:
    """Compare in a time that doesn't tell how much of it is right."""
    return hmac.compare_digest(said.encode("utf-8", "surrogatepass"), right.encode())
