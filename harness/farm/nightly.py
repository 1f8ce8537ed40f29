"""`hil nightly`: plan a night or join one, and see it through; never two at once on a host."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.config import load_suite
from harness.errors import ConfigError, HilError
from harness.farm.finish import Outcome
from harness.farm.host import Host
from harness.farm.night import FINISHED, Night, image_sha256, night_order, nights_folder, plan_night, unfinished
from harness.health.event import checked_name
from harness.locks.state import hostname, now, state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.config import Lab, Suite
    from harness.farm.host import Wish

#: Of a lock: another user may run the next night.
_FOR_ALL = 0o666


def run_night(wish: Wish) -> Outcome | None:
    """Go on with the night that hasn't ended, or run a new one, to its end; None if there was nothing to resume.

    A night whose time was over when it was cut off is ended, and then comes the one that was asked for.

    Raises:
        ConfigError: the configuration is wrong, or this host runs a night already.
        FarmError: the state folder went away for too long, or labgrid doesn't answer.
        StoreError: the results can't be written.
    """
    state = state_folder(wish.lab)
    with _only_one(state, checked_name(hostname(), "the host")):
        night = unfinished(state)
        if night is not None and not wish.resume and now() > night.deadline:
            wish.say(f"night {night.id} was cut off, and its time is over: it is ended first")
            try:
                _run(wish, night)
            except HilError as error:  # it must not keep all later ones from running
                wish.say(f"night {night.id} can't be ended: {error}")
            night = None
        elif night is not None:
            wish.say(f"night {night.id} goes on: {len(night.cases)} cases, until {_hour(night)}")
            if _lacks_images(night, wish.lab, wish.base):  # the host that planned it has newer ones
                _fetch_anyway(wish)
        if night is None:
            if wish.resume:
                return None
            lab = wish.lab
            missed = _missed(state, wish)
            if missed is not None:
                return missed
            _fetch(wish)
            night = plan_night(state, lab, wish.nightly, wish.base, wish.results_dir)
            wish.say(f"night {night.id}: {len(night.cases)} cases, until {_hour(night)}")
        return _run(wish, night)


@contextmanager
def _only_one(state: Path, host: str) -> Iterator[None]:
    lock = FileLock(nights_folder(state) / f".{host}.lock", mode=_FOR_ALL)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"{host} runs a night already; it can't run two at once. If that is another computer of this name, give "
            "one of them another name with HIL_HOST"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{lock.lock_file} can't be opened: {error.strerror or error}. Let whoever made it give you access, or "
            "remove it while no night runs on this host"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _run(wish: Wish, night: Night) -> Outcome:
    night.check_run()
    return Host(wish, night).run()


def _hour(night: Night) -> str:
    return f"{night.deadline.astimezone():%H:%M %Z}"


def _missed(state: Path, wish: Wish) -> Outcome | None:
    """Return what came of a night that other hosts have run in the meantime, so that a late one doesn't run another."""
    folders = [path for path in nights_folder(state).iterdir() if (path / FINISHED).is_file()]
    newest = max(folders, key=night_order, default=None)
    if newest is None or (newest / "hosts" / f"{hostname()}.json").is_file():
        return None
    night = Night.load(newest)
    if now() > night.deadline or not any((newest / "hosts").glob("*.json")):
        return None
    wish.say(f"night {night.id} has been run by other hosts already; this one came too late for it")
    return Outcome.read(newest / FINISHED)


def _fetch_anyway(wish: Wish) -> None:
    """Run the program that brings the newest images; without them this host can still do something for the night."""
    try:
        _fetch(wish)
    except ConfigError as error:
        wish.say(str(error))


def _fetch(wish: Wish) -> None:
    """Run the program that brings the newest images.

    Raises:
        ConfigError: it fails, or takes too long.
    """
    command = wish.nightly.fetch
    if command is None:
        return
    wish.say(f"fetching: {' '.join(command)}")
    limit = wish.nightly.fetch_timeout.total_seconds()
    try:
        done = subprocess.run(command, cwd=wish.base, timeout=limit, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 (the user's)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"nightly.yaml: fetch: {error}") from error
    if done.returncode != 0:
        raise ConfigError(f"nightly.yaml: fetch: `{' '.join(command)}` ended with {done.returncode}")


def _lacks_images(night: Night, lab: Lab, base: Path) -> bool:
    """Whether this host has other images than those that a night was planned with, or none.

    Args:
        night: that another host may have planned.
        lab: with the kinds of its boards.
        base: the folder of nightly.yaml here.
    """
    kinds = {kind.name: kind for kind in lab.kinds}
    suites: dict[str, Suite] = {}
    for case in night.cases:
        try:
            suite = suites.get(case.suite) or suites.setdefault(case.suite, load_suite(base / case.suite))
            found = image_sha256(suite, suite.variant(case.variant), kinds[case.kind])
        except (ConfigError, KeyError):
            found = None
        if case.image_sha256 not in (None, found):
            return True
    return False
