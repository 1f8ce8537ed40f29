"""Keyword stream: has a keyword just been said? A spectrum every 20 ms, and a network with state; synthetic voices."""

from __future__ import annotations

from keyword_stream.dataset import STEPS, held, load_split
from zoo.augment import louder_and_noisy
from zoo.mel import BANDS
from zoo.task import Task

TASK = Task(
    name="keyword_stream",
    shape=(STEPS, 1, BANDS),
    layers=(),  # zoo/streaming.py
    seed=20,
    epochs=60,
    batch=32,
    rate=4e-3,
    representative=100,
    augment=louder_and_noisy,
    load=load_split,
    validation=held,
    suite_inputs=90,
    suite_file="keyword_stream_test.npz",
    suite_array="spectra",
    answer="stream",
    variants=("float32", "int8"),
)
