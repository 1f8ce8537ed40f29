"""A store behind a URL: any file system that fsspec knows."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from harness.errors import ConfigError, HilError, StoreError
from harness.files.json_file import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALL = "pip install 'tinyml-hil[farm]'"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(?:::|://).*")


#: What says something of one file, and nothing of the store that it is in.
_OF_THE_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class UnreachableError(StoreError):
    """The store itself fails, and not one of its runs."""


@dataclass(frozen=True)
class Remote:
    """A store on a file system of fsspec, and the path of its root there.

    Every method raises UnreachableError if the store can't be reached, and says why. What is wrong with one file is a
    plain StoreError, so that one damaged run doesn't keep a reader from all others.
    """

    url: str
    fs: Any
    root: str

    def path(self, *names: str) -> str:
        """Return the path of a file in the store."""
        return "/".join((self.root.rstrip("/"), *names))

    def folders(self) -> list[str]:
        """Return the names of what is in the store, in order; none if it is empty or not there yet."""
        with self._reached():
            self.fs.invalidate_cache()
            try:
                found = self.fs.ls(self.root, detail=False)
            except FileNotFoundError:
                return []
            return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def size(self, *names: str) -> int | None:
        """Return the size of a file, None if it is not there."""
        info = self._info(*names)
        return None if info is None else int(info["size"])

    def read_json(self, *names: str) -> object:
        """Return what a JSON file holds, None if it is not there or damaged."""
        with self._reached():
            try:
                text = self.fs.cat_file(self.path(*names))
            except _OF_THE_FILE:
                return None
        try:
            return parse_json(text)
        except ValueError:
            return None

    def write_json(self, content: object, *names: str) -> None:
        """Write a JSON file."""
        data = (json.dumps(content, indent=2) + "\n").encode()
        with self._reached():
            self.fs.makedirs(self.path(*names[:-1]), exist_ok=True)
            self.fs.pipe_file(self.path(*names), data)
        self._check(len(data), hashlib.md5(data, usedforsecurity=False).digest(), *names)

    def put(self, local: Path, *names: str) -> None:
        """Write a file, and hold what is there now against it: its size, and its MD5 if the file system keeps one."""
        with self._reached():
            self.fs.makedirs(self.path(*names[:-1]), exist_ok=True)
            self.fs.put_file(str(local), self.path(*names))
            with local.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
                length = file.tell()
        self._check(length, digest, *names)

    def get(self, local: Path, *names: str) -> None:
        """Bring a file here.

        Raises:
            StoreError: the store has no such file, or keeps it from this user.
            UnreachableError: the store can't be reached.
            OSError: the folder for it can't be made here.
        """
        local.parent.mkdir(parents=True, exist_ok=True)
        with self._reached():
            try:
                self.fs.get_file(self.path(*names), str(local))
            except _OF_THE_FILE as error:
                why = "it is not there" if isinstance(error, FileNotFoundError) else str(error) or type(error).__name__
                raise StoreError(f"{self.url}/{'/'.join(names)} can't be read: {why}") from error

    def _check(self, length: int, md5: bytes, *names: str) -> None:
        info = self._info(*names)
        there = None if info is None else int(info["size"])
        if info is None or there != length:
            raise StoreError(f"{self.url}: {'/'.join(names)} arrived with {there} bytes instead of {length}; try again")
        said = info.get("md5Hash")  # Google Cloud Storage. An ETag of S3 is no MD5 where keys or parts are used.
        with contextlib.suppress(binascii.Error, TypeError, ValueError):
            if said is not None and base64.b64decode(said) != md5:
                raise StoreError(f"{self.url}: {'/'.join(names)} arrived damaged (its MD5 differs); try again")

    def _info(self, *names: str) -> dict[str, Any] | None:
        with self._reached():
            self.fs.invalidate_cache()
            try:
                return dict(self.fs.info(self.path(*names)))
            except FileNotFoundError:
                return None

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except HilError:
            raise
        except Exception as error:  # every file system has errors of its own, which derive from nothing else
            what = str(error) or type(error).__name__
            raise UnreachableError(f"the store {self.url} can't be reached: {what}") from error


def is_url(store: str) -> bool:
    """Whether a store is a URL that fsspec is needed for; `file://` is a folder."""
    return _URL.fullmatch(store) is not None and not store.startswith("file://")


def as_folder(store: str) -> Path:
    """Return the folder that a store means which is no URL, or one of `file://`."""
    if store.startswith("file://"):
        return Path(url2pathname(urlsplit(store).path))
    return Path(store).expanduser()


def open_remote(url: str) -> Remote:
    """Open the file system of a URL.

    Raises:
        ConfigError: fsspec, or what it needs for this URL, is not installed, or it doesn't know the URL.
        StoreError: the file system can't be reached.
    """
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError as error:
        raise ConfigError(f"the store {url} needs fsspec: {_INSTALL}") from error
    try:
        fs, root = core.url_to_fs(url)
    except ImportError as error:
        raise ConfigError(f"the store {url} needs more than fsspec: {error}") from error
    except ValueError as error:
        raise ConfigError(f"the store {url} can't be used: {error}") from error
    except Exception as error:  # as in Remote._reached
        raise UnreachableError(f"the store {url} can't be reached: {error}") from error
    return Remote(url.rstrip("/"), fs, str(root))
