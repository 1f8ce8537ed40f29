from __future__ import annotations

from harness.schema import ATTEMPTS, CASES, KEY_NAMES, LAYERS, RUNS, SAMPLES, SCHEMA_VERSION, WINDOWS

UNITS = {"_bytes": "bytes", "_uj": "uJ", "_hz": "Hz", "_s": "s"}


def test_names_are_unique_and_documented():
    for table in (CASES, SAMPLES, LAYERS, WINDOWS, ATTEMPTS, RUNS):
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
    for column in (*CASES, *SAMPLES, *LAYERS, *WINDOWS, *ATTEMPTS, *RUNS):
        assert f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |\n" in text
    assert f"\n| {SCHEMA_VERSION} | " in text
    assert f"\n| {SCHEMA_VERSION + 1} | " not in text
