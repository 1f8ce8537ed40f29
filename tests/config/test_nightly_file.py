"""nightly.yaml: what may stand there, and mistakes that are told with line and key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from harness.config.nightly import load_nightly
from harness.errors import ConfigError
from harness.report.gate import NIGHTLY_PARSERS


def written(tmp_path, text):
    (tmp_path / "nightly.yaml").write_text(text)
    return load_nightly(tmp_path / "nightly.yaml", NIGHTLY_PARSERS)


def test_nightly_yaml(tmp_path):
    found = written(tmp_path, "suites: [suites, more/x.yaml]\nbudget: 1h30m\nfetch: git pull --ff-only\n")
    assert found.suites == (tmp_path / "suites", tmp_path / "more" / "x.yaml")
    assert found.budget == timedelta(minutes=90)
    assert found.fetch == ("git", "pull", "--ff-only")
    assert (found.devices, found.baseline, found.keep_raw_days) == (("all",), "history:7", 30)
    found = written(tmp_path, "suites: x.yaml\ndevices: nano33\nbaseline: main\nfail_on: ticks>2%,peak_ram>0\n")
    assert (found.suites, found.devices) == ((tmp_path / "x.yaml",), ("nano33",))
    assert (found.baseline, found.fail_on) == ("main", "ticks>2%,peak_ram>0")
    assert written(tmp_path, "budget: 25s\nfetch_timeout: 5m\n").budget == timedelta(seconds=25)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("budget: soon\n", r"nightly.yaml:1: budget: .*\"soon\" is not a length of time"),
        ("suite: x\n", r"nightly.yaml:1: suite: unknown key; did you mean \"suites\""),
        ("budget: 8\n", r"nightly.yaml:1: budget: .*8 has no unit; write it as 90m, 2h, 1h30m or 1d"),
        ("budget: true\n", r"nightly.yaml:1: budget: .*True has no unit"),
        ("devices: []\n", r"nightly.yaml:1: devices: must have at least 1 of them, not 0"),
        ("suites: {a: b}\n", r"nightly.yaml:1: suites: must be a list"),
        ("fail_on: tick>2%\n", r"nightly.yaml:1: fail_on: .*tick is no metric; there are accuracy"),
        ("fail_on: ticks\n", r"nightly.yaml:1: fail_on: .*is no limit"),
        ("baseline: null\nfail_on: ticks>2%\n", r"nightly.yaml:2: fail_on: needs a baseline: worse than what"),
        ("baseline: history:x\n", r"nightly.yaml:1: baseline: 'history:x': a history needs at least 2 nights"),
        ("baseline: history:1\n", r"nightly.yaml:1: baseline: 'history:1': a history needs at least 2 nights"),
        ("keep_raw_days: 0\n", r"nightly.yaml:1: keep_raw_days: "),
    ],
)
def test_mistakes_in_nightly_yaml_name_line_and_key(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, text)
