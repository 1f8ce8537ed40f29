"""Which files are a suite's inputs, and of which class each is: by their folders, or by a list."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from harness.data.arrays import class_indices
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

#: What computers put into folders by themselves; names with a dot in front are not looked at either.
_NOT_DATA: Final = ("thumbs.db", "desktop.ini")


def files_by_class(
    folder: Path, listed: Path | None, endings: tuple[str, ...] | None, classes: tuple[str, ...]
) -> tuple[list[Path], NDArray[np.int64], tuple[str, ...]]:
    """Find the files of a folder that has one folder for each class, or those that a list names.

    Args:
        folder: its folders are the classes; paths of a list are relative to it.
        listed: lines of `file,class`; None: every file in the class folders is an input.
        endings: of the names of such files, in lower case; None: the files are not looked at.
        classes: of the suite, in their order; (): the sorted names.

    Returns:
        The files, by class folder and name in the order of their characters, or in that of the list; the class of each,
        int64 [N]; the names of the classes.

    Raises:
        ConfigError: a folder, class or file is missing, empty, twice there or of another kind; names it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    pairs = _in_folders(folder, classes) if listed is None else _in_list(folder, listed)
    for path, _, place in pairs if endings else ():
        if endings and path.suffix.lower() not in endings:
            raise ConfigError(f"{place}: not one of {', '.join(endings)}; only such files are read here")
        if not path.is_file():
            raise ConfigError(f"{place}: {'is no file' if path.exists() else f'there is no file {path}'}")
    labels, known = class_indices([name for _, name, _ in pairs], classes, [place for *_, place in pairs])
    return [path for path, *_ in pairs], labels, known


def _shown(folder: Path) -> list[Path]:
    names = sorted(path.name for path in folder.iterdir())
    return [folder / name for name in names if not name.startswith(".") and name.lower() not in _NOT_DATA]


def _in_folders(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, str, str]]:
    pairs = []
    for of_class in (path for path in _shown(folder) if path.is_dir()):
        class_indices([of_class.name], classes, [of_class])
        files = _shown(of_class)
        if not files:
            raise ConfigError(f"{of_class}: this class has no files; remove the folder if it has no inputs")
        pairs += [(path, of_class.name, str(path)) for path in files]
    if not pairs:
        raise ConfigError(f"{folder}: there is no folder for a class in it (FOLDER/CLASS/FILE)")
    return pairs


def _in_list(folder: Path, listed: Path) -> list[tuple[Path, str, str]]:
    try:
        with listed.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file, skipinitialspace=True), 1) if row]
    except FileNotFoundError:
        raise ConfigError(f"{listed}: there is no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{listed} can't be read as lines of file,class: {error}") from error
    if lines and lines[0][1] == ["file", "class"]:
        del lines[0]
    if not lines:
        raise ConfigError(f"{listed} is empty; it needs lines of file,class")
    pairs, seen = [], dict[str, int]()
    for number, row in lines:
        place = f"{listed}:{number}"
        if len(row) != 2:
            raise ConfigError(f"{place}: must be file,class, not {','.join(row)!r}")
        if row[0] in seen:
            raise ConfigError(f"{place}: {row[0]} stands twice (first in line {seen[row[0]]})")
        seen[row[0]] = number
        pairs.append((folder / row[0], row[1].strip(), place))
    return pairs
