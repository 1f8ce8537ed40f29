"""The lab: which boards there are, and which of them a command means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.config.access import Flasher, LinkKind, PowerCycle, SerialLines
from harness.config.board import BoardKind, Name, build_kind, shipped_kinds
from harness.config.document import Document, Model, read_document
from harness.config.farm import Farm
from harness.config.power import PowerSupply  # noqa: TC001 (pydantic needs it)
from harness.config.remote import port_address, probe_address, spelled
from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Text = Annotated[str, Field(min_length=1)]


class PortMatch(Model):
    """How to find a serial port again: by USB serial number, else by where it is plugged in, or on another computer."""

    serial: Text | None = None
    location: Text | None = None
    url: Text | None = None

    @model_validator(mode="after")
    def _needs_one(self) -> Self:
        if self.url is not None and (self.serial is not None or self.location is not None):
            raise ValueError('"url" is a port of another computer, and needs neither "serial" nor "location"')
        if self.url is not None:
            port_address(self.url)
        elif self.serial is None and self.location is None:
            raise ValueError(
                'give "serial" (USB serial number), "location" (USB path such as 1-1.2) or "url" (socket://HOST:PORT)'
            )
        return self

    def __str__(self) -> str:
        return self.url or " at ".join(part for part in (self.serial, self.location) if part)


class _DeviceKeys(Model):
    probe: Text | None = None
    port: PortMatch | None = None
    tags: tuple[Name, ...] = ()
    voltage_v: Annotated[float, Field(gt=0, le=24)] | None = None
    link: LinkKind = "uart"
    flasher: Flasher = "pyocd"
    serial: SerialLines = SerialLines()
    power_cycle: PowerCycle | None = None
    power: PowerSupply | None = None
    backend: Literal["virtual"] | None = None
    faults: tuple[Text, ...] = ()
    host: Text | None = None
    labgrid: Text | None = None


class _DeviceEntry(_DeviceKeys):
    kind: str

    @model_validator(mode="before")
    @classmethod
    def _current(cls, data: object) -> object:
        if isinstance(data, dict) and "place" in data:
            raise ValueError('"place" is gone: `labgrid: PLACE` names the place in labgrid, and says that it has one')
        if isinstance(data, dict) and data.get("flasher") == "bossac":
            raise ValueError('"flasher: bossac" is now "flasher: arduino", with "link: usb", and needs no program')
        return data

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if self.backend is not None and (self.probe is not None or self.port is not None):
            raise ValueError('a virtual board has neither "probe" nor "port"; leave out "backend: virtual"')
        if self.link == "usb" and self.probe is not None and self.port is None:
            raise ValueError(
                '"link: usb" needs "port: {serial: ...}", the USB serial number of the board, not of its probe'
            )
        if self.link == "probe" and self.probe is None and self.port is not None:
            raise ValueError('"link: probe" needs "probe", the unique id of the debug probe; it uses no "port"')
        if self.flasher == "arduino" and self.link != "usb":
            raise ValueError('"flasher: arduino" goes over the board\'s own USB: add "link: usb"')
        probe_address(self.probe)
        self._check_url()
        if self.faults and self.backend != "virtual":
            raise ValueError('"faults" are for boards with "backend: virtual"; a real one has its own')
        return self

    def _check_url(self) -> None:
        """Refuse what a port of another computer can't do."""
        if self.port is None or self.port.url is None:
            return
        if self.link == "usb":
            raise ValueError(
                '"link: usb" needs a port of this computer, which comes and goes with the firmware: run the harness '
                'where the board is plugged in, or connect its UART there and leave out "link"'
            )
        if self.port.url.startswith("socket:") and self.serial != SerialLines():
            raise ValueError('a socket:// port has no control lines for "serial" to set; rfc2217:// has')
        if self.power_cycle is not None and self.probe is None:
            raise ValueError(
                '"power_cycle" needs a "probe" where "port" is on another computer, to see the board vanish'
            )


class Device(_DeviceKeys):
    """One board of this lab.

    `probe` is the unique id that pyOCD gives to its debug probe, or `usb:` and where that is plugged in if it has no
    serial number (`usb:1-1.2`); `voltage_v` its supply, if known.
    Both may be on another computer: `probe` as `remote:HOST:PORT`, which `pyocd server` offers, `port` as a `url`.
    `link` is what carries inputs and outputs: `port` is the UART's adapter, or the board's own USB; or it is the probe,
    and there need be no port.
    `flasher` writes its flash; without a probe that is `arduino` or `avrdude`, through the board's port and bootloader,
    or a command.
    `serial` sets the port's control lines; `power_cycle` says how its power is switched, None if it can't be.
    `power` is its power monitor; None if its energy isn't measured.
    `backend` is `virtual` for an emulated board that runs share like a real one, one at a time; `faults` are what goes
    wrong with it on purpose (docs/faults.md), to see what a farm makes of it.
    `host` is the name of the computer that it is attached to, None for every one that reads this file; `labgrid`
    the place in labgrid that is acquired before it is used.
    `lab` is the devices.yaml that it stands in; it is left out of what is stored, as it differs between computers.
    """

    name: Name
    kind: BoardKind
    lab: Path | None = Field(default=None, exclude=True, repr=False)

    @property
    def hardware(self) -> bool:
        """Whether the configuration says how to reach a real board."""
        return self.probe is not None or self.port is not None


class _LabFile(Model):
    boards: dict[str, object] | None = None
    devices: dict[str, object] | None = None
    farm: Farm = Farm()


class Lab(Model):
    """Everything that devices.yaml says, and the kinds that come with the package."""

    path: Path | None
    sha256: str | None
    kinds: tuple[BoardKind, ...]
    devices: tuple[Device, ...]
    farm: Farm = Farm()

    @classmethod
    def load(cls, path: Path | str | None = None) -> Lab:
        """Read devices.yaml; without a file the lab has the shipped kinds and no devices.

        Raises:
            ConfigError: the file is missing or wrong; names file, line and key.
        """
        if path is None:
            return cls(path=None, sha256=None, kinds=tuple(shipped_kinds().values()), devices=())
        document = read_document(Path(path))
        top = document.build(_LabFile, document.data)
        kinds = dict(shipped_kinds())
        for name in top.boards or {}:
            kinds[name] = build_kind(document, name, ("boards", name), shipped_kinds().get(name))
        devices = tuple(_build_device(document, name, kinds) for name in top.devices or {})
        _reject_shared(document, devices)
        return cls(
            path=document.path,
            sha256=document.sha256,
            kinds=tuple(kinds.values()),
            devices=devices,
            farm=_rooted(top.farm, document.path.parent),
        )

    def select(self, selectors: Sequence[str], emulated: Sequence[str] = ()) -> list[Device]:
        """Return the devices that are meant, each once, in the order of the selectors.

        Args:
            selectors: each the name of a device, a kind, a tag, or "all". A kind that no device is
                configured for gives one device of that name.
            emulated: the kinds that "all" means where no device is configured, as emulators of them are asked for.

        Raises:
            ConfigError: nothing is known by that name; the message lists what is.
        """
        chosen: dict[str, Device] = {}
        for selector in selectors:
            for device in self._match(selector, emulated):
                chosen.setdefault(device.name, device)
        return list(chosen.values())

    def kind(self, name: str) -> BoardKind:
        """Return the kind of that name.

        Raises:
            ConfigError: there is none; the message lists them.
        """
        kinds = {kind.name: kind for kind in self.kinds}
        if name not in kinds:
            near = did_you_mean(name, kinds)
            hint = near if near.endswith("?") else "."
            raise ConfigError(f'no kind of board is called "{name}"{hint} Known: {", ".join(kinds)}.')
        return kinds[name]

    def _match(self, selector: str, emulated: Sequence[str]) -> Iterable[Device]:
        by_name = {device.name: device for device in self.devices}
        if selector == "all":
            if not self.devices and not emulated:
                raise ConfigError(
                    f'"all" means every device of devices.yaml, and there are none. {self.known()} '
                    "`hil devices --add` writes a board down; `pytest --device all --backend virtual` takes every "
                    "kind that has an emulator"
                )
            return self.devices or [Device(name=kind.name, kind=kind) for kind in self.kinds if kind.name in emulated]
        if selector in by_name:
            return [by_name[selector]]
        matching = [device for device in self.devices if selector == device.kind.name or selector in device.tags]
        if matching:
            return matching
        kind = next((kind for kind in self.kinds if kind.name == selector), None)
        if kind is not None:
            return [Device(name=kind.name, kind=kind)]
        names = [*by_name, *self._tags(), *(kind.name for kind in self.kinds)]
        near = did_you_mean(selector, names)
        hint = near if near.endswith("?") else "."
        raise ConfigError(f'no device, kind or tag is called "{selector}"{hint}\n{self.known()}')

    def _tags(self) -> list[str]:
        return sorted({tag for device in self.devices for tag in device.tags})

    def known(self) -> str:
        """List what can be selected, for messages."""
        where = self.path or "no devices.yaml"
        devices = ", ".join(device.name for device in self.devices) or "none"
        text = f"Devices ({where}): {devices}. Kinds: {', '.join(kind.name for kind in self.kinds)}."
        return f"{text} Tags: {', '.join(self._tags())}." if self._tags() else text


def find_lab(given: str | None, folders: Sequence[Path]) -> Path | None:
    """Return the lab file to use: the one that was given, else the first devices.yaml in `folders`, else None."""
    if given is not None:
        return folders[0] / given
    return next((folder / "devices.yaml" for folder in folders if (folder / "devices.yaml").is_file()), None)


def _rooted(farm: Farm, folder: Path) -> Farm:
    """Take the paths of `farm:` from where devices.yaml lies, whatever folder a command is run in."""
    folder = folder.resolve()
    given = {key: getattr(farm, key) for key in ("state", "certificates", "site", "store", "calendar")}
    changes: dict[str, object] = {
        key: type(value)(folder / Path(value).expanduser())
        for key, value in given.items()
        if value is not None and "://" not in str(value)
    }
    client = farm.labgrid.client
    if client is not None and Path(client).name != client:  # a path; a bare name is looked up in PATH
        rooted = str(folder / Path(client).expanduser())
        changes["labgrid"] = farm.labgrid.model_copy(update={"client": rooted})
    return farm.model_copy(update=changes)


def _build_device(document: Document, name: str, kinds: dict[str, BoardKind]) -> Device:
    where = ("devices", name)
    entry = document.build(_DeviceEntry, document.data["devices"][name], where)
    if entry.kind not in kinds:
        raise document.error((*where, "kind"), f'no kind is called "{entry.kind}"{did_you_mean(entry.kind, kinds)}')
    if name == "all":
        raise document.error(where, '"all" means every device; give it another name')
    if name in kinds and name != entry.kind:
        raise document.error(where, f"is the name of a kind, but this is a {entry.kind}; give it another name")
    kind = kinds[entry.kind]
    if entry.flasher in ("arduino", "avrdude") and kind.port_flasher != entry.flasher:
        raise document.error(
            (*where, "flasher"), f"a {entry.kind} has no bootloader that {entry.flasher} knows (`port_flasher`)"
        )
    named = {"name": name, "kind": kind, "lab": document.path.resolve()}
    if not kind.pyocd_target:
        if entry.probe is not None:
            raise document.error((*where, "probe"), f"pyOCD knows no {kind.mcu}; give its `port` instead")
        if entry.flasher == "pyocd" and kind.port_flasher is not None:
            named["flasher"] = kind.port_flasher
    return document.build(Device, {**dict(entry), **named}, where)


def _reject_shared(document: Document, devices: Sequence[Device]) -> None:
    """Two devices on one probe, port or power monitor would be one board measured as two."""
    owner: dict[object, str] = {}
    for device in devices:
        used: list[tuple[tuple[str, ...], object]] = []
        if device.port is not None:
            url = device.port.url
            used.append((("port",), device.port if url is None else spelled(port_address(url))))
        if device.probe is not None:  # systems spell a probe's id in either case
            address = probe_address(device.probe)
            used.append((("probe",), device.probe.casefold() if address is None else spelled(address)))
        power = device.power
        if power is not None and not power.simulated:
            used.append((("power", "serial")[: 1 if power.serial is None else 2], (power.monitor, power.serial)))
        for key, value in used:
            other = owner.setdefault((key, value), device.name)
            if other == device.name:
                continue
            where = ("devices", device.name, *key)
            if power is not None and key == ("power",):
                raise document.error(where, f"needs its serial number, as {other} has a {power.monitor} without, too")
            raise document.error(where, f"is the same as that of {other}")
