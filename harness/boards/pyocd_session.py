"""Opening a debug session with pyOCD: the right probe, the right target, and never an erase that nobody asked for."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from pyocd.core import exceptions
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session

from harness.boards.probe_server import RemoteProbe
from harness.boards.targets import knows
from harness.config.remote import probe_address
from harness.errors import BoardError, ConfigError, HilError, LockedError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.config import BoardKind

#: What pyOCD raises when probe or board fail: its own errors, those of USB where it lets them through, and the end of
#: the stack, since it answers each failed transfer with another one that aborts it.
PYOCD_ERRORS = (exceptions.Error, OSError, RecursionError)

#: What systems say of a device that another program has.
_BUSY = re.compile(r"busy|claim interface|in use|exclusive access", re.IGNORECASE)

_OPTIONS: dict[str, Any] = {
    "chip_erase": "sector",
    # The firmware runs on, so that it can be asked what it is before anything is flashed.
    "connect_mode": "attach",
    "hide_programming_progress": True,
    "reset.post_delay": 0.0,
    # The user's pyocd.yaml must not change what a benchmark does.
    "no_config": True,
}


def attach(
    name: str, kind: BoardKind, uid: str, *, frequency: int | None = None, unlock: bool = False
) -> tuple[Any, bool]:
    """Open a pyOCD session with the board behind a probe.

    Args:
        name: the device, as devices.yaml calls it.
        kind: its kind of board, which says chip, clock and links.
        uid: unique id of the probe.
        frequency: of SWD in Hz, None for pyOCD's default.
        unlock: whether a locked part may be erased whole.

    Returns:
        The session, and whether the part was locked, so that it has been erased.

    Raises:
        ProbeError: no such probe, or no core answers behind it.
        LockedError: the part is locked and must not be erased.
        ConfigError: pyOCD doesn't know the kind's target.
    """
    # Unlocking a protected part erases it whole, bootloader included, so that is never done by itself.
    session, locked = _connect(name, kind, uid, frequency, unlock=False)
    if session is None and locked and unlock:
        session, _ = _connect(name, kind, uid, frequency, unlock=True)
    if session is not None:
        return session, locked
    if locked and not unlock:
        raise LockedError(
            f"{name}: the {kind.mcu} behind probe {uid} is locked (read-out protection is on), so it can't be read, "
            "flashed or debugged. Unlocking erases all of its flash: whatever is stored there is lost, the bootloader "
            "included. If you want that, say --allow-mass-erase"
        )
    if locked:
        raise LockedError(
            f"{name}: the {kind.mcu} behind probe {uid} is still locked after a mass erase; power it anew"
        )
    raise ProbeError(f"{name}: no CPU answers behind probe {uid}. Is the board powered and SWD wired?")


def _connect(name: str, kind: BoardKind, uid: str, frequency: int | None, *, unlock: bool) -> tuple[Any, bool]:
    """Return the open session, or None and whether a locked part is the reason."""
    probe = _probe(name, uid)
    knows(kind.pyocd_target)
    options = {**_OPTIONS, "auto_unlock": unlock, "target_override": kind.pyocd_target}
    if frequency is not None:
        options["frequency"] = frequency
    try:
        session = Session(probe, options=options)
    except exceptions.TargetSupportError as error:
        raise _unknown_target(name, kind) from error
    try:
        _close_description(session)
        session.open()
        if session.target.selected_core is not None:
            return session, False
        locked = _is_locked(session)
    except exceptions.TargetSupportError as error:
        raise _unknown_target(name, kind) from error
    except (*PYOCD_ERRORS, KeyError):  # KeyError is how pyOCD says that it found no core
        locked = _is_locked(session)
        if not locked:
            _close(session)
            raise
    except BaseException:
        _close(session)
        raise
    _close(session)
    return None, locked


def _probe(name: str, uid: str) -> Any:
    address = probe_address(uid)
    if address is not None:
        return RemoteProbe(address)
    probes = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=uid)
    # pyOCD finds by part of an id, and a prefix like `virtual:` names the type of the probe.
    exact = {uid, uid.partition(":")[2]}
    probe = next((probe for probe in probes if probe.unique_id in exact), None)
    if probe is None:
        raise ProbeError(f"{name}: debug probe {uid} is not attached; `hil devices` lists what is")
    return probe


def _is_locked(session: Any) -> bool:
    """Ask the part whether its read-out protection is on; False where pyOCD has no such question, or no answer."""
    ask = getattr(session.target, "is_locked", None)
    if ask is None:
        return False
    try:
        return bool(ask())
    except (*PYOCD_ERRORS, AttributeError, KeyError):  # the part was lost before pyOCD had found its access port
        return False


def _close_description(session: Any) -> None:
    """Close the description of the chip's registers, which pyOCD opens for debuggers and leaves open.

    Its file lies in an archive that was opened for it; Python warns of such a file when it is collected.
    """
    target = session.target
    packed = getattr(getattr(target, "_svd_location", None), "filename", None)
    archive = getattr(getattr(packed, "_fileobj", None), "_file", None)
    if packed is not None and archive is not None:
        target._svd_location = None  # noqa: SLF001 (pyOCD has no other way to leave it out)
        packed.close()
        archive.close()


def _close(session: Any) -> None:
    with contextlib.suppress(*PYOCD_ERRORS, KeyError):
        session.close()


@contextlib.contextmanager
def translated(name: str, uid: str, doing: str, kind: type[BoardError] = ProbeError) -> Iterator[None]:
    """Turn pyOCD's errors into ours, with the board's name and what was being done.

    Args:
        name: the device, as devices.yaml calls it.
        uid: unique id of the probe.
        doing: what fails, in words.
        kind: of our errors, the one to raise.
    """
    try:
        yield
    except HilError:
        raise
    except PYOCD_ERRORS as error:
        remedy = "Check the probe's cable, the SWD wires and the board's power"
        if _BUSY.search(reason(error)):
            remedy = "Another program has the probe: end it (a debugger, an IDE, another pyOCD)"
        raise kind(f"{name}: {doing} failed: {reason(error)}. {remedy}") from error
    except KeyError as error:  # how pyOCD says that it found no core
        raise ProbeError(f"{name}: no CPU answers behind probe {uid}. Is the board powered and SWD wired?") from error


def forward_only(progress: Callable[[float], None] | None) -> Callable[[float], None]:
    """Pass on only what is further than before: pyOCD begins anew for each of its phases."""
    furthest = -1.0

    def report(share: float) -> None:
        nonlocal furthest
        if share > furthest and progress is not None:
            furthest = share
            progress(share)

    return report


def reason(error: BaseException) -> str:
    """Return what pyOCD's error says, and the first failure behind it, which tells more than what pyOCD made of it."""
    first = error
    # What isn't pyOCD's was being handled when pyOCD was asked, and says nothing of what it met.
    while isinstance(earlier := first.__cause__ or first.__context__, PYOCD_ERRORS):
        first = earlier
    text, root = str(error).rstrip("."), str(first).rstrip(".")
    if isinstance(error, RecursionError):
        return f"{root} (and again at each try to abort it)"
    return text if not isinstance(first, PYOCD_ERRORS) or root in text else f"{text} ({root})"


def _unknown_target(name: str, kind: BoardKind) -> ConfigError:
    return ConfigError(
        f"{name}: pyOCD doesn't know the target {kind.pyocd_target!r} of {kind.title}. If it comes with a CMSIS pack, "
        f"`pyocd pack find {kind.pyocd_target}` shows it and `pyocd pack install {kind.pyocd_target}` installs it; "
        "else correct `pyocd_target` of the kind (`pyocd list --targets`)"
    )
