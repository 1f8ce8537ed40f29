from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.build import emit_c, parse_tflite, plan_memory

DATA = Path(__file__).parents[1] / "engine" / "data"


def files_of(stem):
    graph = parse_tflite(DATA / f"{stem}.tflite")
    plan = plan_memory(graph)
    return graph, plan, emit_c(graph, plan, board="nano33", name="a_name")


def card_of(source):
    declared, text = re.search(r'hil_card\[(\d+)\] __attribute__.*=\n((?: +".*"\n?)+)', source).groups()
    card = "".join(json.loads(line) for line in text.split("\n") if line.strip())
    assert len(card) == int(declared)
    return json.loads(card)


def test_the_same_model_gives_the_same_text():
    assert files_of("chain04_int8")[2] == files_of("chain04_int8")[2]


def test_the_text_names_no_folder():
    files = files_of("chain04_int8")[2]
    assert str(DATA) not in "".join(files.values())


def test_the_card_says_what_the_model_is():
    graph, plan, files = files_of("chain04_int8")
    card = card_of(files["model.c"])
    scale = graph.input.quantization.scales[0]
    zero = graph.input.quantization.zero_points[0]
    assert card["card"] == 1
    assert (card["board"], card["model"], card["engine"]) == ("nano33", "a_name", "tinyml-hil")
    assert card["input"] == {"shape": list(graph.input.shape), "dtype": "int8", "scale": scale, "zero_point": zero}
    assert (card["macs"], card["arena_bytes"]) == (plan.macs, plan.arena_bytes)
    assert card["tflite_sha256"] == graph.sha256


def test_a_float_card_has_no_scale():
    card = card_of(files_of("chain04_float32")[2]["model.c"])
    assert set(card["input"]) == {"shape", "dtype"}


def test_the_header_gives_the_sizes():
    graph, plan, files = files_of("chain00_float32")
    header = files["model_config.h"]
    assert f"#define HIL_INPUT_BYTES {graph.input.bytes}u" in header
    assert f"#define HIL_OUTPUT_BYTES {graph.output.bytes}u" in header
    assert f"#define HIL_ARENA_BYTES {plan.arena_bytes}u" in header


@pytest.mark.parametrize("stem", ["chain00_int8", "chain02_float32"])
def test_lines_fit_a_screen(stem):
    assert max(map(len, files_of(stem)[2]["model.c"].splitlines())) < 300
