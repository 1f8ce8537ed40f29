from __future__ import annotations

import pytest

from harness.boards.renode.find import PINNED, cache_folder, find_renode, require_renode
from harness.cli.doctor.host import renode_finding
from harness.errors import ConfigError


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A computer without Renode, and with an empty cache."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HIL_RENODE", raising=False)
    return empty


def program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho 'Renode v1.16.1.17033'\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("nowhere")
def test_nowhere():
    assert find_renode() is None
    with pytest.raises(ConfigError, match=r"Renode is not installed\. `hil renode install`"):
        require_renode()
    finding = renode_finding()
    assert finding.state == "optional"
    assert "`hil renode install`" in finding.text


def test_places_in_their_order(nowhere, monkeypatch, tmp_path):
    managed = program(cache_folder() / PINNED / "renode")
    assert (find_renode().program, find_renode().origin) == (managed, "managed copy")
    on_path = program(nowhere / "renode")
    assert (find_renode().program, find_renode().origin) == (on_path, "on PATH")
    named = program(tmp_path / "own" / "renode")
    for value in (named, named.parent):
        monkeypatch.setenv("HIL_RENODE", str(value))
        assert (find_renode().program, find_renode().origin) == (named, "HIL_RENODE")


def test_a_variable_that_names_nothing_is_an_error_not_a_fallback(nowhere, monkeypatch, tmp_path):
    program(nowhere / "renode")
    monkeypatch.setenv("HIL_RENODE", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"HIL_RENODE is .*gone, but there is no program"):
        find_renode()
    assert renode_finding().state == "problem"


def test_version_and_origin_in_doctor(stand_in):
    finding = renode_finding()
    assert (finding.state, finding.text) == ("ok", f"1.16.1.17033, {stand_in.program} (HIL_RENODE)")


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("version=1.15.3.1", "outside of the range that this backend was written for (1.16.x)"),
        ("version=2.0.0", "outside of the range"),
        ("no-version", "doesn't tell its version"),
    ],
)
def test_versions_that_are_warned_of(stand_in, trap, words):
    stand_in.trap(trap)
    finding = renode_finding()
    assert finding.state == "optional"
    assert words in finding.text


def test_the_same_series_is_not_warned_of(stand_in):
    stand_in.trap("version=1.16.0.5")
    assert require_renode().warning is None


def test_asking_for_the_version_does_not_wipe_other_renodes(stand_in, monkeypatch, tmp_path):
    """A Renode that starts removes renode-* in its folder for temporary files."""
    asked = tmp_path / "asked"
    stand_in.program.write_text(f'#!/bin/sh\necho "$TMPDIR" > {asked}\necho Renode v1.16.1.17033\n')
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert require_renode().version == "1.16.1.17033"
    assert asked.read_text().strip() != str(tmp_path)


def test_an_installed_renode_can_be_hidden(nowhere, monkeypatch):
    program(nowhere / "renode")
    monkeypatch.setenv("HIL_RENODE", "off")
    assert find_renode() is None
    with pytest.raises(ConfigError, match="HIL_RENODE is off"):
        require_renode()
