"""Which boards share the cases of a run, and which can't be used here and now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.boards.backends import choose_backend
from harness.config.state import hostname, is_here
from harness.errors import ConfigError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.boards.backends import Wanted
    from harness.boards.base import Backend
    from harness.config import Device


@dataclass(frozen=True)
class Target:
    """What a case is asked of: one board, or any board of a pool.

    Attributes:
        name: of the device, or of the pool.
        backend: what its boards run on.
        devices: the boards that can take the case; all of one kind.
        whys: why each of them runs on the backend, in words.
        pool: what the results call the pool; None if the case was asked of this very device.
    """

    name: str
    backend: Backend
    devices: tuple[Device, ...]
    whys: tuple[str, ...]
    pool: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A board that was selected and can't be used."""

    device: str
    why: str


def make_targets(
    devices: Sequence[Device], wanted: Wanted, *, each: bool
) -> tuple[tuple[Target, ...], tuple[LeftOut, ...]]:
    """Decide on the backend of each device, and put those together that share the work.

    Boards of one kind on one backend are a pool, unless `each` asks for every case on every board. A configured board
    that isn't attached is left out of a pool that has others; alone it falls back to an emulator, as `choose_backend`
    says.

    Args:
        devices: as selected.
        wanted: which backend.
        each: whether every case runs on every board.

    Returns:
        The targets in the order of the devices, and what was left out.

    Raises:
        ConfigError, ProbeError: no device is left; the message says why.
    """
    left_out = [
        LeftOut(device.name, f"it is attached to {device.host}, and this is {hostname()}")
        for device in devices
        if not is_here(device)
    ]
    usable: list[tuple[Device, Backend, str]] = []
    errors: list[ConfigError | ProbeError] = []
    for device in filter(is_here, devices):
        try:
            usable.append((device, *choose_backend(device, wanted)))
        except (ConfigError, ProbeError) as error:
            errors.append(error)
            left_out.append(LeftOut(device.name, str(error)))
    if errors and (each or not usable):
        raise errors[0]
    if not usable:
        raise ConfigError("\n".join(f"{item.device} can't be used here: {item.why}" for item in left_out))
    alone = each or len(devices) == 1
    if not alone:  # an emulator doesn't stand in for one board of a pool
        there = {device.kind.name for device, backend, _ in usable if not _fell_back(device, backend)}
        absent = [one for one in usable if one[0].kind.name in there and _fell_back(one[0], one[1])]
        left_out += [LeftOut(device.name, why) for device, _, why in absent]
        usable = [one for one in usable if one not in absent]
    return group(usable, alone=alone), tuple(left_out)


def group(members: Sequence[tuple[Device, Backend, str]], *, alone: bool) -> tuple[Target, ...]:
    """Put boards of one kind on one backend together, in the order of the boards.

    Args:
        members: each with what it runs on, and why.
        alone: whether every board stays a target of its own.
    """
    if alone:
        return tuple(Target(device.name, backend, (device,), (why,)) for device, backend, why in members)
    pools: dict[tuple[str, Backend], list[tuple[Device, str]]] = {}
    for device, backend, why in members:
        pools.setdefault((device.kind.name, backend), []).append((device, why))
    kinds = [kind for kind, _ in pools]
    targets = []
    for (kind, backend), pool in pools.items():
        devices, whys = zip(*pool, strict=True)
        name = kind if kinds.count(kind) == 1 else f"{kind}-{backend}"
        targets.append(Target(name, backend, devices, whys, pool=kind))
    return tuple(targets)


def _fell_back(device: Device, backend: Backend) -> bool:
    """Whether a configured board isn't attached, so that an emulator would stand in for it."""
    return device.hardware and backend != "hardware"
