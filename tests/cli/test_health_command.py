"""`hil health`, `hil quarantine` and `hil release`, as a user types them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from fakes.made_trials import Night, write_run
from harness.cli import main
from harness.config.state import now
from harness.health.book import HealthBook


@pytest.fixture
def hil(tmp_path, monkeypatch, root):
    for folder in ("suites", "firmware"):
        (tmp_path / folder).symlink_to(root / folder)
    (tmp_path / "devices.yaml").write_text(
        "farm: {state: state}\n"
        "devices:\n  bench-1: {kind: nano33, backend: virtual}\n  bench-2: {kind: nano33, backend: virtual}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIL_USER", "ada")
    monkeypatch.setenv("HIL_HOST", "lab-1")
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture
def night():
    return Night(now() - timedelta(hours=3))


@pytest.fixture
def book(tmp_path):
    return HealthBook(tmp_path / "state", None, tmp_path / "results")


@pytest.fixture
def tell(tmp_path, book):
    """Write a run and judge the boards."""

    def tell(*trials):
        run = write_run(tmp_path / "results", trials)
        book.review()
        return run

    return tell


def test_boards_without_a_past_are_listed(hil):
    done = hil("health")
    assert done.exit_code == 0, done.output
    assert [line.split()[:3] for line in done.output.splitlines() if "bench" in line] == [
        ["bench-1", "unknown", "0"],
        ["bench-2", "unknown", "0"],
    ]


def test_without_devices_and_a_past_it_says_so(hil, tmp_path):
    (tmp_path / "devices.yaml").write_text("farm: {state: state}\n")
    assert "Nothing is known of any board yet" in hil("health").output


def test_the_table_shows_rates_and_reasons_that_are_harmless(hil, tell, night):
    bad = [night("bench-2", "int8", "LinkError", backend="virtual", attempts=3, reason="\x1b[31mred\u202e")] * 3
    tell(night("bench-1", backend="virtual", retransmissions=4), *bad)
    text = hil("health").output
    assert "100% (21% to 100%)" in text
    assert "0% (0% to 56%)" in text
    assert "quarantined" in text
    assert not {"\x1b", "\u202e"} & set(text)


def test_one_board_in_detail(hil, tell, night):
    bad = [night("bench-2", "int8", "LinkError", backend="virtual") for _ in range(3)]
    run = tell(night("bench-1", backend="virtual"), *bad)
    text = hil("health", "bench-2").output
    assert "Failed cases by where: link 100%" in text
    assert f"Evidence: {run.name}#1, {run.name}#2, {run.name}#3" in text
    assert "bench-1" not in text


def test_json_has_everything_and_another_results_folder_can_be_named(hil, tell, night, tmp_path):
    tell(night("bench-1", backend="virtual"))
    hil("quarantine", "bench-2", "--reason", "keep out")
    first, second = json.loads(hil("health", "--json").output)
    assert (first["health"]["device"], first["health"]["rate"]["ok"], first["quarantine"]) == ("bench-1", 1, None)
    assert (second["quarantine"]["by"], second["quarantine"]["reason"]) == ("ada", "keep out")
    assert json.loads(hil("health", "bench-2", "--json").output) == [second]
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    assert json.loads(hil("health", "--json").output)[0]["health"]["cases"] == 0
    assert json.loads(hil("health", "--json", "--results-dir", "elsewhere").output)[0] == first


def test_a_person_quarantines_and_releases(hil, book):
    done = hil("quarantine", "bench-2", "--reason", "smells burnt")
    assert done.exit_code == 0
    assert "by ada: smells burnt. To use it: `hil release bench-2` takes it back" in done.output
    assert book.quarantined("bench-2").person
    done = hil("release", "bench-2", "--reason", "new cable")
    assert done.output.startswith("bench-2: in use again")
    assert book.quarantined("bench-2") is None
    done = hil("release", "bench-2")
    assert (done.exit_code, done.output) == (
        1,
        "hil: bench-2 is not quarantined; `hil health` lists the boards that are\n",
    )


@pytest.mark.parametrize("name", ["nobody", "../../x"])
@pytest.mark.parametrize("command", [("health",), ("quarantine", "--reason", "x"), ("release",)])
def test_names_that_nobody_knows_are_errors(hil, tmp_path, command, name):
    done = hil(*command, name)
    assert done.exit_code == 1
    assert done.output.startswith("hil: ")
    assert list(tmp_path.glob("state/**/*.json*")) == []


def test_a_kind_without_a_board_of_the_lab_is_not_quarantined(hil, tmp_path):
    (tmp_path / "devices.yaml").write_text("farm: {state: state}\n")
    done = hil("quarantine", "nano33", "--reason", "x")
    assert (done.exit_code, "nano33 is no board of devices.yaml" in done.output) == (1, True)
    assert not (tmp_path / "state" / "quarantine" / "nano33.json").exists()


def test_a_kind_that_means_several_boards_is_refused(hil):
    done = hil("quarantine", "nano33", "--reason", "x")
    assert done.exit_code == 1
    assert "nano33 means bench-1, bench-2; name one of them" in done.output


def test_a_check_needs_a_board(hil):
    assert hil("health", "--check").exit_code == 2
    assert hil("quarantine", "bench-1").exit_code == 2


@pytest.mark.slow
@pytest.mark.usefixtures("patient_check")
def test_a_check_shows_its_steps_is_written_down_and_does_not_lift_what_a_person_said(hil, book):
    hil("quarantine", "bench-1", "--reason", "keep out")
    done = hil("health", "bench-1", "--check")
    assert done.exit_code == 0, done.output
    assert "bench-1: flash fashion_mnist_int8.elf and read it back\n" in done.output
    assert "bench-1: passed: 20 inputs twice, equal answers, 0 frames sent again\n" in done.output
    assert "by ada: keep out" in done.output.splitlines()[-1]
    (trial,) = book.trials()
    assert (trial.host, trial.purpose, trial.ok) == ("lab-1", "check", True)
    assert "Test of " in hil("health", "bench-1").output


def test_a_board_with_faults_in_devices_yaml_fails_its_check(hil, tmp_path):
    (tmp_path / "devices.yaml").write_text(
        "farm: {state: state}\ndevices: {bench-1: {kind: nano33, backend: virtual, faults: [swd.locked]}}\n"
    )
    done = hil("health", "bench-1", "--check")
    assert done.exit_code == 1
    assert "bench-1: FAILED: bench-1: the nRF52840 behind probe" in done.output
