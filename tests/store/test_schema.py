from __future__ import annotations

from harness.case_parts import SAMPLES
from harness.schema import CASES, KEY_NAMES, RUNS, SCHEMA_VERSION, TABLES

UNITS = {"_bytes": "bytes", "_uj": "uJ", "_hz": "Hz", "_s": "s"}


def test_names_are_unique_and_documented():
    for table in (*TABLES.values(), RUNS):
        names = [column.name for column in table]
        assert len(set(names)) == len(names)
        assert all(column.meaning for column in table)


def test_units_stand_in_names():
    for column in CASES:
        for suffix, unit in UNITS.items():
            if column.name.endswith(suffix):
                assert column.unit == unit
        assert ("latency_us" in column.name) == (column.unit == "us")


def test_samples_know_their_case():
    assert {column.name for column in SAMPLES} >= set(KEY_NAMES)


def test_the_documentation_has_every_column_as_it_is(root):
    text = (root / "docs" / "results.md").read_text(encoding="utf-8")
    for column in (column for table in (*TABLES.values(), RUNS) for column in table):
        assert f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |\n" in text
    assert f"\n| {SCHEMA_VERSION} | " in text
    assert f"\n| {SCHEMA_VERSION + 1} | " not in text
