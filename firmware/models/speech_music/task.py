"""Speech or music: what a telephone line carries, from a second of it."""

from __future__ import annotations

from speech_music.dataset import STEPS, held, load_split
from zoo.augment import louder_or_softer
from zoo.mel import BANDS
from zoo.task import Conv, Depthwise, Task

TASK = Task(
    name="speech_music",
    shape=(STEPS, BANDS, 1),
    layers=(Conv(8, (3, 3), (2, 2)), Depthwise((3, 3)), Conv(16, (1, 1)), Depthwise((3, 3), (2, 2)), Conv(32, (1, 1))),
    seed=20,
    epochs=30,
    batch=32,
    rate=4e-3,
    representative=1188,
    augment=louder_or_softer,
    load=load_split,
    validation=held,
    suite_inputs=305,
    suite_file="speech_music_test.npz",
    suite_array="spectra",
    answer="probability",
    variants=("float32", "int8", "int8_weights"),
)
