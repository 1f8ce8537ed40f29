"""The registry of what `inputs:` and `labels:` of a suite can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harness.data.arrays import Arrays
from harness.data.function import call_function
from harness.data.images import read_images
from harness.data.numpy_file import load_array
from harness.data.table import read_csv, read_parquet
from harness.data.wav import read_wav
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: A reader for each form, by the key that names it: it gets the suite's folder, its classes (None: names of classes
#: make no sense here) and the form's keys.
READERS: Final[Mapping[str, Callable[[Path, tuple[str, ...] | None, dict[str, Any]], Arrays]]] = {
    "file": lambda folder, _, keys: Arrays(load_array(folder / keys["file"], keys["array"])),
    "csv": lambda folder, classes, keys: read_csv(folder / keys.pop("csv"), classes, **keys),
    "parquet": lambda folder, classes, keys: read_parquet(folder / keys.pop("parquet"), classes, **keys),
    "images": lambda folder, classes, keys: read_images(*_files(folder, classes, "images", keys), **keys),
    "wav": lambda folder, classes, keys: read_wav(*_files(folder, classes, "wav", keys), **keys),
    "python": lambda folder, _, keys: call_function(keys["python"], folder),
}


def read(form: str, folder: Path, classes: tuple[str, ...] | None, keys: dict[str, Any]) -> Arrays:
    """Read inputs or labels in one of the forms.

    Args:
        form: key of `READERS`.
        folder: that paths are relative to.
        classes: of the suite, in their order; (): the names that are found, sorted; None: for inputs of a table.
        keys: what else the suite says, by the reader's arguments.

    Raises:
        ConfigError: something is missing, damaged or of another kind; names the file.
    """
    arrays = READERS[form](folder, classes, dict(keys))
    if arrays.values.dtype.kind not in "iuf":
        what = f"{form} {keys[form]}"
        raise ConfigError(f"{what}: must be made of numbers, not {arrays.values.dtype}")
    return arrays


def _files(
    folder: Path, classes: tuple[str, ...] | None, form: str, keys: dict[str, Any]
) -> tuple[Path, Path | None, tuple[str, ...]]:
    listed = keys.pop("list")
    return folder / keys.pop(form), None if listed is None else folder / listed, classes or ()
