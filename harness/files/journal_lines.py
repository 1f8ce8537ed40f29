"""JSON lines that carry a CRC of their own, so that one torn by a kill or a full disk is told from a whole one."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.files.json_file import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: A line is `{"crc":"xxxxxxxx","record":` + record + `}`, the CRC-32 being that of the record's bytes.
_HEAD = b'{"crc":"%08x","record":'
_HEAD_BYTES = len(_HEAD % 0)
_TAIL = b"}\n"


@dataclass(frozen=True)
class Damage:
    """A line that is not what was written: torn by a kill, or spoiled by the disk."""

    line: int


def journal_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of a journal."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return _HEAD % zlib.crc32(body) + body + _TAIL


def read_journal(path: Path, kinds: Sequence[str] | None = None) -> Iterator[dict[str, Any] | Damage]:
    """Yield the records of a journal one by one, and `Damage` where a line is not one.

    Args:
        path: the journal.
        kinds: only records of these kinds, which saves reading the many samples; None for all.

    Raises:
        StoreError: the file can't be read.
    """
    starts = tuple(b'{"t":"%b"' % kind.encode() for kind in kinds or ())
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if kinds is None or line.startswith(starts, _HEAD_BYTES):
                    yield _parse(line, number)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error


def parse_journal(data: bytes) -> list[dict[str, Any] | Damage]:
    """Return the records of a journal that came from elsewhere as bytes, and `Damage` where a line is not one."""
    return [_parse(line, number) for number, line in enumerate(data.splitlines(keepends=True), start=1)]


def _parse(line: bytes, number: int) -> dict[str, Any] | Damage:
    body = line[_HEAD_BYTES : -len(_TAIL)]
    if line != _HEAD % zlib.crc32(body) + body + _TAIL:
        return Damage(number)
    try:
        record = parse_json(body)
    except ValueError:
        return Damage(number)
    return record if isinstance(record, dict) else Damage(number)
