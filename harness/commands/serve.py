"""`hil serve`: the status page, until somebody ends it."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.farm.door import choose_token, is_loopback
from harness.farm.serve import Server
from harness.farm.watch import Watch

if TYPE_CHECKING:
    from harness.config import Lab

#: How often to look whether somebody has ended it.
_LOOK_S = 0.5


def serve(lab: Lab, results_dir: Path | None, host: str, port: int, token: str | None) -> None:
    """Show the status page until Ctrl-C or SIGTERM; from then on this process ignores them.

    Args:
        lab: the boards.
        results_dir: where runs lie; None for the farm's store, or `results`.
        host: address to listen on.
        port: likewise; 0 for any that is free.
        token: that visitors must know; None for a random one, or none on loopback.

    Raises:
        ConfigError: it can't listen there, or the token won't do.
    """
    chosen = choose_token(host, token or None)
    with Server(Watch(lab, results_folder(lab, results_dir)), host, port, chosen) as server:
        told: list[int] = []  # no event: a signal that comes while a wait has its lock couldn't set it
        ends = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
        for one in ends:
            signal.signal(one, lambda number, _: told.append(number))
        shown = server.url if token is None else server.url.partition("?")[0]
        click.echo(f"Status page: {shown}  (Ctrl-C ends it)")
        if chosen is not None:
            known = "Visitors need the token" if token is None else "Visitors need your token: add ?token=... once"
            click.echo(f"{known}; a browser keeps it in a cookie, programs send `Authorization: Bearer TOKEN`.")
            if not is_loopback(host):
                click.echo("It isn't encrypted: in a network that you don't trust, use `ssh -L` instead.")
        thread = threading.Thread(target=server.serve_forever, name="hil serve", daemon=True)
        thread.start()
        try:
            while not told:
                time.sleep(_LOOK_S)
        finally:
            server.shutdown()
            thread.join()
    for one in ends:  # a wrapper passes on what the terminal has sent, too, and perhaps only while Python cleans up
        signal.signal(one, signal.SIG_IGN)
    click.echo("\nThe status page has ended.")


def results_folder(lab: Lab, given: Path | None) -> Path:
    """Return where runs lie: in the given folder, else in the farm's store if that is a folder, else in `results`."""
    store = lab.farm.store
    folder = given or (Path(store) if store is not None and "://" not in store else Path("results"))
    return folder.absolute()
