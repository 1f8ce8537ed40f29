from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.build import parse_tflite, plan_memory
from harness.build.graph import Graph, Operator, Tensor
from harness.build.plan import Buffer, pack

ROOT = Path(__file__).parents[2]
CHAINS = sorted((ROOT / "tests" / "engine" / "data").glob("chain*.tflite"))


def overlaps(buffers, places):
    for i, a in enumerate(buffers):
        for b in buffers[i + 1 :]:
            together = a.first <= b.last and b.first <= a.last
            if together and places[a.key] < places[b.key] + b.bytes and places[b.key] < places[a.key] + a.bytes:
                yield a, b


def test_buffers_that_live_together_never_overlap():
    rng = np.random.default_rng(2)
    for _ in range(200):
        buffers = []
        for key in range(int(rng.integers(1, 15))):
            first = int(rng.integers(0, 10))
            buffers.append(Buffer(key, int(rng.integers(1, 500)), first, first + int(rng.integers(0, 4))))
        places = pack(buffers)
        assert not list(overlaps(buffers, places))
        assert all(place % 4 == 0 for place in places.values())


def test_two_inputs_of_a_model_lie_apart():
    """Also where the only operator may write over one of them."""
    x1, x2, y = (Tensor(index, f"t{index}", (64,), "float32", None, None) for index in range(3))
    operator = Operator(0, "ADD", (0, 1), (2,), {"FusedActivationFunction": 0})
    plan = plan_memory(Graph("made by hand", "0" * 64, (x1, x2, y), (operator,), (x1, x2), (y,)))
    assert abs(plan.offsets[0] - plan.offsets[1]) >= 256
    assert plan.arena_bytes == 512


def test_a_chain_takes_no_more_than_its_greatest_step():
    sizes = [100, 400, 200, 40, 300, 8]
    buffers = [Buffer(key, size, max(key - 1, 0), key) for key, size in enumerate(sizes)]
    places = pack(buffers)
    assert max(places[b.key] + b.bytes for b in buffers) == 600


def test_nothing_to_place():
    assert pack([]) == {}


@pytest.mark.parametrize("path", CHAINS, ids=lambda path: path.stem)
def test_buffers_of_a_model_are_inside_the_arena_and_overlap_only_where_an_output_follows_an_input(path):
    plan = plan_memory(parse_tflite(path))
    assert all(plan.places[b.key] + b.bytes <= plan.arena_bytes for b in plan.buffers)
    for a, b in overlaps(plan.buffers, plan.places):
        x, y = sorted((a, b), key=lambda buffer: buffer.first)
        assert x.last == y.first
        assert plan.steps[y.first].order
        assert plan.places[y.key] <= plan.places[x.key]


def test_fashion_mnist_needs_what_was_published():
    models = ROOT / "firmware" / "models" / "fashion_mnist"
    for name, bound in (("int8", 7_840), ("float32", 32_000)):
        plan = plan_memory(parse_tflite(models / f"fashion_mnist_{name}.tflite"))
        assert plan.arena_bytes <= bound
        assert (plan.macs, plan.parameters) == (952_736, 12_698)
