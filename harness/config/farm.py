"""How boards are shared: the `farm:` key in devices.yaml."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (pydantic needs it)
from typing import Annotated, Any

from pydantic import Field, model_validator

from harness.config.document import Model
from harness.config.health import HealthRules

Text = Annotated[str, Field(min_length=1)]


class LabgridOptions(Model):
    """How labgrid is reached.

    Attributes:
        coordinator: its address; None for $LG_COORDINATOR, else 127.0.0.1:20408.
        client: the program that is run, which lives in an environment of its own, because labgrid and pyserial don't go
            together in one; None for the one in $HIL_LABGRID_VENV, else `labgrid-client` from PATH.
    """

    coordinator: Annotated[str, Field(pattern=r"^\S+:[0-9]{1,5}$")] | None = None
    client: Text | None = None


class Farm(Model):
    """How the boards of this lab are shared between people, processes and hosts.

    Attributes:
        scheduler: address of the Dask scheduler that the workers of several hosts connect to (`tls://lab:8786`); None
            for one of this host alone.
        certificates: a folder with `ca.pem`, `cert.pem` and `key.pem`, for connections to other hosts.
        calendar: an iCalendar file, or the URL of one, whose events reserve boards; None for the state folder's own.
        state: a folder for health, reservations and nights, shared by the hosts of a farm; None for this user's own.
        store: where finished runs are copied to, a folder or an fsspec URL; None leaves them where they are.
        site: a folder for the pages that show boards and nights, renewed by each night; None writes none.
        labgrid: how labgrid is reached, for the devices that have a place in it.
        health: from when on a board is taken out of use.
    """

    scheduler: Text | None = None
    certificates: Path | None = None
    calendar: Text | None = None
    state: Path | None = None
    store: Text | None = None
    site: Path | None = None
    labgrid: LabgridOptions = LabgridOptions()
    health: HealthRules = HealthRules()

    @model_validator(mode="before")
    @classmethod
    def _current(cls, data: Any) -> Any:
        """Say what came in place of keys that were here once."""
        if data == "labgrid" or (isinstance(data, dict) and "engine" in data):
            raise ValueError('"engine" is gone: give each board that labgrid shares its place, `labgrid: PLACE`')
        if isinstance(data, dict) and "reservations" in data:
            raise ValueError(
                '"reservations" is gone: boards are reserved by events of a calendar (`calendar: FILE or URL`), and '
                "who may enter those is up to it"
            )
        return data
