"""Whole cases with energy on the virtual board."""

from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from harness.config import Lab
from harness.errors import ConfigError, MeasurementError, PowerError
from harness.link.client import Link
from harness.power.meter import MLPERF_PLAN, Meter, PowerOptions
from harness.power.virtual.activity import NRF52840
from harness.run.case import run_case
from harness.store import Run, load_results

SIMULATED = "monitor: ppk2, simulated: true, voltage_v: 3.0, window_s: 0.1, windows: 2, idle_s: 0.1"
SHORT = SIMULATED.replace("window_s: 0.1", "window_s: 0.02")


def device(tmp_path, supply=SIMULATED):
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices:\n  d:\n    kind: nano33\n    power: {{{supply}}}\n")
    return Lab.load(path).devices[0]


@pytest.fixture
def measure(board, suite, tmp_path):
    def measure(meter, error=None, match=None, samples=5):
        variant = suite.variant("int8")
        with Run.create(tmp_path / "results", {"seed": 0}) as run:
            arguments = {"samples": samples, "retries": 0, "meter": meter}
            try:
                if error is None:
                    run_case(board, suite, variant, suite.load_data(), run, **arguments)
                else:
                    with pytest.raises(error, match=match):
                        run_case(board, suite, variant, suite.load_data(), run, **arguments)
            finally:
                meter.close()
        return load_results(run.path)

    return measure


def test_simulated_energy_is_the_profile_times_the_instructions(measure, tmp_path):
    results = measure(Meter(device(tmp_path), PowerOptions()))
    case = results.cases.iloc[0]
    truth_uj = 1e6 * 3.0 * NRF52840.running_a * case.ticks_median / 64e6
    assert case.energy_uj == pytest.approx(truth_uj, rel=0.01)
    net_uj = truth_uj * (1 - NRF52840.sleeping_a / NRF52840.running_a)
    assert case.energy_net_uj == pytest.approx(net_uj, rel=0.01)
    assert case.inferences_per_joule == pytest.approx(1e6 / case.energy_uj)
    assert case.idle_current_ua == pytest.approx(1e6 * NRF52840.sleeping_a, rel=0.01)
    assert case.power_source == "simulated"
    assert "SIMULATED" in case.power_note
    assert (case.power_windows, case.power_voltage_v, case.power_sample_rate_hz) == (2, 3.0, 100_000)
    assert case[["latency_us_median", "power_monitor"]].isna().all()
    windows = results.windows
    assert windows.power_source.tolist() == ["simulated"] * len(windows)
    assert (windows.problem.isna().sum(), windows.window.tolist()) == (2, list(range(len(windows))))
    raw = pq.ParquetFile(results.stored[0].path / windows.file[0])
    assert raw.metadata.num_rows == windows.samples[0]
    assert raw.schema_arrow.metadata[b"hil.power_source"] == b"simulated"


@pytest.mark.slow
def test_without_a_monitor_energy_is_missing_with_the_reason(measure, nano33, tmp_path):
    case = measure(Meter(nano33, PowerOptions())).cases.iloc[0]
    assert (case.status, case.energy_reason) == ("complete", "no power monitor")
    assert case[["energy_uj", "power_source"]].isna().all()
    case = measure(Meter(device(tmp_path), PowerOptions(wanted="off"))).cases.iloc[0]
    assert case.energy_reason == "not asked for (--power off)"


def test_a_monitor_that_fails_leaves_the_predictions(measure, tmp_path):
    real = device(tmp_path, "monitor: ppk2, voltage_v: 3.0")
    case = measure(Meter(real, PowerOptions())).cases.iloc[0]
    assert case.status == "complete"
    assert case.accuracy > 0
    assert "draws no current" in case.energy_reason


@pytest.mark.slow
def test_required_energy_that_is_missing_fails_the_case(measure, nano33, tmp_path):
    real = device(tmp_path, "monitor: ppk2, voltage_v: 3.0")
    results = measure(Meter(real, PowerOptions(wanted="required")), PowerError, "draws no current")
    assert results.cases.iloc[0].status == "failed"
    with pytest.raises(ConfigError, match="no power monitor is configured for nano33; add `power:`"):
        Meter(nano33, PowerOptions(wanted="required"))


@pytest.mark.slow
def test_missing_sync_is_recorded_with_its_windows(measure, tmp_path, board):
    meter = Meter(device(tmp_path, SHORT), PowerOptions())
    gpio = board.twin.machine.bus.gpio
    gpio.outputs = lambda: 0  # a wire that isn't connected
    results = measure(meter)
    assert "no edge came on D0" in results.cases.iloc[0].energy_reason
    assert results.windows.problem.tolist() == ["no sync"] * 3
    assert results.cases.iloc[0][["energy_uj", "energy_net_uj"]].isna().all()


@pytest.mark.slow
def test_a_board_whose_counter_is_off_fails_the_case(measure, tmp_path, monkeypatch):
    infer = Link.infer

    def slow(link, data, count=1):
        found = infer(link, data, count)
        return SimpleNamespace(ticks=tuple(int(0.98 * ticks) for ticks in found.ticks), output=found.output)

    monkeypatch.setattr(Link, "infer", slow)
    results = measure(Meter(device(tmp_path, SHORT), PowerOptions()), MeasurementError, "by the monitor's clock and")
    assert results.cases.iloc[0].status == "failed"
    assert set(results.windows.problem) == {"clock"}


def test_a_monitor_that_feeds_the_board_is_opened_before_it(tmp_path, monkeypatch):
    opened, said = [], []
    monitor = SimpleNamespace(close=lambda: opened.append("closed"))
    monkeypatch.setattr("harness.power.meter._BOOT_S", 0)
    monkeypatch.setattr("harness.power.meter.open_real", lambda supply: opened.append(supply.mode) or monitor)
    source = Meter(device(tmp_path, "monitor: ppk2, voltage_v: 3.0"), PowerOptions(wanted="off"))
    source.feed("virtual", said.append)
    assert opened == []
    source.feed("hardware", said.append)
    source.feed("hardware", said.append)
    source.close()
    assert opened == ["source", "closed"]
    Meter(device(tmp_path, "monitor: ppk2, voltage_v: 3.0, mode: ampere"), PowerOptions()).feed("hardware", said.append)
    Meter(device(tmp_path), PowerOptions()).feed("hardware", said.append)
    assert opened == ["source", "closed"]
    assert said == []


def test_a_monitor_that_is_not_there_to_feed_the_board_is_logged(tmp_path, monkeypatch):
    def missing(_supply):
        raise PowerError("no ppk2 is attached")

    said = []
    monkeypatch.setattr("harness.power.meter.open_real", missing)
    Meter(device(tmp_path, "monitor: ppk2, voltage_v: 3.0"), PowerOptions()).feed("hardware", said.append)
    assert said == ["power: no ppk2 is attached"]


def test_mlperf_rules_replace_what_devices_yaml_says(tmp_path):
    meter = Meter(device(tmp_path), PowerOptions(mlperf_rules=True))
    assert meter.plan == MLPERF_PLAN
    assert (meter.plan.window_s, meter.plan.windows) == (10.0, 5)
    assert Meter(device(tmp_path), PowerOptions()).plan.window_s == 0.1


def test_windows_of_an_attempt_that_failed_are_dropped(tmp_path):
    keys = {"device": "d", "board": "b", "backend": "virtual", "suite": "s", "variant": "v"}
    with Run.create(tmp_path, {"seed": 0}) as run:
        case = run.begin_case(**keys)
        case.windows([{"samples": 1}, {"samples": 2}])
        case.restart("lost")
        case.windows([{"samples": 3}])
        with pytest.raises(ValueError, match="no column 'joules'"):
            case.windows([{"joules": 1}])
        case.finish(status="complete")
    assert load_results(run.path).windows.samples.tolist() == [3]


@pytest.mark.parametrize(("backend", "source"), [("virtual", "ppk2"), ("hardware", "simulated"), ("virtual", None)])
def test_energy_of_the_wrong_kind_of_source_is_refused(tmp_path, backend, source):
    keys = {"device": "d", "board": "b", "backend": backend, "suite": "s", "variant": "v"}
    with Run.create(tmp_path, {"seed": 0}) as run:
        case = run.begin_case(**keys)
        with pytest.raises(ValueError, match="simulated power is for emulators"):
            case.finish(status="complete", energy_uj=1.0, power_source=source)
