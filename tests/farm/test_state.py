"""The state folder: where it is, and files that are whole or not there."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.config import Lab
from harness.errors import ConfigError
from harness.farm.state import create_json, hostname, read_json, state_folder, username, write_json

if TYPE_CHECKING:
    from pathlib import Path


def lab_with(tmp_path: Path, text: str) -> Lab:
    (tmp_path / "devices.yaml").write_text(text)
    return Lab.load(tmp_path / "devices.yaml")


def test_the_lab_names_the_folder_and_a_relative_one_is_beside_devices_yaml(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_STATE", str(tmp_path / "other"))
    assert state_folder(lab_with(tmp_path, "farm: {state: shared/hil}\n")) == tmp_path / "shared" / "hil"
    assert (tmp_path / "shared" / "hil").is_dir()


def test_without_it_the_environment_decides_then_the_user(tmp_path, monkeypatch):
    lab = Lab.load(None)
    monkeypatch.setattr("harness.farm.state._OF_THE_HOST", tmp_path / "missing")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("HIL_STATE", raising=False)
    assert state_folder(lab) == tmp_path / "xdg" / "tinyml-hil"
    monkeypatch.setenv("HIL_STATE", str(tmp_path / "said"))
    assert state_folder(lab) == tmp_path / "said"


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state folder .*file/hil can't be made: .*farm: \{state: FOLDER\}"):
        state_folder(lab_with(tmp_path, "farm: {state: file/hil}\n"))


def test_host_and_user_can_be_said(monkeypatch):
    monkeypatch.setenv("HIL_HOST", "rack-2")
    monkeypatch.setenv("HIL_USER", "ci")
    assert (hostname(), username()) == ("rack-2", "ci")


def test_of_many_writers_one_creates_the_file_and_it_is_whole(tmp_path):
    path = tmp_path / "claim.json"
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: create_json(path, {"writer": number, "text": "x" * 10_000}), range(64)))
    assert won.count(True) == 1
    assert json.loads(path.read_text())["writer"] == won.index(True)
    assert [found.name for found in tmp_path.iterdir()] == ["claim.json"]


def test_writing_replaces_and_reading_damage_gives_nothing(tmp_path):
    path = tmp_path / "fact.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    path.write_text('{"a": ')
    assert read_json(path) is None
    path.write_text("[1]")
    assert read_json(path) is None
