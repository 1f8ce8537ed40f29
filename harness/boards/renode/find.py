"""Where Renode is: named by HIL_RENODE, on PATH, or the copy that `hil renode install` made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import ConfigError
from harness.files.cache import user_cache

#: What the observations behind this backend were made with; others of the same series should behave alike.
TESTED = (1, 16)
PINNED = "1.16.1"
VARIABLE = "HIL_RENODE"
#: Its value that hides an installed Renode.
OFF = "off"
_VERSION_S = 30.0

HOW_TO_GET_IT = (
    f"`hil renode install` puts Renode {PINNED} into your cache; or get it from https://renode.io, so that `renode` "
    f"is on PATH or {VARIABLE} names it. `--backend virtual` needs nothing installed"
)


@dataclass(frozen=True)
class Renode:
    """An installed Renode.

    Attributes:
        program: the path of the program.
        origin: how it was found, in words.
    """

    program: Path
    origin: str

    @property
    def version(self) -> str | None:
        """What it says of itself, like "1.16.1.17033"; None if it doesn't say."""
        return _version(self.program)

    @property
    def warning(self) -> str | None:
        """What is to be said of its version, or None if it is one that this backend was written for."""
        version = self.version
        if version is None:
            return f"{self.program} doesn't tell its version; this backend was written for Renode {PINNED}"
        if tuple(int(part) for part in version.split(".")[:2]) != TESTED:
            return f"Renode {version} is outside of the range that this backend was written for ({_series()})"
        return None


def cache_folder() -> Path:
    """Return the folder of managed copies, one folder per version."""
    return user_cache("renode")


def find_renode() -> Renode | None:
    """Find Renode; None if there is none, or if HIL_RENODE is "off".

    Raises:
        ConfigError: HIL_RENODE names something that isn't there.
    """
    named = os.environ.get(VARIABLE)
    if named == OFF:
        return None
    if named:
        path = Path(named).expanduser()
        program = path / "renode" if path.is_dir() else path
        if not _runs(program):
            raise ConfigError(f"{VARIABLE} is {named}, but there is no program at {program}. {HOW_TO_GET_IT}")
        return Renode(program.absolute(), VARIABLE)
    on_path = shutil.which("renode")
    if on_path:
        return Renode(Path(on_path).absolute(), "on PATH")
    managed = cache_folder() / PINNED / "renode"
    return Renode(managed, "managed copy") if _runs(managed) else None


def require_renode() -> Renode:
    """Find Renode.

    Raises:
        ConfigError: there is none; says how to get it.
    """
    if sys.platform == "win32":
        raise ConfigError("the Renode backend needs Linux or macOS; on Windows use WSL, or `--backend virtual`")
    if os.environ.get(VARIABLE) == OFF:
        raise ConfigError(f"{VARIABLE} is {OFF}, so no Renode is used; unset it, or use `--backend virtual`")
    found = find_renode()
    if found is None:
        raise ConfigError(f"Renode is not installed. {HOW_TO_GET_IT}")
    return found


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _series() -> str:
    return f"{TESTED[0]}.{TESTED[1]}.x"


@cache
def _version(program: Path) -> str | None:
    # Renode clears every renode-* in the folder for temporary files when it starts, so it gets one of its own.
    with tempfile.TemporaryDirectory(prefix="hil-") as folder:
        config = Path(folder) / "config"
        try:
            done = subprocess.run(  # noqa: S603 (the program that the user installed)
                [program, "--version", "--config", config],
                env={**os.environ, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_VERSION_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    found = re.search(r"\bv?(\d+\.\d+\.\d+(?:\.\d+)?)", done.stdout + done.stderr)
    return found.group(1) if found else None
