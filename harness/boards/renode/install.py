"""A managed copy of Renode in the user's cache: the official portable release, unpacked only if its checksum fits."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.renode.find import PINNED, Renode, cache_folder
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The portable releases, by system and machine as Python names them, with the SHA-256 that each must have: the ones
#: that several public projects, which download the same files, hold them against. That for macOS is a disk image.
ASSETS = {
    ("linux", "x86_64"): (
        f"renode-{PINNED}.linux-portable-dotnet.tar.gz",
        "00e113cdbd0f5354cf2f64bbe3f5a070d8958409542fca66e45ac97d982938c0",
    ),
    ("linux", "aarch64"): (
        f"renode-{PINNED}.linux-arm64-portable-dotnet.tar.gz",
        "fff3a098c96ed0a4ffbdff3f028c9c5fde432db09587c7bd7c99406180f90007",
    ),
}
RELEASE = f"https://github.com/renode/renode/releases/download/v{PINNED}"
_TIMEOUT_S = 30.0
_BLOCK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def asset(base: str = RELEASE) -> tuple[str, str]:
    """Return where the release for this computer is, and the SHA-256 that it must have.

    Raises:
        ConfigError: there is none that can be unpacked.
    """
    key = (sys.platform, platform.machine())
    if key not in ASSETS:
        raise ConfigError(
            f"there is no portable Renode {PINNED} for {key[0]} on {key[1]} that can be installed from here; get it "
            "from https://renode.io, so that `renode` is on PATH or HIL_RENODE names it"
        )
    name, sha256 = ASSETS[key]
    return f"{base}/{name}", sha256


def checksum_in(file: Path, name: str) -> str:
    """Return the SHA-256 of `name` from a file as `sha256sum` writes it, or from one that holds nothing else.

    Raises:
        ConfigError: it isn't there.
    """
    try:
        lines = [line.split() for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: can't be read: {error}") from error
    found = [line[0] for line in lines if len(line) == 2 and line[1].lstrip("*").rpartition("/")[2] == name]
    if not found and len(lines) == 1 and len(lines[0]) == 1:
        found = lines[0]
    if not found:
        raise ConfigError(f"{file}: has no checksum of {name}")
    return checked_sha256(found[0])


def checked_sha256(text: str) -> str:
    """Return a SHA-256 in the form that it is compared in.

    Raises:
        ConfigError: it isn't one.
    """
    value = text.strip().lower()
    if not _SHA256.fullmatch(value):
        raise ConfigError(f"{text!r} is not a SHA-256: 64 hexadecimal digits are expected")
    return value


def install(sha256: str, archive: Path | None, say: Callable[[str], None], base: str = RELEASE) -> Renode:
    """Install the portable release, after comparing its checksum.

    Args:
        sha256: what the archive must have.
        archive: one that was downloaded before; None downloads it.
        say: takes a line about what is being done.
        base: where the release's files are.

    Raises:
        ConfigError: it can't be downloaded, is another file, or isn't a Renode that runs here.
    """
    url, _ = asset(base)
    wanted = checked_sha256(sha256)
    target = cache_folder() / PINNED
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="install-", dir=target.parent) as name:
        folder = Path(name)
        if archive is None:
            archive = folder / url.rpartition("/")[2]
            say(f"downloading {url}")
            _download(url, archive)
        found = _digest(archive)
        if found != wanted:
            raise ConfigError(
                f"{archive.name} has SHA-256 {found}, but {wanted} is expected. Nothing was installed; is it the "
                f"release {PINNED} for this computer, downloaded whole?"
            )
        say(f"unpacking {archive.name}")
        root = _unpack(archive, folder / "content")
        fresh = Renode(root / "renode", "just unpacked")
        if fresh.version is None or not fresh.version.startswith(PINNED):
            raise ConfigError(
                f"{archive.name} holds a Renode that says it is {fresh.version or 'nothing'}, not {PINNED}; "
                "nothing was installed"
            )
        old = folder / "old"
        if target.exists():
            target.rename(old)
        root.rename(target)
    return replace(fresh, program=target / "renode", origin="managed copy")


def _download(url: str, to: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as source, to.open("wb") as file:  # noqa: S310 (ours)
            shutil.copyfileobj(source, file, _BLOCK)
    except (urllib.error.URLError, OSError) as error:
        raise ConfigError(
            f"{url} can't be downloaded: {error}. Download that file on a computer that can, copy it here, and run "
            f"`hil renode install --archive {to.name}`; it goes to {cache_folder() / PINNED}"
        ) from error


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack into an empty folder and return the one that holds `renode`."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError, TypeError) as error:
        raise ConfigError(f"{archive}: can't be unpacked: {error}") from error
    programs = [path for path in (folder / "renode", *folder.glob("*/renode")) if path.is_file()]
    if len(programs) != 1 or not os.access(programs[0], os.X_OK):
        raise ConfigError(f"{archive}: holds no program `renode` at its top, so it isn't a portable release")
    return programs[0].parent
