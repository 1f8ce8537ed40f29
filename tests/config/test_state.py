"""The state folder: where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.config import Lab
from harness.config.state import hostname, state_folder, username
from harness.errors import ConfigError

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
    monkeypatch.setattr("harness.config.state._OF_THE_HOST", tmp_path / "missing")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("HIL_STATE", raising=False)
    assert state_folder(lab) == tmp_path / "xdg" / "tinyml-hil" / "no-lab"
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


def test_two_labs_of_a_user_with_boards_of_one_name_have_two_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.config.state._OF_THE_HOST", tmp_path / "missing")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("HIL_STATE", raising=False)
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folders.append(state_folder(lab_with(tmp_path / name, "devices: {a: {kind: nano33, backend: virtual}}\n")))
    assert folders[0] != folders[1]
    assert [folder.name.partition("-")[0] for folder in folders] == ["one", "two"]
