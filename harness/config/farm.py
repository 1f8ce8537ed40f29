"""How boards are shared: the `farm:` key in devices.yaml."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (pydantic needs it)
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from harness.config.document import Model
from harness.config.health import HealthRules

Text = Annotated[str, Field(min_length=1)]


class LabgridOptions(Model):
    """How labgrid is reached.

    `coordinator` is its address (default: $LG_COORDINATOR, else 127.0.0.1:20408), `client` the program that is run; it
    may live in a virtual environment of its own, because labgrid and pyserial don't go together in one.
    """

    coordinator: Annotated[str, Field(pattern=r"^\S+:[0-9]{1,5}$")] | None = None
    client: Text = "labgrid-client"


class ReservationLimits(Model):
    """What one person may reserve, so that all get their share.

    `max_hours` is the length of one reservation, `max_per_user` how many of them somebody may have that aren't over,
    `max_days_ahead` how far off one may begin. A board that its owner hasn't used `no_show_min` minutes after the
    beginning is free for others again; 0 keeps it for them.
    """

    max_hours: Annotated[float, Field(gt=0, le=8784)] = 8.0
    max_per_user: Annotated[int, Field(ge=1)] = 2
    max_days_ahead: Annotated[float, Field(gt=0, le=3660)] = 14.0
    no_show_min: Annotated[int, Field(ge=0, le=527040)] = 30


class Farm(Model):
    """How the boards of this lab are shared between people, processes and hosts.

    `engine` says what keeps two users from one board: `local` locks on this host, `labgrid` its places as well.
    `state` is a folder for health, reservations and nights, shared by the hosts of a farm; None for this user's own.
    `store` is where finished runs are copied to, a folder or an fsspec URL; None leaves them where they are.
    `reservations` says how long and how often boards are lent.
    `scheduler` is the lab's Dask scheduler, like tls://lab:8786; None starts one for each night, on this host alone.
    `certificates` is the folder of this host's certificates (`hil farm certs`), which tls:// needs.
    `site` is where each night writes the static site of the farm; None for nowhere.
    `health` says from when on a board is taken out of use.
    """

    engine: Literal["local", "labgrid"] = "local"
    state: Path | None = None
    store: Text | None = None
    labgrid: LabgridOptions = LabgridOptions()
    reservations: ReservationLimits = ReservationLimits()
    scheduler: Text | None = None
    certificates: Path | None = None
    site: Path | None = None
    health: HealthRules = HealthRules()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """`farm: labgrid` is short for `farm: {engine: labgrid}`."""
        return {"engine": data} if isinstance(data, str) else data
