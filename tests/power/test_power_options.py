"""--power and --mlperf-rules as a user gives them, in real pytest runs on the virtual board."""

import shutil
from pathlib import Path

import pytest

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
from harness.power.judge import Plan
from harness.store import load_results

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
POWER = "{monitor: ppk2, simulated: true, voltage_v: 3.0, window_s: 0.1, windows: 2, idle_s: 0.1}"


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -p no:hypothesispytest")
    for name in ("suites", "firmware/prebuilt/nano33"):
        (pytester.path / name).mkdir(parents=True)
    shutil.copytree(ROOT / "suites" / "data", pytester.path / "suites" / "data")
    shutil.copy(ROOT / "suites" / "fashion_mnist.yaml", pytester.path / "suites")
    image = "firmware/prebuilt/nano33/fashion_mnist_int8.elf"
    shutil.copy(ROOT / image, pytester.path / image)

    def run(*options, power=POWER):
        text = "devices:\n  bench:\n    kind: nano33\n" + (f"    power: {power}\n" if power else "")
        (pytester.path / "devices.yaml").write_text(text)
        arguments = ("suites/fashion_mnist.yaml::int8", "--device", "bench", "--samples", "3", *options)
        return pytester.runpytest_inprocess(*arguments)

    return run


@pytest.mark.slow
def test_simulated_energy_by_mlperf_rules_is_in_header_table_and_results(run, pytester, monkeypatch):
    monkeypatch.setattr("harness.power.meter.MLPERF_PLAN", Plan(0.02, 100, 3, 0.05, inputs=3))
    result = run("--mlperf-rules")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*power: SIMULATED ppk2, 3 V: figures of a data sheet, not a measurement",
            "SIMULATED energy per inference, uJ",
            "Simulated: no current was measured.*",
        ]
    )
    results = load_results(pytester.path / "results" / "latest")
    assert results.cases.power_source.tolist() == ["simulated"]
    assert results.cases.power_windows.tolist() == [3]
    assert '"mlperf_rules": true' in (pytester.path / "results" / "latest" / "run.json").read_text()
    assert len(list((pytester.path / "results" / "latest" / "power").iterdir())) == len(results.windows)


@pytest.mark.slow
def test_power_off_measures_nothing(run, pytester):
    result = run("--power", "off")
    result.assert_outcomes(passed=1)
    assert "SIMULATED" not in result.stdout.str()
    (reason,) = load_results(pytester.path / "results" / "latest").cases.energy_reason
    assert reason == "not asked for (--power off)"


def test_power_required_needs_a_monitor(run):
    result = run("--power", "required", power=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--power required: no power monitor is configured for bench; add `power:`*"])
