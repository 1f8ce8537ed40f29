import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import PowerError
from harness.power.base import Chunk, MonitorInfo
from harness.power.replay import load_trace
from harness.store.raw_windows import RawWindow


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


def exported(folder, header, *columns, separator=",", name="export.csv"):
    """A file of the form that another program writes."""
    lines = [header, *(separator.join(row) for row in zip(*columns, strict=True))]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def measured(rate=1000):
    """The trace of `csv`, as arrays: time in s, current in A, and where the pin is high."""
    time_s = np.arange(5 * rate) / rate
    high = (time_s >= 2) & (time_s < 3)
    return time_s, np.where(high, 5e-3, 1e-3), high


def text(values, form="{:.9g}"):
    return [form.format(value) for value in values]


def test_an_export_of_power_profiler_is_read(tmp_path):
    time_s, current, high = measured()
    bits = ["00010000" if on else "10000000" for on in high]  # D0 goes the other way, D3 carries the pin
    path = exported(tmp_path, "Timestamp(ms),Current(uA),D0-D7", text(1e3 * time_s), text(1e6 * current), bits)
    shown = trace(path, "--voltage", "3", "--sync", "D3", "--batches", "1")
    assert shown.exit_code == 0, shown.output
    assert "1500 uJ" in shown.output
    shown = trace(path, "--voltage", "3")
    assert shown.exit_code == 1
    assert "say which one carries the sync pin: --sync D0" in shown.output


def test_an_export_of_power_profiler_with_a_column_for_each_input_is_read(tmp_path):
    time_s, current, high = measured()
    header = "Timestamp(ms),Current(uA),D0,D1,D2,D3,D4,D5,D6,D7"
    inputs = [["1" if on and bit == 1 else "0" for on in high] for bit in range(8)]
    path = exported(tmp_path, header, text(1e3 * time_s), text(1e6 * current), *inputs)
    assert "1500 uJ" in trace(path, "--voltage", "3", "--sync", "D1").output


def test_an_export_of_otii_is_read(tmp_path):
    time_s, current, high = measured()
    stamps = [f"2026-11-28 10:00:{moment:09.6f}" for moment in time_s]
    header = '"Wall-clock time (UTC)","Arc Main Current (A)","Arc Main Voltage (V)","Arc GPI1"'
    path = exported(tmp_path, header, stamps, text(current), ["3.0"] * len(high), text(3.3 * high))
    assert "1500 uJ" in trace(path, "--sync", "Arc GPI1").output
    columns = [text(column, "{:.6f}") for column in (time_s, 1e3 * current, high)]
    semicolons = exported(tmp_path, "Timestamp;Current (mA);GPI1", *columns, separator=";")
    semicolons.write_text(semicolons.read_text(encoding="utf-8").replace(".", ","), encoding="utf-8")
    assert "1500 uJ" in trace(semicolons, "--sync", "GPI1", "--voltage", "3").output


def test_an_export_of_the_joulescope_ui_is_read(tmp_path):
    time_s, current, high = measured()
    path = tmp_path / "export.csv"
    columns = np.column_stack([time_s, current, np.full(len(high), 3.0), high])
    np.savetxt(path, columns, delimiter=",", header="time,001234.i,001234.v,001234.2")  # writes "# time"
    assert "1500 uJ" in trace(path, "--sync", "001234.2").output


@pytest.mark.parametrize(("name", "message"), [
    ("trace.ppk2", "Export it as CSV there"),
    ("trace.jls", "Export it as CSV there"),
    ("trace.bin", "is not a text file; export the trace as CSV"),
])  # fmt: skip
def test_a_file_of_a_programs_own_is_told_what_to_do(tmp_path, name, message):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04\xff\xfe" + bytes(range(256)))
    shown = trace(path)
    assert shown.exit_code == 1
    assert message in shown.output


def glitch(rows):
    rows[25_000, 3] = 0
    return rows


def spike(rows):
    rows[:, 3] *= 1.8 / 3.3
    rows[25_000, 3] = 5.0  # while the pin is high: half of it would be more than the pin ever is
    return rows


def test_one_spike_does_not_hide_the_batches(tmp_path):
    text = " ".join(trace(csv(tmp_path, change=spike)).output.split())
    assert "sync pin high 1.000000 s" in text
    assert "1500 uJ" in text


def scaled(column, factor):
    def change(rows):
        rows[:, column] *= factor
        return rows

    return change


def idle_differs(rows):
    rows[rows[:, 0] >= 3, 1] = 2e-3
    return rows


def test_what_looks_odd_is_remarked(tmp_path):
    shown = trace(csv(tmp_path, change=idle_differs))
    assert "note: the idle current is 1000 uA before and 2000 uA after the batches" in shown.output


def test_the_number_of_batches_is_held_against_what_was_said(tmp_path):
    shown = trace(csv(tmp_path), "--batches", "2")
    assert shown.exit_code == 1
    assert "goes high once, and you said --batches 2" in shown.output


def uneven(rows):
    rows[100, 0] += 5e-5
    return rows


def never(rows):
    rows[:, 3] = 0
    return rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"columns": "time_s,current_a,voltage_v,pin"},
            "no column sync; it has time_s, current_a, voltage_v, pin; say which one",
        ),
        ({"change": uneven}, "aren't evenly spaced"),
        ({"change": lambda rows: rows[:5]}, "5 samples are too few"),
        ({"change": never}, "it never goes high"),
        ({"change": lambda rows: rows[: 5 * 5000]}, "1 times it is cut off"),
        ({"change": lambda rows: np.where(rows == 3.0, np.nan, rows)}, "a value is missing in time_s, row 30001"),
        ({"change": lambda rows: rows[:0]}, "a header and no samples"),
        ({"change": glitch}, "changes for no more than 2 samples once, first at 2.500000 s: a loose wire"),
        ({"change": scaled(1, -1)}, "are the leads swapped?"),
        ({"change": scaled(1, 1e6)}, "is the column in uA or mA?"),
        ({"change": scaled(1, 1e-6)}, "is the column in uA or mA?"),
        ({"change": scaled(2, 1e3)}, "the supply is 3000 V"),
        ({"change": scaled(3, 1e-2)}, "it never goes high"),
        ({"columns": "time_s,current_a,Current(mA),sync"}, "current_a and Current(mA) could each be the current"),
    ],
)
def test_a_trace_that_can_not_be_used_says_why(tmp_path, options, message):
    shown = trace(csv(tmp_path, **options))
    assert shown.exit_code == 1
    assert message in shown.output


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PowerError, match="can't be read as a trace"):
        load_trace(tmp_path / "none.csv", 3.0)
