from harness.report.summary import render

ROW = {
    "suite": "s",
    "device": "d",
    "board": "nano33",
    "board_uid": "1",
    "backend": "virtual",
    "variant": "int8",
    "technique": None,
    "baseline": None,
    "status": "complete",
    "reason": None,
    "samples": 10,
    "accuracy": 0.9,
    "accuracy_low": 0.8,
    "accuracy_high": 1.0,
    "counter": "instructions",
    "clock_hz": 64_000_000,
    "engine": "e",
    "ticks_median": 100.0,
    "energy_uj": 264.6775,
    "energy_uj_min": 264.6,
    "energy_uj_max": 264.8,
    "energy_net_uj": 216.5,
    "inferences_per_joule": 3778.18,
    "current_ua_mean": 3299.8,
    "idle_current_ua": 600.2,
    "power_source": "simulated",
    "power_samples": 1000,
    "power_lost_samples": 5,
}


def text(**changes):
    return " ".join(render([ROW | changes], width=200, color=False).split())


def test_simulated_energy_is_called_so():
    shown = text()
    assert "SIMULATED energy per inference, uJ" in shown
    assert "no current was measured" in shown
    assert "264.7 264.6 264.8 216.5 3,778 3,300 600.2 0.5 %" in shown


def test_measured_energy_names_its_monitor():
    shown = text(backend="hardware", power_source="ppk2", counter="cycles")
    assert "energy per inference, uJ (ppk2)" in shown
    assert "SIMULATED" not in shown
    assert "no current was measured" not in shown


def test_sources_are_never_in_one_table():
    rows = [
        ROW | {"power_source": "ppk2", "backend": "hardware"},
        ROW | {"power_source": "lpm01a", "backend": "hardware"},
    ]
    shown = render(rows, width=200, color=False)
    assert "(ppk2)" in shown
    assert "(lpm01a)" in shown


def test_missing_energy_says_why_only_if_it_was_expected():
    nothing = {name: None for name in ROW if name.startswith(("energy", "power", "current", "idle", "inferences"))}
    assert "int8 has no energy: PPK2: gone" in text(**nothing | {"energy_reason": "PPK2: gone"})
    assert "energy:" not in text(**nothing | {"energy_reason": "no power monitor"})
