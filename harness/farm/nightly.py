"""`hil nightly`: plan a night or go on with one, and see it through; never two at once on a host."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from harness.config import Device
from harness.config.state import hostname, is_here, now, stamp, state_folder
from harness.errors import ConfigError, FarmError, HilError
from harness.farm.cluster import Cluster, SchedulerGoneError, versions
from harness.farm.driver import Driver
from harness.farm.finish import Outcome, finish_night
from harness.farm.night import PLAN, Night, NightExit, nights_folder, plan_night, unfinished
from harness.farm.results import NightResults
from harness.farm.site import Site
from harness.farm.worker import Host
from harness.files.json_file import read_json
from harness.health.quarantine import checked_name
from harness.store import load_results
from harness.store.commits import committed
from harness.store.results import plain_rows
from harness.store.runs import CASES_FILE, finish_shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.farm.seats import Wish

#: How long before boards are offered again that were refused.
_AGAIN_S = 1.0
#: Of a lock: another user may run the next night.
_FOR_ALL = 0o666


def run_night(wish: Wish) -> Outcome | None:
    """Go on with the night that hasn't ended, or run a new one, to its end; None if there was nothing to resume.

    A night whose time was over when it was cut off is ended, and then comes the one that was asked for.

    Raises:
        ConfigError: the configuration is wrong, or this host runs a night already.
        FarmError: the scheduler can't be reached.
        StoreError: the results can't be written.
    """
    state = state_folder(wish.lab)
    with _only_one(state, checked_name(hostname(), "the host")):
        night = unfinished(state)
        if night is not None and not wish.resume and now() > night.deadline:
            wish.say(f"night {night.id} was cut off, and its time is over: it is ended first")
            try:
                _end(wish, night)
            except HilError as error:  # it must not keep all later ones from running
                wish.say(f"night {night.id} can't be ended: {error}")
            night = None
        if night is None and wish.resume:
            return None
        if night is not None and now() > night.deadline:
            return _end(wish, night)
        if night is None:
            _fetch(wish)
            wait_s = 0.0
        else:
            wait_s = wish.scheduler_s  # a power cut may have ended it, too

        def waits(why: str) -> None:
            wish.say(f"night {night.id if night else ''} can't go on yet: {why}. Waiting up to {wait_s:.0f} s for it")

        try:
            with Cluster(wish.scheduler, wish.lab.farm.certificates, wait_s, waits) as cluster:
                devices = _devices(wish, cluster)
                goes_on = "" if night is None else " goes on"
                if night is None:
                    night = plan_night(state, devices, wish.nightly, wish.base, wish.results_dir)
                hour = f"{night.deadline.astimezone():%H:%M %Z}"
                wish.say(f"night {night.id}{goes_on}: {len(night.cases)} cases, until {hour}")
                done = (night.run / CASES_FILE).is_file()
                return _end(wish, night, () if done else _measured(wish, night, devices, cluster))
        except SchedulerGoneError:
            if night is None:
                raise
            return _cut_off(night, wish.scheduler or "this host")


def measure_suite(wish: Wish) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Measure one suite on the boards of a farm as a night does, without its checks, its report and its folder.

    Args:
        wish: with the suite, the boards, the scheduler, and where the run goes.

    Yields:
        The name of each variant with its row, or with why it has none.

    Raises:
        ConfigError, FarmError, StoreError: as `run_night`; also if the scheduler goes away for good.
    """
    with TemporaryDirectory() as state, Cluster(wish.scheduler, wish.lab.farm.certificates) as cluster:
        devices = _devices(wish, cluster)
        night = plan_night(Path(state), devices, wish.nightly, wish.base, wish.results_dir)
        _measured(wish, night, devices, cluster)
        _finish_run(night)
    for row in plain_rows(load_results(night.run).cases):
        yield str(row["variant"]), row if row["status"] == "complete" else str(row["reason"])


def _measured(wish: Wish, night: Night, devices: Sequence[Device], cluster: Cluster) -> list[str]:
    """Measure what the run lacks, and return what is to be said of boards."""
    with _own_workers(wish, night, devices, cluster):
        driver = Driver(wish, night, devices, cluster)
        driver.measure()
        return driver.notes()


def _end(wish: Wish, night: Night, notes: Sequence[str] = ()) -> Outcome:
    """Record what was not measured, write the tables, the report and the site."""
    _finish_run(night)
    plan = read_json(night.folder / PLAN) or {}
    outcome = finish_night(night.folder, plan, wish.nightly, night.run, night.run.parent, notes, wish.lab.farm.store)
    if wish.lab.farm.site is not None:
        try:
            wish.say(f"the site is in {Site(wish.lab, night.run.parent, wish.lab.farm.site).write()}")
        except HilError as error:  # the night is done, and its results are written
            wish.say(f"the site isn't written: {error}")
    return outcome


def _finish_run(night: Night) -> None:
    """Give a row to what was not measured, and write the tables."""
    if (night.run / CASES_FILE).is_file():
        return
    results = NightResults(night, {"harness_version": versions()["harness"]}, "end")
    with results.run:
        results.end_all((night.deadline - now()).total_seconds())
    finish_shared(night.run)


def _cut_off(night: Night, address: str) -> Outcome:
    done = len(committed(night.run))
    counts = defaultdict(int, complete=done, skipped=len(night.cases) - done)
    text = (
        f"INCOMPLETE: the scheduler at {address} is gone; {done} of {len(night.cases)} cases have their result, which "
        f"is kept. `hil nightly` goes on with night {night.id} (exit code {int(NightExit.LEFT)})\n"
    )
    return Outcome("cut off", NightExit.LEFT, counts, regressed=False, summary=text, report=None, at=stamp(now()))


def _devices(wish: Wish, cluster: Cluster) -> list[Device]:
    """Return the boards of the night: those that devices.yaml and nightly.yaml say, and those that workers offer.

    Raises:
        ConfigError: there are none.
    """
    wanted, lab = wish.nightly.devices, wish.lab
    found: dict[str, Device] = {}
    if not cluster.own:
        kinds = {kind.name: kind for kind in lab.kinds}
        for about in (cluster.workers() or {}).values():
            offer = about.get("hil") or {}
            words = {"all", offer.get("device"), offer.get("kind"), *offer.get("tags", ())}
            if words.isdisjoint(wanted) or offer["kind"] not in kinds:
                continue
            name, kind, backend = offer["device"], kinds[offer["kind"]], offer["backend"] if offer["shared"] else None
            found[name] = Device(name=name, kind=kind, backend=backend, host=offer["host"], tags=tuple(offer["tags"]))
    try:
        chosen = lab.select(wanted)
    except ConfigError:
        if not found:
            raise
        chosen = []
    own = [device for device in chosen if device.hardware or device.backend is not None or cluster.own]
    found |= {device.name: device for device in own}  # devices.yaml knows more of them
    if cluster.own:
        elsewhere = [device for device in found.values() if not is_here(device)]
        for device in elsewhere:
            wish.say(
                f"{device.name} is attached to {device.host}; to use it, start `hil worker` there and say "
                "`farm: {scheduler: ...}` here"
            )
            del found[device.name]
    if not found:
        raise ConfigError(
            f"there is no board for {', '.join(wanted)}: devices.yaml has none here, and no worker offers one"
        )
    return list(found.values())


@contextmanager
def _own_workers(wish: Wish, night: Night, devices: Sequence[Device], cluster: Cluster) -> Iterator[None]:
    """Offer this host's boards to the night's own scheduler, as `hil worker` would, and log what is said of them."""
    if not cluster.own:
        yield
        return
    log = night.folder / "logs" / f"{hostname()}.log"
    log.parent.mkdir(exist_ok=True)

    def say(text: str) -> None:
        with suppress(OSError), log.open("a", encoding="utf-8") as file:  # it is for people
            file.write(f"{text}\n")

    offered: list[tuple[str, Device]] = []
    for device in devices:
        twins = 1 if device.hardware or device.backend is not None else os.cpu_count() or 1
        offered += [(f"{device.name}{f'-{twin}' * bool(twin)}", device) for twin in range(twins)]
    host = Host(cluster.address, wish.lab, None, offered, say)

    def serve() -> None:
        while not host.stopped.wait(_AGAIN_S):
            try:
                host.run()
            except FarmError as error:  # devices.yaml may be right again later
                say(str(error))

    thread = threading.Thread(target=serve, name="hil-worker")
    thread.start()
    try:
        yield
    finally:
        host.stopped.set()
        thread.join()


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
