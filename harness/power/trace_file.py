"""Reads CSV exports of power monitors: which column is what, in which unit, and the sync pin's level."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from harness.errors import PowerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.power.base import Bytes, Floats

#: The programs whose own files are often given instead of an export, by suffix.
_OWN_FORMATS: Final = {
    ".ppk2": "Power Profiler: Save / Export > CSV, with timestamps, current and digital logic",
    ".ppk": "Power Profiler: Save / Export > CSV, with timestamps, current and digital logic",
    ".jls": "the Joulescope UI: zoom to what you want, then export the visible data as CSV",
    ".otii": "Otii: export the recording as CSV",
    ".otii3": "Otii: export the recording as CSV",
}
_SCALE: Final = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0}
_UNIT: Final = re.compile(r"[\s_(\[]([nuµμm]?)(s|a|v)[)\]]?$")
#: By the unit's letter: what a column's name says if it is one.
_TIME, _CURRENT, _VOLTAGE = "s", "a", "v"
_WORDS: Final = {_TIME: ("time",), _CURRENT: ("current",), _VOLTAGE: ("voltage",)}
#: How the Joulescope UI ends the names of its signals.
_JOULESCOPE: Final = {_CURRENT: ".i", _VOLTAGE: ".v"}
_BITS: Final = "d0-d7"  # Nordic's Power Profiler: one character for each input, from D0 on
_BIT: Final = {"0": 0.0, "1": 1.0, "X": 0.5}  # X: both levels occurred within the sample
_INPUT: Final = re.compile(r"d([0-7])")
_MAX_HEADER: Final = 50  # lines that may stand before the columns' names
_LEAST_SWING: Final = 0.5  # between the levels of a pin, in volt, or between 0 and 1
_UNCLEAR: Final = 0.3  # of the swing: a pin changes its level where it comes closer than that to the other one


@dataclass(frozen=True)
class Columns:
    """What a CSV file holds, in SI units. All arrays have one entry per sample.

    Attributes:
        time_s: since the first sample, in seconds.
        current_a: current of each sample, in ampere.
        voltage_v: in volt; None if the file has no such column.
        sync: level of the sync pin, 0 or 1.
    """

    time_s: Floats
    current_a: Floats
    voltage_v: Floats | None
    sync: Bytes


def read_columns(path: Path, sync: str | None) -> Columns:
    """Read a CSV file.

    Args:
        path: a file with the columns time_s, current_a, sync and perhaps voltage_v, or an export of Nordic's Power
            Profiler, Otii or the Joulescope UI.
        sync: name of the column, or of the input (D0 to D7), that the sync pin is wired to; None for `sync`.

    Raises:
        PowerError: the file can't be read, a column is missing or could be two, or holds what isn't a number.
    """
    table = _read_table(path)
    if table.empty:
        raise PowerError(f"{path}: it has a header and no samples; export it again")
    names = {str(name): _tidy(str(name)) for name in table.columns}
    has_voltage = any(_holds(tidy, _VOLTAGE) for tidy in names.values())
    return Columns(
        _time(path, table, _find(path, names, _TIME)),
        _in_si(path, table, _find(path, names, _CURRENT)),
        _in_si(path, table, _find(path, names, _VOLTAGE)) if has_voltage else None,
        logic_level(_sync_values(path, table, names, sync)),
    )


def _tidy(name: str) -> str:
    return name.strip().lstrip("#").strip().lower()


def _read_table(path: Path) -> pd.DataFrame:
    if path.suffix.lower() in _OWN_FORMATS:
        raise PowerError(
            f"{path} is a file of its program's own. Export it as CSV there ({_OWN_FORMATS[path.suffix.lower()]}), and "
            "give that file"
        )
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = [file.readline() for _ in range(_MAX_HEADER)]
    except UnicodeDecodeError as error:
        raise PowerError(f"{path} is not a text file; export the trace as CSV and give that file") from error
    except OSError as error:
        raise PowerError(f"{path} can't be read as a trace: {error.strerror or error}") from error
    header = next((at for at, line in enumerate(lines) if _may_be_header(line)), None)
    if header is None:
        raise PowerError(f"{path}: no line with the columns' names was found; the first one must name them")
    separator = max((";", "\t", ","), key=lines[header].count)
    decimal = "," if separator == ";" and "," in "".join(lines[header + 1 :]) else "."
    bits = [name for name in lines[header].replace('"', "").split(separator) if _tidy(name) == _BITS]
    try:
        return pd.read_csv(
            path,
            sep=separator,
            decimal=decimal,
            skiprows=header,
            skipinitialspace=True,
            encoding="utf-8-sig",
            dtype={name.strip("\r\n"): str for name in bits},
        )
    except (OSError, ValueError, OverflowError) as error:
        raise PowerError(f"{path} can't be read as a trace: {error}") from error


def _may_be_header(line: str) -> bool:
    """Tell the columns' names from a comment: a comment that names a time and something else is the header, too."""
    text = _tidy(line)
    if not text:
        return False
    return not line.lstrip().startswith("#") or ("time" in text and any(mark in text for mark in ",;\t"))


def _find(path: Path, names: dict[str, str], letter: str) -> str:
    """Return the column that holds a quantity."""
    found = [name for name, tidy in names.items() if _holds(tidy, letter)]
    if len(found) == 1:
        return found[0]
    what = _WORDS[letter][0]
    if found:
        raise PowerError(f"{path}: {' and '.join(found)} could each be the {what}; leave one of them in the file")
    raise PowerError(f"{path}: no column for the {what}; it has {', '.join(names)}. {_TAKEN}")


_TAKEN: Final = (
    "Taken are time_s, current_a, sync, voltage_v, and exports of Power Profiler, Otii and the Joulescope UI"
)


def _holds(tidy: str, letter: str) -> bool:
    if tidy.endswith(_JOULESCOPE.get(letter, "\0")):
        return True
    unit = _UNIT.search(tidy)
    return any(word in tidy for word in _WORDS[letter]) and (unit is None or unit[2] == letter)


def _in_si(path: Path, table: pd.DataFrame, name: str) -> Floats:
    """Return a column in seconds, ampere or volt, by the unit in its name."""
    unit = _UNIT.search(_tidy(name))
    return _numbers(path, table, name) * (_SCALE[unit[1]] if unit else 1.0)


def _time(path: Path, table: pd.DataFrame, name: str) -> Floats:
    column = table[name]
    if pd.api.types.is_numeric_dtype(column):
        values = _in_si(path, table, name)
        since: Floats = values - values[0]
        return since
    try:
        stamps = pd.to_datetime(column, format="ISO8601", utc=True).dt.tz_localize(None).to_numpy("datetime64[ns]")
    except (ValueError, OverflowError, TypeError) as error:
        raise PowerError(
            f"{path}: {name} holds neither seconds nor times like 2026-11-28 10:00:00.000 ({error})"
        ) from error
    if np.isnat(stamps).any():
        raise PowerError(f"{path}: a value is missing in {name}")
    elapsed: Floats = (stamps - stamps[0]) / np.timedelta64(1, "ns") * 1e-9
    return elapsed


def _numbers(path: Path, table: pd.DataFrame, name: str) -> Floats:
    try:
        values: Floats = table[name].to_numpy(float)
    except (ValueError, TypeError) as error:
        raise PowerError(f"{path}: a value in {name} is not a number ({error})") from error
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise PowerError(f"{path}: a value is missing in {name}, row {row + 1}")
    return values


def _sync_values(path: Path, table: pd.DataFrame, names: dict[str, str], sync: str | None) -> Floats:
    wanted = _tidy(sync or "sync")
    by_name = [name for name, tidy in names.items() if tidy == wanted]
    if len(by_name) == 1:
        return _bits(path, table[by_name[0]], 0, by_name[0])
    number = _INPUT.fullmatch(wanted)
    packed = [name for name, tidy in names.items() if tidy == _BITS]
    if number and packed:
        return _bits(path, table[packed[0]], int(number[1]), packed[0])
    others = [name for name, tidy in names.items() if not any(_holds(tidy, letter) for letter in _WORDS)]
    offered = ["D0"] if packed else others
    hint = f"say which one carries the sync pin: --sync {offered[0]}" if offered else "export the sync pin's level, too"
    raise PowerError(f"{path}: no column {sync or 'sync'}; it has {', '.join(names)}; {hint}")


def _bits(path: Path, column: pd.Series[Any], bit: int, name: str) -> Floats:
    """Return the levels of a column of numbers, or those of one of the inputs in a column of strings."""
    if pd.api.types.is_numeric_dtype(column):
        return _numbers(path, column.to_frame(), str(column.name))
    levels: Floats = np.array(column.astype(str).str.strip().str[bit].map(_BIT), float)
    if np.isnan(levels).any():
        raise PowerError(
            f"{path}: {name} has no level for D{bit} in row {int(np.flatnonzero(np.isnan(levels))[0]) + 1}; was the "
            "logic port of the monitor used?"
        )
    return levels


def logic_level(values: Floats) -> Bytes:
    """Turn volts, or zeros and ones, into the level of a pin: 0 or 1.

    The two levels are told apart by the threshold of N. Otsu, "A threshold selection method from gray-level
    histograms" (1979), which a few outliers don't move, unlike half of the highest value. A level changes when the
    pin comes close to the other one, so that noise on a slow edge doesn't count twice. Where there are no two levels
    at least half a volt apart, the pin never went high, or was never low if it is above half a volt.
    """
    low, high = _levels(values)
    if high - low < _LEAST_SWING:
        return np.full(len(values), float(np.median(values)) >= _LEAST_SWING, np.uint8)
    swing = high - low
    known = np.full(len(values), -1, np.int8)
    known[values <= low + _UNCLEAR * swing] = 0
    known[values >= high - _UNCLEAR * swing] = 1
    sure = np.flatnonzero(known >= 0)
    latest = np.maximum.accumulate(np.where(known >= 0, np.arange(len(known)), sure[0]))
    return known[latest].astype(np.uint8)


def _levels(values: Floats) -> tuple[float, float]:
    """Return the medians of the two classes of Otsu's threshold."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = len(values) - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    threshold = edges[1 + int(np.argmax(np.nan_to_num(between)))]
    lower, upper = values[values < threshold], values[values >= threshold]
    if not len(lower) or not len(upper):
        level = float(np.median(values))
        return level, level
    return float(np.median(lower)), float(np.median(upper))


def glitches(level: Bytes, longest: int) -> Sequence[int]:
    """Return where a pin keeps a level for at most `longest` samples, the beginning and the end left out."""
    changes = np.flatnonzero(np.diff(level)) + 1
    return [int(place) for place in changes[:-1][np.diff(changes) <= longest]]
