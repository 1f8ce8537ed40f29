import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import PowerError
from harness.power.base import Chunk, MonitorInfo
from harness.power.raw import RawWindow
from harness.power.replay import load_trace


def csv(folder, *, rate=10_000, columns="time_s,current_a,voltage_v,sync", change=lambda rows: rows):
    """2 s at 1 mA, 1 s at 5 mA with the pin high, 2 s at 1 mA; 3 V: 10 inferences of 1500 uJ."""
    time_s = np.arange(5 * rate) / rate
    high = (time_s >= 2) & (time_s < 3)
    rows = np.column_stack([time_s, np.where(high, 5e-3, 1e-3), np.full(len(time_s), 3.0), 3.3 * high])
    path = folder / "trace.csv"
    np.savetxt(path, change(rows), delimiter=",", header=columns, comments="", fmt="%.9g")
    return path


def trace(path, *more):
    return CliRunner().invoke(main, ["trace", str(path), "--inferences", "10", *more])


def test_energy_of_a_trace(tmp_path):
    shown = trace(csv(tmp_path))
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "source csv" in text
    assert "energy per inference 1500 uJ" in text
    assert "less idle 1200 uJ" in text
    assert "sync pin high 1.000000 s" in text
    assert "idle current 1000 uA" in text
    assert "clock was not checked" in text


def test_a_simulated_window_stays_simulated_and_can_be_drawn(tmp_path):
    info = MonitorInfo("ppk2", "", 1000, 3.0, simulated=True)
    raw = RawWindow(tmp_path, "case0", info, 1)
    logic = np.zeros(3000, np.uint8)
    logic[1000:2000] = 2
    raw.write(Chunk(np.where(logic > 0, 5e-3, 1e-3), 3.0, logic, np.zeros(3000, np.bool_)))
    raw.close()
    shown = trace(tmp_path / raw.name, "--plot", str(tmp_path / "plot.png"))
    assert shown.exit_code == 0, shown.output
    assert "SIMULATED, no current was measured" in shown.output
    assert "of simulated time" in shown.output
    assert "1500 uJ" in shown.output
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_supply_can_be_said(tmp_path):
    path = csv(tmp_path, columns="time_s,current_a,ignored,sync")
    with pytest.raises(PowerError, match="say the supply with --voltage"):
        load_trace(path)
    assert load_trace(path, 3.0).chunk.voltage_v == 3.0


def uneven(rows):
    rows[100, 0] += 5e-5
    return rows


def never(rows):
    rows[:, 3] = 0
    return rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": "time_s,current_a,voltage_v,pin"}, "no column sync; it has time_s, current_a, voltage_v, pin"),
        ({"change": uneven}, "aren't evenly spaced"),
        ({"change": lambda rows: rows[:5]}, "5 samples are too few"),
        ({"change": never}, "it never goes high"),
        ({"change": lambda rows: rows[: 5 * 5000]}, "1 times it is cut off"),
        ({"change": lambda rows: np.where(rows == 3.0, np.nan, rows)}, "a value is missing"),
    ],
)
def test_a_trace_that_can_not_be_used_says_why(tmp_path, options, message):
    shown = trace(csv(tmp_path, **options))
    assert shown.exit_code == 1
    assert message in shown.output


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PowerError, match="can't be read as a trace"):
        load_trace(tmp_path / "none.csv", 3.0)
