"""Random changes of training inputs, as TensorFlow operations: (input, label, seed) -> (input, label)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def unchanged(x: Any, label: Any, seed: int) -> tuple[Any, Any]:  # noqa: ARG001 (the others need it)
    """Change nothing."""
    return x, label


def mirrored(image: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Mirror half of the images."""
    return tf.image.random_flip_left_right(image, seed=seed), label


def mirrored_and_shifted(image: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Mirror half of the images and shift each by up to two pixels."""
    image = tf.image.random_flip_left_right(image, seed=seed)
    image = tf.image.random_crop(tf.pad(image, [[2, 2], [2, 2], [0, 0]]), (28, 28, 1), seed=seed)
    return image, label


def turned_scaled_and_noisy(series: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Begin the series elsewhere (the end goes before the start), scale it by up to 20 %, add noise."""
    series = tf.roll(series, tf.random.uniform((), 0, series.shape[0], tf.int32, seed=seed), axis=0)
    series = series * tf.random.uniform((), 0.8, 1.2, seed=seed + 1)
    return series + tf.random.normal(series.shape, stddev=0.02, seed=seed + 2), label


def scaled_and_noisy(series: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Scale the series by up to 10 %, add noise."""
    series = series * tf.random.uniform((), 0.9, 1.1, seed=seed)
    return series + tf.random.normal(series.shape, stddev=0.02, seed=seed + 1), label


def louder_or_softer(spectra: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Make the sound of a log10 spectrum up to 10 dB louder or softer, add noise."""
    spectra = spectra + tf.random.uniform((), -1.0, 1.0, seed=seed)
    return spectra + tf.random.normal(spectra.shape, stddev=0.1, seed=seed + 1), label


def louder_and_noisy(spectra: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Change the loudness by up to 3 dB and add noise; nothing falls below silence, which is 0."""
    spectra = spectra + tf.random.uniform((), -0.3, 0.3, seed=seed)
    return tf.nn.relu(spectra + tf.random.normal(spectra.shape, stddev=0.1, seed=seed + 1)), label


def cut_and_noisy(series: Any, label: Any, seed: int) -> tuple[Any, Any]:
    """Cut up to three steps off the start, pad with zeros at the end, add noise to what isn't padding."""
    steps = series.shape[0]
    cut = tf.random.uniform((), 0, 4, tf.int32, seed=seed)
    series = tf.roll(tf.where(tf.range(steps)[:, None, None] < cut, 0.0, series), -cut, axis=0)
    real = tf.cast(tf.reduce_any(series != 0, axis=-1, keepdims=True), tf.float32)
    return series + real * tf.random.normal(series.shape, stddev=0.05, seed=seed + 1), label
