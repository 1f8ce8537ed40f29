"""Small JSON files that several processes and hosts share: each is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Folders are the group's, so that the members of a lab can write what others made.
_MODE = 0o2775
#: No file of ours comes near it: the plan of a night with ten thousand cases has some megabytes.
_LARGEST = 16 << 20
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
#: What file systems without hard links answer, such as FAT's and some network folders.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)


def make_folder(folder: Path) -> Path:
    """Make a folder that the group can write, and return it."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # somebody else's: theirs to set
            _set_mode(folder, _MODE)
    return folder


def _set_mode(folder: Path, mode: int) -> None:
    """Set the mode of this very folder: by its path, another user could put a link to one of this user's there."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def write_json(path: Path, content: Mapping[str, Any], mode: int | None = None) -> None:
    """Put an object into a file: a reader sees the old content or the new, also after a power cut.

    Args:
        path: the file to write.
        content: the keys and values of the JSON object.
        mode: of the file; None as the user's umask has it.

    Raises:
        OSError: it can't be written.
    """
    write_file(path, _text(content), mode)


def write_file(path: Path, content: bytes, mode: int | None = None) -> None:
    """Replace a file by another content, as `write_json` does."""
    temporary = _written(path, content, mode)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def create_json(path: Path, content: Mapping[str, Any]) -> bool:
    """Put an object into a new file, whole, or leave the one that is there: of several writers one succeeds.

    Returns:
        Whether this writer made the file.

    Raises:
        OSError: it can't be written.
    """
    temporary = _written(path, _text(content))
    try:
        os.link(temporary, path)  # never replaces a file, also on network folders
    except FileExistsError:
        return temporary.stat().st_nlink > 1  # a network folder may have made the link, and lost the answer
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _created(path, temporary)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _created(path: Path, temporary: Path) -> bool:
    """Do so where there are no hard links: one writer succeeds, but one that is killed in it leaves damage."""
    try:
        with path.open("xb") as file:
            file.write(temporary.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def read_json(path: Path, *, links: bool = True) -> dict[str, Any] | None:
    """Return the object in a file; None if there is none, or it is damaged, too large, or no ordinary file.

    Args:
        path: the file to read.
        links: whether it may be a symbolic link. Where others write, too, one may lead to what only this user can read.
    """
    try:
        content = parse_json(_fresh(path, 0 if links else _NO_LINK))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def parse_json(text: bytes) -> Any:
    """Return what JSON says. NaN and Infinity, which JSON doesn't know and some programs write, are None: missing.

    Half a surrogate pair, which is how Python writes a file's name that is no UTF-8, becomes U+FFFD: no table takes it.

    Raises:
        ValueError: it is no JSON, or has ten thousand brackets or a number of thousands of digits.
    """
    try:
        found = json.loads(text.decode(), parse_constant=lambda _: None)
        return _whole_characters(found) if b"\\ud" in text.lower() else found
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(one) for key, one in value.items()}
    return [_whole_characters(one) for one in value] if isinstance(value, list) else value


def _fresh(path: Path, flags: int) -> bytes:
    try:
        return _content(path, flags)
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return _content(path, flags)  # a network folder lost it under us, because it is replaced just now


def _content(path: Path, flags: int) -> bytes:
    """Return what is in an ordinary file: a pipe of that name would keep its reader waiting for ever."""
    flags |= os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags)
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST:
            raise ValueError(f"{path} is not an ordinary file of at most {_LARGEST} bytes")
        with open(file, "rb", closefd=False) as reader:
            return reader.read(_LARGEST)
    finally:
        os.close(file)


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _written(path: Path, content: bytes, mode: int | None = None) -> Path:
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:  # never through a link that lies there
            if mode is not None and os.name != "nt":
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # a full disk, or Ctrl-C
        temporary.unlink(missing_ok=True)
        raise
    return temporary
