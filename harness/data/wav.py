"""Folders of WAV files: samples of one rate and length, or what a front end makes of them."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from harness.data.arrays import Arrays, counted, require_room
from harness.data.files_by_class import files_by_class
from harness.data.front_end import FrontEnd
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

#: Real value of one step of a 16-bit sample, so that full scale is -1 to 1.
_STEP: Final = 2.0**-15


def read_wav(
    folder: Path,
    listed: Path | None,
    classes: tuple[str, ...],
    *,
    rate: int,
    length: int,
    channel: int | None,
    shorter: Literal["pad"] | None,
    longer: Literal["start", "center"] | None,
    front_end: Mapping[str, Any] | None,
) -> Arrays:
    """Read a folder of WAV files of 8 or 16 bits (PCM).

    Args:
        folder: has a folder for each class, or what the list names.
        listed: as in `files_by_class`.
        classes: of the suite; () where it has none.
        rate: samples per second that every file must have; nothing is resampled.
        length: samples of an input.
        channel: which one of several is taken, from 0; None: files must have only one.
        shorter: "pad" appends silence to a file that is too short; None: it is refused.
        longer: which part is taken of a file that is too long; None: it is refused.
        front_end: arguments of `harness.data.front_end.FrontEnd`; None: the samples themselves.

    Returns:
        int16 [N, length] whose step is 2**-15 (8-bit samples times 256), or float32 [N, frames, bins] of the front
        end; in the order of `files_by_class`, and the class of each.

    Raises:
        ConfigError: a file is damaged, empty, or of another rate, length, width or number of channels; names it.
    """
    made = None if front_end is None else FrontEnd(rate=rate, length=length, **front_end)
    paths, labels, known = files_by_class(folder, listed, (".wav",), classes)
    shape, dtype = ((length,), np.int16) if made is None else (made.shape, np.float32)
    require_room(len(paths), shape, dtype, folder)
    values = np.empty((len(paths), *shape), dtype)
    for index, path in enumerate(counted(paths, folder)):
        samples = _fitted(_samples(path, rate, channel), path, length, rate, shorter, longer)
        values[index] = samples if made is None else made(samples * _STEP)
    return Arrays(values, labels, known, _STEP if made is None else 1.0)


def _samples(path: Path, rate: int, channel: int | None) -> NDArray[np.int16]:
    """Return one channel of a file."""
    try:
        with wave.open(str(path), "rb") as file:
            about, frames = file.getparams(), b""
            if about.framerate == rate and about.sampwidth <= 2:
                frames = file.readframes(about.nframes)
    except (OSError, EOFError, ValueError, RuntimeError, wave.Error) as error:
        said = "it is cut off" if isinstance(error, EOFError) else error
        raise ConfigError(
            f"{path} can't be read as a WAV file: {said}; save it as PCM with 16 bits (sox FILE -b 16 NEW.wav)"
        ) from error
    if about.framerate != rate:
        raise ConfigError(
            f"{path} has {about.framerate} samples per second, not {rate}; nothing is resampled here "
            f"(sox FILE -r {rate} NEW.wav does)"
        )
    if about.sampwidth > 2:
        raise ConfigError(f"{path} has {8 * about.sampwidth} bits, not 16 or 8; sox FILE -b 16 NEW.wav converts it")
    if channel is None and about.nchannels > 1:
        raise ConfigError(
            f'{path} has {about.nchannels} channels, not 1; the suite may say "channel: 0" to take the first'
        )
    if (channel or 0) >= about.nchannels:
        raise ConfigError(f"{path} has {about.nchannels} channels, and none is channel {channel}, counted from 0")
    if len(frames) != about.nframes * about.nchannels * about.sampwidth:
        raise ConfigError(f"{path} is cut off: it has {len(frames):,} bytes of {about.nframes:,} frames")
    if not frames:
        raise ConfigError(f"{path} has no samples")
    if about.sampwidth == 1:  # unsigned, unlike all others
        values = (np.frombuffer(frames, np.uint8).astype(np.int16) - 128) * 256
    else:
        values = np.frombuffer(frames, "<i2").astype(np.int16)
    return values.reshape(-1, about.nchannels)[:, channel or 0]


def _fitted(
    samples: NDArray[np.int16], path: Path, length: int, rate: int, shorter: str | None, longer: str | None
) -> NDArray[np.int16]:
    more = len(samples) - length
    if (more < 0 and shorter is None) or (more > 0 and longer is None):
        way = "shorter: pad" if more < 0 else "longer: start"
        raise ConfigError(
            f"{path} has {len(samples):,} samples ({len(samples) / rate:g} s), not {length:,} ({length / rate:g} s); "
            f'the suite may say "{way}"'
        )
    if more <= 0:
        return np.pad(samples, (0, -more))
    first = more // 2 if longer == "center" else 0
    return samples[first : first + length]
