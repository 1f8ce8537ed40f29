"""How long it takes to load and aggregate a long history, and how much memory.

    python benchmarks/history.py [--runs 1000] [--rows 10000000] [--keep DIR]

Makes run folders in a temporary folder through the store's own schema, then reads them in a process of its own:
every case row, and the median and 95th percentile of ticks for each variant and run from the raw samples.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.schema import SAMPLES, SCHEMA_VERSION, TABLES
from harness.store import load_results
from harness.store.tables import CHUNK_ROWS, arrow_schema

VARIANTS = ("float32", "int8", "int8_pruned", "int8_distilled")
START = datetime(2026, 1, 1, 2, tzinfo=UTC)
LIMIT_S = 10.0
LIMIT_BYTES = 2 * 10**9


def make_history(folder: Path, runs: int, rows: int) -> None:
    """Write `runs` run folders with `rows` sample rows in all."""
    random = np.random.default_rng(0)
    per_case = rows // runs // len(VARIANTS)
    for number in range(runs):
        began = START + timedelta(hours=number)
        name = f"{began:%Y%m%dT%H%M%SZ}-{number:06x}"
        run = folder / name
        run.mkdir()
        about = {"schema_version": SCHEMA_VERSION, "run": name, "state": "closed", "started_utc": began.isoformat()}
        (run / "run.json").write_text(json.dumps(about | {"git_revision": f"{number:040x}"}))
        cases, samples = [], []
        for case, variant in enumerate(VARIANTS):
            ticks = np.rint(1e6 * (1 + case) * (1 + 0.001 * random.standard_normal(per_case))).astype(np.int64)
            keys = {"run": name, "case": case, "device": "nano33", "board": "nano33", "backend": "hardware"}
            keys |= {"suite": "fashion_mnist", "variant": variant}
            median = float(np.median(ticks))
            cases.append(
                keys
                | {"status": "complete", "samples": per_case, "accuracy": 0.9, "counter": "cycles"}
                | {"clock_hz": 64_000_000, "engine": "tinyml-hil", "ticks_median": median}
                | {"latency_us_median": median / 64, "ram_peak_bytes": 10_000, "flash_bytes": 30_000}
                | {"started_utc": began}
            )
            columns = {
                name: pa.array([value]).take(pa.array(np.zeros(per_case, np.int8))) for name, value in keys.items()
            }
            columns |= {"sample": np.arange(per_case), "repeat": np.zeros(per_case, np.int64), "ticks": ticks}
            labels = random.integers(0, 10, per_case)
            columns |= {"label": labels, "prediction": labels, "output_crc": random.integers(0, 2**32, per_case)}
            samples.append(pa.table([columns[column.name] for column in SAMPLES], schema=arrow_schema(SAMPLES)))
        pq.write_table(
            pa.concat_tables(samples).combine_chunks(),
            run / "samples.parquet",
            row_group_size=CHUNK_ROWS,
            compression="zstd",
            write_page_checksum=True,
        )
        table = pa.Table.from_pylist(cases, schema=arrow_schema(TABLES["cases"]))
        pq.write_table(table, run / "cases.parquet", compression="zstd", write_page_checksum=True)


def aggregate(folder: Path) -> None:
    """Load a history, aggregate its samples, and print what it took as JSON."""
    start = time.perf_counter()
    results = load_results(folder)
    loaded = time.perf_counter() - start
    samples = results.table("samples", ["run", "variant", "ticks"])
    groups = samples.groupby(["run", "variant"], observed=True)["ticks"]
    medians, p95 = groups.median(), groups.quantile(0.95)
    seconds = time.perf_counter() - start
    if len(medians) != len(results.cases) or len(p95) != len(medians):
        raise SystemExit("the aggregate doesn't have a row for each case")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    sizes = {"runs": len(results.runs), "cases": len(results.cases), "rows": len(samples)}
    figures = {"cases_s": loaded, "total_s": seconds, "cpu_s": time.process_time(), "peak_bytes": peak}
    print(json.dumps(sizes | figures))


def main() -> None:
    """Make a history, measure in a process of its own, and say whether it is within the limits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="use or make the history here, and keep it")
    parser.add_argument("--aggregate", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.aggregate is not None:
        aggregate(options.aggregate)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not any(folder.iterdir()):
            make_history(folder, options.runs, options.rows)
        command = [sys.executable, __file__, "--aggregate", str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (own command)
    found = json.loads(done.stdout)
    within = found["total_s"] < LIMIT_S and found["peak_bytes"] < LIMIT_BYTES
    print(f"{found['runs']:,} runs, {found['cases']:,} cases, {found['rows']:,} sample rows on {os.cpu_count()} cores")
    print(f"cases loaded in {found['cases_s']:.1f} s; all loaded and aggregated in {found['total_s']:.1f} s")
    print(f"processor time of the whole process {found['cpu_s']:.1f} s")
    print(f"peak memory {found['peak_bytes'] / 1e9:.2f} GB; load average {os.getloadavg()[0]:.1f}")
    print(f"{'within' if within else 'OVER'} {LIMIT_S:g} s and {LIMIT_BYTES / 1e9:g} GB")
    if not within:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
