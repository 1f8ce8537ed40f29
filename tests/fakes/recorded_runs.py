"""Runs written through the store as a session writes them, with made-up figures: for tests and example images."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.measure.latency import counter_columns, summarize
from harness.metrics.classes import top1
from harness.store import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.store.cases import CaseRecord

_CLOCK_HZ = 64_000_000


@dataclass(frozen=True)
class Made:
    """A variant with made-up figures: `wrong` is the share of inputs that it gets wrong, `jitter` that of its ticks."""

    name: str
    technique: str
    baseline: str | None
    wrong: float
    ticks: int
    arena: int
    flash: int
    jitter: float = 0.0002


#: As different from each other as real ones are.
VARIANTS = (
    Made("float32", "float32 baseline", None, 0.076, 2_609_482, 31_936, 64_552, 0),
    Made("int8", "int8 post-training quantization", "float32", 0.08, 1_711_570, 8_272, 29_488),
    Made("int8_qat", "int8 quantization-aware training", "int8", 0.077, 1_711_602, 8_272, 29_492),
    Made("int8_weights", "int8 weights per channel, float32 activations", "float32", 0.078, 2_480_118, 31_936, 38_120),
    Made("channel_pruned_int8", "channels pruned, fine-tuned, int8", "int8", 0.085, 1_102_377, 5_824, 22_016),
    Made("sparse_int8", "unstructured magnitude pruning, fine-tuned, int8", "int8", 0.091, 1_711_570, 8_272, 29_488),
    Made("student_int8", "smaller network trained from scratch, int8", "int8", 0.121, 612_480, 3_104, 15_204),
    Made("student_distilled_int8", "smaller network, distilled", "student_int8", 0.107, 612_480, 3_104, 15_204),
    Made("small_input_int8", "half the input (averaged), int8", "int8", 0.099, 448_216, 2_304, 28_660),
    Made("patched_int8", "first layers in patches, int8", "int8", 0.08, 1_902_334, 4_640, 30_112),
)  # fmt: skip

#: Operators of a made-up network, the shapes that they write, and their shares of the ticks.
_LAYERS = (
    ("CONV_2D", "1x28x28x8", 0.41),
    ("DEPTHWISE_CONV_2D", "1x14x14x8", 0.17),
    ("CONV_2D", "1x14x14x16", 0.29),
    ("MAX_POOL_2D", "1x7x7x16", 0.02),
    ("FULLY_CONNECTED", "1x32", 0.06),
    ("SOFTMAX", "1x10", 0.05),
)


@dataclass(frozen=True)
class Setting:
    """Where and how a made-up run was made."""

    suite: str = "fashion_mnist"
    device: str = "nano33"
    backend: str = "virtual"
    samples: int = 200
    energy_uj: float | None = None
    power_source: str | None = None
    seed: int = 1
    layers: bool = False
    pool: str | None = None
    board_uid: str = "BCF6989FCE9A0384"


def about(setting: Setting) -> dict[str, Any]:
    """Return what run.json of a made-up run says, beyond what the store adds."""
    kind = {
        "name": "nano33",
        "title": "Arduino Nano 33 BLE Sense",
        "mcu": "nRF52840",
        "clock_hz": _CLOCK_HZ,
        "flash": {"start": 65536, "size": 983_040},
        "ram": {"start": 536_870_912, "size": 262_144},
    }
    suite = {"task": setting.suite, "title": "Fashion-MNIST, ten kinds of clothing"}
    return {
        "harness_version": "0.1.0",
        "config_sha256": "c" * 64,
        "seed": setting.seed,
        "git_revision": "3930183457aaebb4271bb5c462f9f34bfb9107e7",
        "config": {"lab": {"kinds": [kind]}, "suites": [suite]},
    }


def record_run(results: Path, variants: Iterable[Made] = VARIANTS, setting: Setting | None = None) -> Path:
    """Write a run of complete cases and return its folder."""
    setting = setting or Setting()
    with Run.create(results, about(setting)) as run:
        for variant in variants:
            record_case(run, variant, setting)
    return run.path


def record_case(run: Run, variant: Made, setting: Setting) -> dict[str, Any]:
    """Record one complete case and return its row."""
    case = begin(run, variant, setting)
    rng = random.Random(f"{setting.seed} {variant.name}")
    hard = random.Random(setting.seed)
    labels, predictions, ticks = [], [], []
    for sample in range(setting.samples):
        labels.append(sample % 10)
        common = hard.random()
        wrong = common < 0.8 * variant.wrong or rng.random() < 0.2 * variant.wrong
        predictions.append((labels[-1] + 1) % 10 if wrong else labels[-1])
        ticks.append(variant.ticks + round(variant.ticks * variant.jitter * rng.gauss(0, 1)))
        answer = {"label": labels[-1], "prediction": predictions[-1], "output_crc": rng.getrandbits(32)}
        case.sample(sample=sample, ticks=ticks[-1], **answer)
    if setting.layers:
        case.layers(_layers(variant))
    score = top1(predictions, labels)
    counter = "cycles" if setting.backend == "hardware" else "instructions"
    return case.finish(
        status="complete",
        majority_share=max(map(labels.count, labels)) / len(labels),
        accuracy=score.value,
        accuracy_low=score.low,
        accuracy_high=score.high,
        **counter_columns(summarize(ticks), counter, _CLOCK_HZ),
        **(memory(variant) | {"board_uid": setting.board_uid}),
        energy_uj=None if setting.energy_uj is None else setting.energy_uj * variant.ticks / 1e6,
        power_source=setting.power_source,
    )


def begin(run: Run, variant: Made, setting: Setting) -> CaseRecord:
    """Begin a case."""
    return run.begin_case(
        device=setting.device,
        pool=setting.pool,
        board="nano33",
        backend=setting.backend,
        suite=setting.suite,
        variant=variant.name,
        technique=variant.technique,
        baseline=variant.baseline,
        probe_uid="virtual:1" if setting.backend == "virtual" else "0240000034544e45",
    )


def memory(variant: Made) -> dict[str, Any]:
    """Return the figures of a variant that don't depend on its inferences."""
    static, stack = 1_712, 324
    code = f"{variant.name} {variant.ticks}".encode()  # what counts otherwise is another image
    return {
        "flash_bytes": variant.flash,
        "flash_compressed_bytes": round(variant.flash * 0.84),
        "ram_static_bytes": static,
        "ram_arena_bytes": variant.arena,
        "ram_stack_bytes": stack,
        "ram_heap_bytes": 0,
        "ram_peak_bytes": static + variant.arena + stack,
        "image_sha256": hashlib.sha256(code).hexdigest(),
        "build_id": hashlib.sha1(code, usedforsecurity=False).hexdigest(),
        "board_uid": "BCF6989FCE9A0384",
        "engine": "tinyml-hil",
        "toolchain": "GCC 12.2.1",
    }


def record_history(
    results: Path,
    changes: Sequence[dict[str, float]],
    setting: Setting | None = None,
    variants: Sequence[Made] = VARIANTS,
) -> list[Path]:
    """Write a run for each of `changes`, which give the factor of the ticks of a variant; return their folders."""
    made = []
    for change in changes:
        changed = [replace(one, ticks=round(one.ticks * change.get(one.name, 1))) for one in variants]
        made.append(record_run(results, changed, setting))
    return made


def _layers(variant: Made) -> list[dict[str, Any]]:
    return [
        {"operator": operator, "output_shape": shape, "ticks": round(variant.ticks * share)}
        for operator, shape, share in _LAYERS
    ]
