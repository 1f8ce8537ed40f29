"""Which input a profile is made on. Kernels may depend on the data, so it is always said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.config import load_suite
from harness.config.data import to_real
from harness.data.numpy_file import load_array
from harness.errors import ConfigError, ImageError
from harness.image.input_tensors import check_shape, input_tensors

if TYPE_CHECKING:
    from harness.image.elf import Image
    from harness.image.model_card import TensorSpec


@dataclass(frozen=True, slots=True)
class ProfileInput:
    """An input tensor, raw, and where it came from, in words."""

    data: bytes
    origin: str


def random_input(spec: TensorSpec, seed: int = 0) -> ProfileInput:
    """Draw an input: integers uniform over their type, floats uniform from 0 to 1."""
    random = np.random.default_rng(seed)
    if spec.dtype == "float32":
        return ProfileInput(
            random.random(spec.size, np.float32).astype("<f4").tobytes(), f"random, 0 to 1, seed {seed}"
        )
    limits = np.iinfo(spec.dtype)
    values = random.integers(limits.min, limits.max, spec.size, np.dtype(spec.dtype), endpoint=True)
    return ProfileInput(values.tobytes(), f"random, {limits.min} to {limits.max}, seed {seed}")


def suite_input(image: Image, path: Path, sample: int) -> ProfileInput:
    """Take one sample of a suite, in the size and type that the image's variant gets it in the suite's runs.

    Raises:
        ConfigError: the suite is wrong, has no such sample, or its samples are not for this model.
    """
    suite = load_suite(path)
    data = suite.load_all()
    if sample >= len(data):
        raise ConfigError(f"{path}: there is no sample {sample}; the suite has 0 to {len(data) - 1}")
    resize = next((variant.resize for variant in suite.variants if Path(variant.image).stem == image.path.stem), None)
    one = data.take(np.array([sample]))
    try:
        tensor = input_tensors(one, image.card.input, resize)
    except ImageError as error:
        raise ConfigError(f"{path}: {error}") from error
    return ProfileInput(tensor.tobytes(), f"sample {sample} of {suite.task} ({path})")


def file_input(spec: TensorSpec, path: Path) -> ProfileInput:
    """Read an input from a .npy file: real values as floats, or what the tensor holds in the tensor's own type.

    Raises:
        ConfigError: the file is missing, or holds another number or type of values.
    """
    values = load_array(path, None)
    try:
        check_shape(values.shape, spec.shape)
    except ImageError as error:
        raise ConfigError(f"{path}: {error}") from error
    if values.dtype.kind == "f":
        values = to_real(values, 1.0, 0.0)
        if not np.isfinite(values).all():
            raise ConfigError(f"{path}: a value is not a finite number in float32")
        return ProfileInput(spec.encode(values.reshape(1, -1)).tobytes(), f"{path}, real values")
    if values.dtype != np.dtype(spec.dtype):
        raise ConfigError(f"{path}: values of type {values.dtype}; give floats (real values) or {spec.dtype} (raw)")
    return ProfileInput(values.tobytes(), f"{path}, raw {spec.dtype}")
