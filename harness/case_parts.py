"""The columns of what belongs to a case: its samples, their outputs and targets, layers, power windows and attempts."""

from __future__ import annotations

from typing import Final

from harness.column import Column

#: Which case a row belongs to, in every table of a run.
KEYS: Final = (
    Column("run", "string", "", "the run's folder name"),
    Column("case", "Int64", "", "number of the case in its run, from 0"),
    Column("device", "string", "", "name of the device in devices.yaml, or the kind's name"),
    Column("board", "string", "", "kind of the board"),
    Column("backend", "string", "", "hardware, virtual or renode"),
    Column("suite", "string", "", "task of the suite"),
    Column("variant", "string", "", "name of the variant in its suite"),
)

SAMPLES: Final[tuple[Column, ...]] = (
    *KEYS,
    Column("sample", "Int64", "", "index of the input in the suite's data"),
    Column("repeat", "Int64", "", "which inference on that input, from 0"),
    Column("label", "Int64", "", "index of the right class; missing where labels are no classes"),
    Column("prediction", "Int64", "", "index of the class that the board's output says; missing where it says none"),
    Column("ticks", "Int64", "ticks", "counter difference of this inference; see the case's counter"),
    Column("output_crc", "Int64", "", "CRC-32 of the output tensor as it came"),
    Column("step", "Int64", "", "number of the step, from 0, where an input is a sequence of them"),
    Column("group", "Int64", "", "group of the input, like its recording, where the suite has groups"),
    Column("score", "Float64", "", "what the metric takes of this inference, where that is one number"),
    Column("target", "Float64", "", "the right value, where labels are one number for each input"),
)

OUTPUTS: Final[tuple[Column, ...]] = (
    *KEYS,
    Column("sample", "Int64", "", "index of the input in the suite's data"),
    Column("step", "Int64", "", "number of the step, from 0, where an input is a sequence of them"),
    Column("tensor", "Int64", "", "number of the output tensor in the model card, from 0"),
    Column("raw", "integers", "", "the tensor as it came; missing if it is float32"),
    Column(
        "real", "numbers", "", "the tensor as it came if it is float32; real = scale * (raw - zero_point) of others"
    ),
    Column("scale", "Float64", "", "real value of one step of `raw`"),
    Column("zero_point", "Int64", "", "what stands in `raw` for 0"),
)

TARGETS: Final[tuple[Column, ...]] = (
    *KEYS,
    Column("sample", "Int64", "", "index of the input in the suite's data"),
    Column("values", "numbers", "", "the right values, or 0 and 1 for each of several labels"),
)

LAYERS: Final[tuple[Column, ...]] = (
    *KEYS,
    Column("layer", "Int64", "", "number of the layer in the order of execution, from 0"),
    Column("operator", "string", "", "operator of the model, like CONV_2D"),
    Column("position", "Int64", "", "place of the operator in the model file, from 0"),
    Column("kernel", "string", "", "name of the kernel that ran"),
    Column("output_shape", "string", "", "shape of what it wrote, like 1x28x28x8"),
    Column("ticks", "Int64", "ticks", "counter difference of this layer in one inference; see the case's counter"),
    Column("macs", "Int64", "", "multiply-accumulates of this layer, those that patches repeat included"),
    Column("moved_bytes", "Int64", "bytes", "inputs, weights and outputs of its kernel calls, each once a call"),
    Column("parameters", "Int64", "", "weights and biases that it uses"),
)

WINDOWS: Final[tuple[Column, ...]] = (
    *KEYS,
    Column("window", "Int64", "", "number of the power window in the order of measurement, from 0"),
    Column("problem", "string", "", "why it was not used, in a word or two; missing if it was"),
    Column("reason", "string", "", "the same in full"),
    Column("power_source", "string", "", "what measured it, or simulated"),
    Column("batches", "Int64", "", "how often the board raised the sync pin"),
    Column("pulses", "Int64", "", "how often the monitor saw it high"),
    Column("inferences", "Int64", "", "in all batches"),
    Column("board_s", "Float64", "s", "duration by the board's counter; simulated time on a virtual board"),
    Column("monitor_s", "Float64", "s", "how long the pin was high by the monitor; simulated time if simulated"),
    Column("energy_uj", "Float64", "uJ", "per inference, idle included"),
    Column("energy_net_uj", "Float64", "uJ", "per inference, less idle power x duration"),
    Column("current_ua_mean", "Float64", "uA", "during inferences"),
    Column("current_ua_peak", "Float64", "uA", "largest sample during inferences"),
    Column("idle_before_ua", "Float64", "uA", "before the first batch"),
    Column("idle_after_ua", "Float64", "uA", "after the last batch"),
    Column("voltage_v", "Float64", "V", "supply of the board"),
    Column("samples", "Int64", "", "in the whole capture, lost ones included"),
    Column("lost_samples", "Int64", "", "how many of them were lost"),
    Column("range_changes", "Int64", "", "how often the monitor changed its range"),
    Column("file", "string", "", "raw samples, in the run's folder"),
)

ATTEMPTS: Final[tuple[Column, ...]] = (
    *KEYS,
    Column("attempt", "Int64", "", "number of the attempt at the case, from 1, in the order in which they ended"),
    Column("host", "string", "", "computer that drove the board"),
    Column("board_uid", "string", "", "chip id that the running board announced in it"),
    Column("image_sha256", "string", "", "SHA-256 of the image file; missing if the board could not be opened"),
    Column("stage", "string", "", "how far it came: open, flash, start, measure or energy"),
    Column(
        "outcome",
        "string",
        "",
        "ok; failed; or lost, if it was ended by what no board does: it was taken away, or the run was stopped",
    ),
    Column("error", "string", "", "class of the error that ended it, like LinkError"),
    Column("reason", "string", "", "the same in words"),
    Column("answered", "boolean", "", "whether the firmware answered"),
    Column("retransmissions", "Int64", "", "frames sent again on the link"),
    Column("seconds", "Float64", "s", "host time that it took"),
    Column("ended", "datetime", "", "when it ended"),
)
