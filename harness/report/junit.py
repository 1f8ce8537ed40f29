"""Cases as JUnit XML, which CI systems read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from harness.schema import CASES
from harness.store.place import place_of
from harness.text.escape import xml_text

if TYPE_CHECKING:
    from collections.abc import Sequence


def junit(run: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return cases as JUnit XML: a suite for each run, place and suite of ours, a test for each variant."""
    root = ET.Element("testsuites", name=xml_text(run))
    suites: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        suites.setdefault((row["run"], row["suite"], place_of(row), row["backend"]), []).append(row)
    several = len({name for name, *_ in suites}) > 1
    for (name, suite, place, backend), cases in suites.items():
        outcomes = [_outcome(case)[0] for case in cases]
        element = ET.SubElement(
            root,
            "testsuite",
            name=xml_text(f"{suite} on {place} ({backend})" + f", {name}" * several),
            tests=str(len(cases)),
            failures=str(outcomes.count("failure")),
            skipped=str(outcomes.count("skipped")),
            errors="0",
            timestamp=min(case["started_utc"] for case in cases).isoformat(),
            time=f"{sum(case['duration_s'] or 0 for case in cases):.3f}",
        )
        for case in cases:
            _add_case(element, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add_case(suite: ET.Element, case: dict[str, Any]) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=xml_text(f"{case['suite']}.{place_of(case)}"),
        name=xml_text(case["variant"]),
        time=f"{case['duration_s'] or 0:.3f}",
    )
    properties = ET.SubElement(element, "properties")
    for column in CASES:
        value = case[column.name]
        if value is not None and column.name not in ("reason", "started_utc"):
            ET.SubElement(properties, "property", name=column.name, value=xml_text(str(value)))
    outcome, reason = _outcome(case)
    if outcome:
        text = xml_text(reason or "no reason is recorded")
        found = ET.SubElement(element, outcome)
        found.set("message", text.partition("\n")[0])
        found.text = text


def _outcome(case: dict[str, Any]) -> tuple[str, str | None]:
    """Return the element of a case that has one, and why: it was not measured, or is over a limit."""
    if case["status"] == "failed":
        return "failure", case["reason"]
    if case["status"] == "skipped":
        return "skipped", case["reason"]
    return ("failure", case["verdict_reason"]) if case.get("verdict") == "failed" else ("", None)
