"""The workflows that users copy: every command in them exists, with its options, and every suite is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from harness.cli import main

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples" / "ci").glob("*.yml"))


def lines(node):
    """Every line of every string in a YAML tree."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        return [line for item in node for line in lines(item)]
    return [line.strip() for line in str(node).splitlines()]


def commands(path, program):
    found = [shlex.split(line) for line in lines(yaml.safe_load(path.read_text())) if line.startswith(f"{program} ")]
    return [words[: words.index(">>")] if ">>" in words else words for words in found]


def test_there_are_two():
    assert [path.name for path in EXAMPLES] == ["github.yml", "gitlab.yml"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_commands_and_options_exist(path):
    seen = set()
    for words in commands(path, "hil"):
        command, rest = main, words[1:]
        while (
            isinstance(command, click.Group)
            and rest
            and (found := command.get_command(click.Context(command), rest[0]))
        ):
            command, rest = found, rest[1:]
            seen.add(command.name)
        command.make_context("hil", rest)  # parses, and runs nothing
    assert seen >= {"install", "doctor", "report", "crosscheck"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_suites_are_run_on_renode(path):
    (words,) = commands(path, "pytest")
    assert words[-4:] == ["--device", "nano33", "--backend", "renode"]
    (suites,) = re.findall(r"suite: \[(.*)\]", path.read_text(), re.IGNORECASE)
    for suite in suites.split(", "):
        assert (ROOT / "suites" / f"{suite}.yaml").is_file()
