from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from fakes.made_cases import pooled, write_run
from harness.case_parts import LAYERS, SAMPLES
from harness.cli import main
from harness.schema import CASES

NASTY = '=cmd()\n<b>&"\x1b[2J\x00\ufffe]]>'


@pytest.fixture
def hil(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(
        tmp_path / "results",
        cases=(
            {},
            {"variant": "bad", "status": "failed", "reason": NASTY},
            {"variant": "no", "status": "skipped", "reason": "x"},
        ),
        layers=[{"operator": "ADD", "ticks": 7}],
    )
    return lambda *arguments: CliRunner().invoke(main, ["results", "export", *map(str, arguments)])


def test_csv(hil):
    rows = list(csv.DictReader(io.StringIO(hil("--csv").output, newline="")))
    assert list(rows[0]) == [column.name for column in CASES]
    assert [row["status"] for row in rows] == ["complete", "failed", "skipped"]
    assert (rows[0]["ticks_median"], rows[0]["energy_uj"]) == ("1000.0", "")
    assert rows[1]["reason"].startswith("'=cmd()\n<b>&\"\\x1b[2J\\x00")


@pytest.mark.parametrize(("table", "columns", "count"), [("samples", SAMPLES, 30), ("layers", LAYERS, 1)])
def test_other_tables(hil, table, columns, count):
    rows = list(csv.DictReader(io.StringIO(hil("--csv", "--table", table).output)))
    assert len(rows) == count
    assert list(rows[0]) == [column.name for column in columns]
    assert len(json.loads(hil("--json", "--table", table).output)[table]) == count


def test_json_keeps_strings_as_they_are(hil):
    content = json.loads(hil("--json").output)
    assert content["schema_version"] == content["run"]["schema_version"]
    assert content["cases"][1]["reason"] == NASTY
    assert content["cases"][0]["energy_uj"] is None
    assert content["cases"][0]["started_utc"].endswith("+00:00")


def test_junit(hil):
    root = ET.fromstring(hil("--junit").output.encode())  # noqa: S314 (our own)
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        "digits on nano33 (hardware)",
        "3",
        "1",
        "1",
    )
    good, bad, skipped = suite.findall("testcase")
    assert good.find("failure") is None
    properties = {item.get("name"): item.get("value") for item in good.iter("property")}
    assert properties["ticks_median"] == "1000.0"
    assert "energy_uj" not in properties
    assert bad.find("failure").text == '=cmd()\n<b>&"\\x1b[2J\\x00\\ufffe]]>'
    assert skipped.find("skipped").get("message") == "x"


def test_to_a_file(hil, tmp_path):
    assert hil("--csv", "-o", "out.csv").output == ""
    assert (tmp_path / "out.csv").read_bytes() == hil("--csv").stdout_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "results"]
    result = hil("--csv", "-o", "nowhere/out.csv")
    assert (result.exit_code, "can't be written" in result.output) == (1, True)


def test_several_runs(hil, tmp_path):
    other = write_run(tmp_path / "results").name
    first = next(path.name for path in (tmp_path / "results").iterdir() if path.name not in ("latest", other))
    rows = list(csv.DictReader(io.StringIO(hil("results", "--csv").output, newline="")))
    assert [row["run"] for row in rows] == [first] * 3 + [other]
    content = json.loads(hil(first, other, "--json", "--table", "layers").output)
    assert ([run["run"] for run in content["runs"]], len(content["layers"])) == ([first, other], 1)
    suites = ET.fromstring(hil(first, other, "--junit").output.encode())  # noqa: S314 (our own)
    assert [(suite.get("name"), suite.get("tests")) for suite in suites] == [
        (f"digits on nano33 (hardware), {first}", "3"),
        (f"digits on nano33 (hardware), {other}", "1"),
    ]
    (tmp_path / "results" / first / "cases.parquet").write_bytes(b"PAR1")
    left = hil(first, other, "--csv")
    assert "left out: " in left.stderr
    assert left.stdout.count("digits") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["--junit", "--table", "samples"], ["--csv", "--mlflow", "uri"], ["--mlflow", "uri", "-o", "file"]],
)
def test_mistakes_are_usage_errors(hil, arguments):
    assert hil(*arguments).exit_code == 2


def test_in_junit_a_test_of_a_pool_is_the_same_on_every_board(hil, tmp_path):
    write_run(tmp_path / "results", cases=(pooled(1, "float32", host="lab1"), pooled(2)))
    root = ET.fromstring(hil("--junit").output.encode())  # noqa: S314 (our own)
    (suite,) = root
    assert suite.get("name") == "digits on nano33 (hardware)"
    assert {case.get("classname") for case in suite} == {"digits.nano33"}
    found = {item.get("name"): item.get("value") for item in suite[0].iter("property")}
    assert (found["device"], found["pool"], found["host"]) == ("bench-1", "nano33", "lab1")
