"""The columns of the results, with their types, units and meaning."""

from __future__ import annotations

from typing import Final

from harness.case_parts import ATTEMPTS, KEYS, LAYERS, OUTPUTS, SAMPLES, TARGETS, WINDOWS
from harness.column import Column

#: Goes up when a column is added, or changes its name, type or meaning. Written into run.json and every Parquet
#: file. docs/results.md lists the versions.
SCHEMA_VERSION: Final = 11

#: `power_source` of a power monitor that does not exist.
SIMULATED: Final = "simulated"

CASES: Final[tuple[Column, ...]] = (
    *KEYS,
    Column(
        "pool", "string", "", "pool of boards that shared the run's cases; missing if this very device was asked for"
    ),
    Column("host", "string", "", "computer that drove the board"),
    Column("technique", "string", "", "how the variant was optimized"),
    Column("baseline", "string", "", "variant that it is compared with"),
    Column("status", "string", "", "complete, failed or skipped"),
    Column("reason", "string", "", "why it failed or was skipped"),
    Column(
        "verdict",
        "string",
        "",
        "of the suite's limits and of the gate: passed, failed, or unchecked if nothing failed and something could not "
        "be told; missing if there was nothing to be held against",
        score=True,
    ),
    Column("verdict_reason", "string", "", "what was exceeded, and what could not be checked", score=True),
    Column(
        "samples", "Int64", "", "inputs that were run; each is scored once, further repeats are in the sample table"
    ),
    Column("samples_asked", "Int64", "", "inputs that were asked for; missing: all"),
    Column("classes", "Int64", "", "classes of the suite"),
    Column("classes_seen", "Int64", "", "how many of them occur among the labels of the inputs"),
    Column(
        "majority_share",
        "Float64",
        "share",
        "the most frequent class among these labels: what always answering it scores",
    ),
    Column("inputs_min", "Float64", "", "smallest real value that the model gets"),
    Column("inputs_max", "Float64", "", "largest real value that the model gets"),
    Column(
        "inputs_saturated", "Float64", "share", "values outside of what the input tensor of `inputs_range_of` can hold"
    ),
    Column("inputs_codes", "Int64", "", "different codes that the values come to in that tensor, of 256"),
    Column(
        "inputs_values", "Int64", "", "different values that they stand for; counted only if the codes are below 32"
    ),
    Column(
        "inputs_range_of",
        "string",
        "",
        "variant whose input tensor says the range: this one, or another if it is float32",
    ),
    Column(
        "inputs_note",
        "string",
        "",
        "what the suite notes of its inputs, or that they are random; why the range is another variant's or not known",
    ),
    Column("accuracy", "Float64", "share", "top-1: correct predictions / samples", score=True),
    Column("accuracy_low", "Float64", "share", "lower end of its 95 % Wilson interval", score=True),
    Column("accuracy_high", "Float64", "share", "upper end of its 95 % Wilson interval", score=True),
    Column("metric", "string", "", "the suite's metric, with its parameters as JSON if it has some"),
    Column("score", "Float64", "", "the figure of that metric; missing for the metric none", score=True),
    Column("score_low", "Float64", "", "lower end of its 95 % interval", score=True),
    Column("score_high", "Float64", "", "upper end of its 95 % interval", score=True),
    Column("score_words", "string", "", "the score in words, with the counts that it rests on", score=True),
    Column("input_s", "Float64", "s", "what one input lasts, where the suite says that"),
    Column("agreement", "Float64", "share", "predictions that equal the reference's / samples", score=True),
    Column("agreement_low", "Float64", "share", "lower end of its 95 % Wilson interval", score=True),
    Column("agreement_high", "Float64", "share", "upper end of its 95 % Wilson interval", score=True),
    Column(
        "reference_difference_max",
        "Float64",
        "",
        "greatest difference of a real-valued output from the reference's; missing if that has classes only",
        score=True,
    ),
    Column("reference", "string", "", "file and array of the reference; missing if the variant has none"),
    Column("reference_sha256", "string", "", "SHA-256 of what it says of the inputs that were run"),
    Column("counter", "string", "", "what a tick is: cycles (hardware), instructions or emulated cycles (emulators)"),
    Column("clock_hz", "Int64", "Hz", "frequency of the counter as the board announced it"),
    Column("ticks_median", "Float64", "ticks", "median over inferences", score=True),
    Column("ticks_p95", "Int64", "ticks", "95th percentile, nearest rank", score=True),
    Column("ticks_min", "Int64", "ticks", "smallest", score=True),
    Column("ticks_max", "Int64", "ticks", "largest", score=True),
    Column("latency_us_median", "Float64", "us", "median; hardware only", score=True),
    Column("latency_us_p95", "Float64", "us", "95th percentile, nearest rank; hardware only", score=True),
    Column("latency_us_min", "Float64", "us", "smallest; hardware only", score=True),
    Column("latency_us_max", "Float64", "us", "largest; hardware only", score=True),
    Column("latency_reason", "string", "", "why there is no latency"),
    Column(
        "estimated_cycles_median",
        "Float64",
        "cycles",
        "median of an estimate from emulated code, no measurement; over the first 100 inferences, on a virtual board",
        score=True,
    ),
    Column("estimated_cycles_p95", "Int64", "cycles", "95th percentile of the estimate, nearest rank", score=True),
    Column("estimated_cycles_min", "Int64", "cycles", "smallest estimate", score=True),
    Column("estimated_cycles_max", "Int64", "cycles", "largest estimate", score=True),
    Column(
        "estimated_cycles_error",
        "string",
        "",
        "how far estimates of this core, code and memory were off where boards were measured, or not validated",
        score=True,
    ),
    Column(
        "estimated_cycles_error_low",
        "Float64",
        "share",
        "its lower end; missing if not validated",
        score=True,
    ),
    Column(
        "estimated_cycles_error_high",
        "Float64",
        "share",
        "its upper end; missing if not validated",
        score=True,
    ),
    Column("estimated_cycles_code", "string", "", "kind of code that was estimated: integer or float", score=True),
    Column("estimated_cycles_reason", "string", "", "why there is no estimate"),
    Column("cycle_model", "string", "", "model and version that the estimate is made with"),
    Column(
        "interrupts_per_inference",
        "Float64",
        "",
        "interrupts and task switches while an inference was timed, mean since boot; 0 where the agent masks them",
    ),
    Column("interrupts_reason", "string", "", "why they are not known"),
    Column("flash_bytes", "Int64", "bytes", "what the image occupies in flash"),
    Column(
        "flash_compressed_bytes",
        "Int64",
        "bytes",
        "the same compressed by zlib (level 9), as for an update over the air",
    ),
    Column("code_memory", "string", "", "memory that code and constants are in: flash, or the name of a RAM"),
    Column("ram_static_bytes", "Int64", "bytes", ".data + .bss less the arena; code and constants that are in RAM"),
    Column(
        "ram_arena_bytes", "Int64", "bytes", "tensor arena: what the engine says that it used of it, else all of it"
    ),
    Column("ram_arena_reserved_bytes", "Int64", "bytes", "size of the tensor arena in the image"),
    Column("arena_memory", "string", "", "name of the RAM that the tensor arena is in; missing if there is none"),
    Column("ram_stack_bytes", "Int64", "bytes", "most stack used"),
    Column("ram_heap_bytes", "Int64", "bytes", "most heap used"),
    Column("ram_peak_bytes", "Int64", "bytes", "sum of the four parts"),
    Column("ram_reason", "string", "", "why a part of the RAM figures is missing"),
    Column("energy_uj", "Float64", "uJ", "energy of one inference, idle included; median of the windows", score=True),
    Column("energy_uj_min", "Float64", "uJ", "smallest of the windows", score=True),
    Column("energy_uj_max", "Float64", "uJ", "largest of the windows", score=True),
    Column("energy_net_uj", "Float64", "uJ", "the same less idle power x duration; median of the windows", score=True),
    Column("inferences_per_joule", "Float64", "1/J", "1e6 / energy_uj", score=True),
    Column("current_ua_mean", "Float64", "uA", "mean during inferences; median of the windows", score=True),
    Column("current_ua_peak", "Float64", "uA", "largest sample during inferences in all windows", score=True),
    Column("idle_current_ua", "Float64", "uA", "while the firmware waits; median of the windows", score=True),
    Column("energy_reason", "string", "", "why there is no energy"),
    Column("power_source", "string", "", "what measured the energy: ppk2, lpm01a, joulescope, or simulated"),
    Column("power_monitor", "string", "", "serial number of the power monitor"),
    Column("power_note", "string", "", "mode and calibration of the monitor, or what a simulation assumes"),
    Column("period_s", "Float64", "s", "`every:` of the suite: how often an inference is due"),
    Column("duty", "Float64", "share", "time that the CPU works: mean latency / period; needs cycles", score=True),
    Column("late", "Int64", "", "inferences that took longer than the period; needs cycles", score=True),
    Column(
        "power_average_uw",
        "Float64",
        "uW",
        "idle current x voltage + energy_net_uj / period; missing where inferences take longer than it",
        score=True,
    ),
    Column("battery_h", "Float64", "h", "how long the suite's battery lasts at that power", score=True),
    Column("power_voltage_v", "Float64", "V", "supply of the board; mean over the windows"),
    Column("power_sample_rate_hz", "Float64", "Hz", "samples per second by the monitor's clock"),
    Column("power_windows", "Int64", "", "windows that were used"),
    Column("power_windows_rejected", "Int64", "", "windows that were not; the windows table says why"),
    Column("power_samples", "Int64", "", "samples of the used windows, lost ones included"),
    Column("power_lost_samples", "Int64", "", "how many of them were lost"),
    Column("power_range_changes", "Int64", "", "how often the monitor changed its range in them"),
    Column("attempts", "Int64", "", "how often the case was started, 1 if nothing went wrong, 0 if no board began it"),
    Column("retransmissions", "Int64", "", "frames sent again on the link"),
    Column("image_sha256", "string", "", "SHA-256 of the image file"),
    Column(
        "flashing",
        "string",
        "",
        "written: the case flashed the image; compared: it was in flash already, every byte read back; "
        "kept: no probe, and this run had written it last",
    ),
    Column("build_id", "string", "", "GNU build id that the running board announced"),
    Column("board_uid", "string", "", "chip id that the running board announced"),
    Column("probe_uid", "string", "", "unique id of the debug probe"),
    Column("engine", "string", "", "inference engine, from the model card"),
    Column("toolchain", "string", "", "compiler that made the image"),
    Column("harness_version", "string", "", "version of this package"),
    Column("config_sha256", "string", "", "SHA-256 of the configuration of the run"),
    Column("inputs_sha256", "string", "", "SHA-256 of the inputs and labels that were streamed, before quantization"),
    Column("seed", "Int64", "", "seed of everything random in the run"),
    Column("started_utc", "datetime", "", "when the case began"),
    Column("duration_s", "Float64", "s", "host time that the case took; not a property of the board"),
)

RUNS: Final[tuple[Column, ...]] = (
    Column("run", "string", "", "the run's folder name"),
    Column("path", "string", "", "the run's folder"),
    Column("state", "string", "", "closed, or recovered after it was killed"),
    Column("started_utc", "datetime", "", "when the run began"),
    Column("ended_utc", "datetime", "", "when its tables were written"),
    Column("git_revision", "string", "", "revision that it was started in, with + if files differed"),
    Column("faults", "string", "", "faults that were injected on purpose: then the run is no measurement"),
    Column("harness_version", "string", "", "version of this package"),
    Column("schema_version", "Int64", "", "version of this schema that it was written in"),
)

#: The tables of a run that are files, by name: TABLES["samples"] is in samples.parquet.
TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "cases": CASES,
    "samples": SAMPLES,
    "outputs": OUTPUTS,
    "targets": TARGETS,
    "layers": LAYERS,
    "windows": WINDOWS,
    "attempts": ATTEMPTS,
}

#: The columns that say which case a sample belongs to.
KEY_NAMES: Final = tuple(column.name for column in KEYS)

#: What the journal holds in this order of a sample, layer, power window or attempt, by table. Layers, windows and
#: attempts have their numbers by their places; the board of an attempt may be another one than the case's in the end.
JOURNAL_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "samples": tuple(column.name for column in SAMPLES[len(KEYS) :]),
    "layers": tuple(column.name for column in LAYERS[len(KEYS) + 1 :]),
    "windows": tuple(column.name for column in WINDOWS[len(KEYS) + 1 :]),
    "attempts": ("device", *(column.name for column in ATTEMPTS[len(KEYS) + 1 :])),
}

CASE_COLUMNS: Final = {column.name: column for column in CASES}
