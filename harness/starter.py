"""The files that a lab starts with: the shipped suites, their data and the images they run."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigError

#: What is copied, relative to the project's folder. setup.py puts the same into a wheel, under harness/starter_files.
FOLDERS = ("suites", "firmware/prebuilt")


def starter_root() -> Path:
    """Return the folder that holds `FOLDERS`: inside the installed package, or the clone that it runs from.

    Raises:
        ConfigError: neither holds them.
    """
    package = Path(__file__).parent
    for root in (package / "starter_files", package.parent):
        if all((root / folder).is_dir() for folder in FOLDERS):
            return root
    raise ConfigError(f"{package} has no starter files: the package is damaged; install tinyml-hil again")


def starter_files() -> list[Path]:
    """List the files, relative to `starter_root`."""
    root = starter_root()
    return sorted(
        path.relative_to(root)
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
    )
