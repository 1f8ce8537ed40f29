"""Files that are replaced at one stroke: a reader sees the old content or the new, never a part of it."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a file beside `path` to write the new content to. It takes the place of `path` if all goes well.

    Args:
        path: the file, which may be there.

    Raises:
        OSError: it can't be put in place.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
