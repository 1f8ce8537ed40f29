import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import ConfigError
from harness.power.battery import Duty, estimate
from harness.store import Run

ROW = {"energy_uj": 300.0, "power_voltage_v": 3.0, "current_ua_mean": 5000.0}  # 100 uC in 20 ms
KEYS = {"device": "d", "board": "nano33", "suite": "s"}


def test_life_is_capacity_over_mean_current():
    life = estimate(ROW, Duty(capacity_mah=100, period_s=10, sleep_ua=0, usable=1, self_discharge=0))
    assert life.average_ua == pytest.approx(10.0)
    assert life.hours == pytest.approx(10_000)
    assert life.inference_share == pytest.approx(1)


def test_sleep_counts_only_between_inferences():
    life = estimate(ROW, Duty(capacity_mah=100, period_s=0.04, sleep_ua=1000, usable=1, self_discharge=0))
    assert life.average_ua == pytest.approx(2500 + 500)


def test_self_discharge_and_unusable_capacity_shorten_it():
    life = estimate(ROW, Duty(capacity_mah=876.6, period_s=1e9, sleep_ua=0, usable=0.5, self_discharge=0.1))
    assert life.hours == pytest.approx(5 * 8766, rel=1e-3)
    assert life.text == "5.0 years"


def test_an_inference_longer_than_the_period_is_refused():
    with pytest.raises(ConfigError, match=r"each 0\.01 s can't be"):
        estimate(ROW, Duty(100, 0.01, 1))


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, -1), (1, 1, 1, 0), (1, 1, 1, 1, 1)])
def test_impossible_duties_are_refused(wrong):
    with pytest.raises(ConfigError):
        Duty(*wrong)


def run_of(folder, *cases):
    with Run.create(folder, {"seed": 0}) as run:
        for number, (backend, columns) in enumerate(cases):
            run.begin_case(**KEYS, backend=backend, variant=f"v{number}").finish(status="complete", **columns)
    return str(run.path)


def battery(run):
    return CliRunner().invoke(main, ["battery", run, "--capacity", "220", "--every", "60", "--sleep", "2"])


def test_the_command_prints_life_and_assumptions(tmp_path):
    shown = battery(run_of(tmp_path, ("hardware", ROW | {"power_source": "ppk2"}), ("hardware", {})))
    assert shown.exit_code == 0
    assert "battery life (energy by ppk2)" in shown.output
    assert "SIMULATED" not in shown.output
    assert "v1 on d has no energy: no power monitor" in shown.output
    assert "one inference each 60 s and 2 uA in between" in shown.output
    assert "85 % can be used" in shown.output


def test_simulated_energy_gives_a_life_that_is_called_so(tmp_path):
    shown = battery(run_of(tmp_path, ("virtual", ROW | {"power_source": "simulated"})))
    assert "battery life from SIMULATED energy" in shown.output
    assert "and no product" in shown.output


def test_a_run_without_energy_says_why(tmp_path):
    shown = battery(run_of(tmp_path, ("hardware", {})))
    assert shown.exit_code == 1
    assert "no case has energy (no power monitor)" in shown.output
