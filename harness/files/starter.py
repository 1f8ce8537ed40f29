"""The files beside the package: what a lab starts with (suites, data, images), and the sources of the firmware."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigError

#: What a new lab gets, relative to the project's folder. setup.py puts it into a wheel, under harness/starter_files.
FOLDERS = ("suites", "firmware/prebuilt")

#: What `hil build` compiles, likewise in a wheel, but not copied into a lab.
SOURCE_FOLDERS = ("firmware/agent", "firmware/boards", "firmware/engine", "firmware/program", "firmware/support")


def starter_root() -> Path:
    """Return the folder that holds all of these: inside the installed package, or the clone that it runs from.

    Raises:
        ConfigError: neither holds them.
    """
    package = Path(__file__).parents[1]
    for root in (package / "starter_files", package.parent):
        if all((root / folder).is_dir() for folder in (*FOLDERS, *SOURCE_FOLDERS)):
            return root
    raise ConfigError(f"{package} has no starter files: the package is damaged; install tinyml-hil again")


def firmware_root() -> Path:
    """Return the folder of the firmware's sources.

    Raises:
        ConfigError: the package lacks them.
    """
    return starter_root() / "firmware"


def starter_files() -> list[Path]:
    """List the files that a new lab gets, relative to `starter_root`."""
    root = starter_root()
    return sorted(
        path.relative_to(root)
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
    )
