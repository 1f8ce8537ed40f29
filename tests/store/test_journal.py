from __future__ import annotations

import json

import pytest

from harness.errors import StoreError
from harness.files.journal_lines import Damage, read_journal
from harness.store.journal import Journal

RECORDS = [{"t": "begin", "case": 0, "name": "ü"}, {"t": "sample", "case": 0, "v": [1, None, 2.5]}]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    journal.sync()
    journal.close()
    journal.close()
    return path


def test_records_come_back(path):
    assert list(read_journal(path)) == RECORDS


def test_every_line_is_json(path):
    assert [json.loads(line)["record"] for line in path.read_text().splitlines()] == RECORDS


def test_a_torn_last_line_is_damage_wherever_it_is_torn(path):
    content = path.read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    for end in range(last + 1, len(content)):
        path.write_bytes(content[:end])
        assert list(read_journal(path)) == [RECORDS[0], Damage(2)]
    path.write_bytes(content[:last])
    assert list(read_journal(path)) == [RECORDS[0]]


def test_every_flipped_bit_is_noticed(path):
    content = path.read_bytes()
    first = content.index(b"\n")
    for bit in range(first * 8):
        spoiled = bytearray(content)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        assert RECORDS[0] not in list(read_journal(path))


def test_blocks_of_zeros_after_a_power_cut(path):
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert list(read_journal(path)) == [*RECORDS, Damage(3)]


def test_an_existing_journal_is_not_overwritten(path):
    with pytest.raises(StoreError, match="File exists"):
        Journal(path)
    assert list(read_journal(path)) == RECORDS


def test_nan_is_no_result(tmp_path):
    journal = Journal(tmp_path / "j")
    with pytest.raises(ValueError, match="JSON"):
        journal.append({"accuracy": float("nan")})
    journal.close()


def test_a_missing_journal(tmp_path):
    with pytest.raises(StoreError, match="can't be read"):
        list(read_journal(tmp_path / "none"))
