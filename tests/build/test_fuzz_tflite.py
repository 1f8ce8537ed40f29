"""Whatever became of a .tflite file, the compiler makes C of it or says in words what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.signal_models import frames, front_end
from engine.tflite_writer import write_tflite
from fuzzing import amounts, fuzz, spoil
from harness.build import emit_c, parse_tflite, plan_memory
from harness.build.sizes import layer_sizes
from harness.errors import ConfigError

DATA = Path(__file__).parents[1] / "engine" / "data"
GOOD = [path.read_bytes() for path in sorted(DATA.glob("*.tflite")) if path.stat().st_size < 8_000]
for make in (frames, front_end):
    operators, x, outputs, _ = make(np.random.default_rng(0))
    GOOD.append(write_tflite(operators, inputs=[x], outputs=outputs))


def poke(chance, content):
    """Replace a few words by small numbers, as indices, codes and sizes are; flipped bits rarely give one."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = 4 * chance.randrange(2, len(data) // 4)
        data[at : at + 4] = chance.randrange(-4, 32).to_bytes(4, "little", signed=True)
    return bytes(data)


@amounts(quick=150, many=1500)
def test_a_damaged_model_is_compiled_or_refused_in_words(cases, tmp_path):
    path, made, refusals = tmp_path / "model.tflite", [], []

    def check(chance):
        path.write_bytes(poke(chance, chance.choice(GOOD)) if chance.random() < 0.7 else spoil(chance, GOOD))
        try:
            graph = parse_tflite(path)
            plan = plan_memory(graph)
        except ConfigError as error:
            refusals.append(str(error))
            return
        layer_sizes(graph, plan)
        emit_c(graph, plan, board="nano33", name="model")
        made.append(True)

    fuzz(cases, check)
    assert all(text.startswith((str(path), path.name)) for text in refusals)
    assert made  # else nothing got past the reader
