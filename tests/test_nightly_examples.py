"""The files that users copy for a night: they can be read, and every command in them exists with its options."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from harness.cli import main
from harness.config.nightly import Nightly, load_nightly
from harness.farm.finish import SUMMARY
from harness.report.gate import NIGHTLY_PARSERS, parse_limits
from harness.report.night import MARKDOWN, REPORT

FOLDER = Path(__file__).parents[1] / "examples" / "nightly"
UNITS = sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])
FARM = sorted(FOLDER.with_name("farm").glob("*.service"))


def commands(text):
    """The words of each `hil` command in a text, wherever the program lies, up to a redirection."""
    found = re.findall(r"(?:^|(?<=[\s/]))hil [^\n>|&]*", text, re.MULTILINE)
    return [shlex.split(line) for line in found]


def check(words):
    command, rest = main, words[1:]
    while isinstance(command, click.Group):
        command, rest = command.get_command(click.Context(command), rest[0]), rest[1:]
    command.make_context("hil", rest)  # parses, and runs nothing
    return command.name


def unit(path):
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(path)
    return parser


def test_nightly_yaml_says_what_is_so_anyway_and_sets_limits():
    found = load_nightly(FOLDER / "nightly.yaml", NIGHTLY_PARSERS)
    default = Nightly()
    said = yaml.safe_load((FOLDER / "nightly.yaml").read_text())
    for name in set(said) - {"suites", "fail_on"}:
        assert getattr(found, name) == getattr(default, name)
    assert found.suites == (FOLDER / "suites",)
    assert [limit.metric.name for limit in parse_limits(found.fail_on)] == ["ticks", "peak_ram", "accuracy"]


def test_each_timer_starts_a_unit_that_runs_a_command_that_exists():
    assert [path.name for path in UNITS] == [
        "hil-nightly-resume.service",
        "hil-nightly-resume.timer",
        "hil-nightly.service",
        "hil-nightly.timer",
    ]
    for path in FOLDER.glob("*.timer"):
        (words,) = commands(unit(path.with_suffix(".service"))["Service"]["ExecStart"])
        assert check(words) == "nightly"
        assert ("--resume" in words) == ("resume" in path.name)
        assert "timers.target" in unit(path)["Install"]["WantedBy"]
    assert unit(FOLDER / "hil-nightly.timer")["Timer"]["Persistent"] == "true"
    assert unit(FOLDER / "hil-nightly-resume.service")["Unit"]["Before"] == "hil-nightly.service"


def test_the_units_of_a_farm_run_commands_that_exist():
    found = {}
    for path in FARM:
        (words,) = commands(unit(path)["Service"]["ExecStart"])
        found[path.stem] = check(words)
        assert unit(path)["Service"]["Restart"] == "always"
    assert found == {"hil-scheduler": "scheduler", "hil-worker": "worker"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(tmp_path):
    for path in (*UNITS, *FARM):
        text = path.read_text()
        (tmp_path / path.name).write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", text))
    command = ["systemd-analyze", "verify", *(tmp_path / path.name for path in (*UNITS, *FARM))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "hil-" in line] == []
    assert done.returncode == 0


def test_the_lines_for_cron():
    lines = [line for line in (FOLDER / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0].startswith("MAILTO=")
    for line, when in zip(lines[1:], (r"0 22 \* \* \* ", "@reboot "), strict=True):
        assert re.match(when, line)
        (words,) = commands(line)
        assert check(words) == "nightly"
        assert "%" not in line  # cron would take it for the end of the line
        subprocess.run(["/bin/sh", "-n", "-c", re.sub(when, "", line)], check=True)


def test_the_workflow():
    flow = yaml.safe_load((FOLDER / "github.yml").read_text())
    (job,) = flow["jobs"].values()
    assert flow[True].keys() == {"schedule", "workflow_dispatch"}  # YAML takes `on` for true
    assert job["runs-on"] == ["self-hosted", "boards"]
    assert job["timeout-minutes"] * 60 > Nightly().budget.total_seconds()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert [check(words) for run in runs for words in commands(run)] == ["doctor", "nightly"]
    for run in runs:
        subprocess.run(["/bin/sh", "-n", "-c", run], check=True)
    assert f"$night/{MARKDOWN}" in runs[-1]
    uploaded = job["steps"][-1]["with"]["path"]
    assert re.findall(r"/([\w.]+)$", uploaded, re.MULTILINE) == [REPORT, "junit.xml", SUMMARY]
