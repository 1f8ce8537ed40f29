"""Cases made up for comparisons, in memory and as real run folders."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from harness.report.pairing import Side
from harness.schema import CASES
from harness.store import Run

_NUMBERS = itertools.count()

KEYS = {"device": "nano33", "board": "nano33", "backend": "hardware", "suite": "digits", "variant": "int8"}


def make_side(ticks=None, correct=None, *, predictions=None, crcs=None, **columns):
    """Return a complete case: ticks [N] or [N, repeats], and which answers are right [N]."""
    ticks = np.asarray([1000] * 30 if ticks is None else ticks)
    ticks = ticks.reshape(len(ticks), -1)
    count, repeats = ticks.shape
    labels = np.arange(count) % 10
    if predictions is None:
        predictions = labels if correct is None else np.where(correct, labels, (labels + 1) % 10)
    counter = "cycles" if columns.get("backend", "hardware") == "hardware" else "instructions"
    median = float(np.median(ticks))
    row = (
        {column.name: None for column in CASES}
        | KEYS
        | {"run": f"run{next(_NUMBERS)}", "case": 0, "status": "complete"}
    )
    row |= {"counter": counter, "clock_hz": 64_000_000, "engine": "tinyml-hil", "samples": count}
    row |= {"accuracy": float(np.mean(predictions == labels)), "ticks_median": median}
    if counter == "cycles":
        row["latency_us_median"] = median / 64
    columns_of_samples = {
        "case": np.zeros(count * repeats),
        "sample": np.tile(np.arange(count), repeats),
        "repeat": np.repeat(np.arange(repeats), count),
        "label": np.tile(labels, repeats),
        "prediction": np.tile(predictions, repeats),
        "ticks": ticks.T.reshape(-1),
        "output_crc": np.arange(count * repeats) if crcs is None else np.asarray(crcs),
    }
    # Simulations make thousands of cases: a frame that is converted afterwards takes three times as long.
    known = np.zeros(count * repeats, dtype=bool)
    samples = {
        name: pd.arrays.IntegerArray(values.astype(np.int64), known.copy())
        for name, values in columns_of_samples.items()
    }
    return Side(row | columns, pd.DataFrame(samples, copy=False))


def write_run(results_dir, *, cases=({},), ticks=None, when=None, revision=None, correct=None, layers=()):
    """Write a run whose cases have the keys above and what `cases` says instead, `ticks` and `crcs` included."""
    run = Run.create(results_dir, {"harness_version": "1", "git_revision": revision})
    usual = [1000] * 30 if ticks is None else ticks
    for given in cases:
        columns = dict(given)
        ticks = np.asarray(columns.pop("ticks", usual))
        labels = np.arange(len(ticks)) % 10
        predictions = labels if correct is None else np.where(correct, labels, (labels + 1) % 10)
        keys = {name: columns.pop(name, value) for name, value in KEYS.items()}
        baseline, crcs = columns.pop("baseline", None), columns.pop("crcs", range(len(ticks)))
        where = {name: columns.pop(name, None) for name in ("pool", "host")}
        case = run.begin_case(**keys, **where, baseline=baseline, technique="x")
        if columns.get("status", "complete") == "complete":
            for index, value in enumerate(ticks):
                case.sample(
                    sample=index,
                    label=int(labels[index]),
                    prediction=int(predictions[index]),
                    ticks=int(value),
                    output_crc=int(crcs[index]),
                )
            if layers:
                case.layers(layers)
            median = float(np.median(ticks))
            figures = {
                "accuracy": float(np.mean(predictions == labels)),
                "ticks_median": median,
                "clock_hz": 64_000_000,
            }
            figures |= {"clock_hz": 64_000_000, "engine": "tinyml-hil", "ram_peak_bytes": 1000, "flash_bytes": 2000}
            if keys["backend"] == "hardware":
                figures["latency_us_median"] = median / 64
            columns = {"status": "complete", **figures, **columns}
        case.finish(**columns)
    if when is not None:
        run = at(run, when)
    run.close()
    return run.path


def pooled(number, variant="int8", **columns):
    """Return a case that board `number` of the pool nano33 measured, for `write_run`."""
    return {"device": f"bench-{number}", "pool": "nano33", "board_uid": f"uid{number}", "variant": variant, **columns}


def at(run, when):
    """Let a run have begun at another time."""
    run._about["started_utc"] = datetime.fromisoformat(when).replace(tzinfo=UTC).isoformat()
    return run
