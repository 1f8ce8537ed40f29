"""`module:function` of a suite: code of the user's that yields inputs."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from harness.data.arrays import Arrays, require_room
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


def find_function(name: str, folder: Path) -> Callable[..., Any]:
    """Import `module:function`, also from a module that lies in a folder.

    Args:
        name: the module, a colon, and the name of what can be called in it.
        folder: where modules are looked for before anywhere else.

    Raises:
        ConfigError: the module can't be imported, or has no such function.
    """
    module, _, function = name.partition(":")
    sys.path.insert(0, str(folder.resolve()))
    try:
        found: Any = getattr(importlib.import_module(module), function)
    except Exception as error:
        raise ConfigError(f"{name} can't be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(folder.resolve()))
    if not callable(found):
        raise ConfigError(f"{name} is no function")
    return cast("Callable[..., Any]", found)


def call_function(name: str, folder: Path) -> Arrays:
    """Call `module:function` without arguments.

    It returns an array with a row for each input, or yields them one by one; each may be a pair of input and label.

    Raises:
        ConfigError: it can't be imported, fails, yields nothing, or inputs of unequal shapes.
    """
    made = find_function(name, folder)
    try:
        result = made()
        rows = result if isinstance(result, np.ndarray) else list(_bounded(result, name))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{name} failed: {type(error).__name__}: {error}") from error
    if isinstance(rows, np.ndarray):
        return Arrays(rows)
    if not rows:
        raise ConfigError(f"{name} yielded nothing")
    labels = None
    if isinstance(rows[0], tuple):
        labels = np.asarray([label for _, label in rows])
        rows = [row for row, _ in rows]
    arrays = [np.asarray(row) for row in rows]
    for number, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ConfigError(f"{name}: input {number} has shape {array.shape}, but the first one {arrays[0].shape}")
    return Arrays(np.stack(arrays), labels)


def _bounded(rows: Iterable[Any], name: str) -> Iterator[Any]:
    """Yield what a function yields until it is too much: one that never ends must not fill the memory."""
    size = 0
    for row in rows:
        size += np.asarray(row[0] if isinstance(row, tuple) else row).nbytes
        require_room(size, (1,), np.uint8, name)
        yield row
