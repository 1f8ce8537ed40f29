"""Arrays that numpy saved: .npz and .npy files. Nothing is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.data.arrays import MOST_BYTES
from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: How files begin that numpy saved: one array, or several in a ZIP archive.
_NPY: Final = b"\x93NUMPY"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")

#: What people have instead: how such files begin or what their names end with, what they are, and how they are read.
_PLAIN: Final = "make one in Python: numpy.savez(FILE, inputs=inputs, labels=labels)"
_FORM: Final = "a suite's inputs take it as "
_OTHERS: Final = (
    ((b"RIFF", ".wav"), "a WAV file", f"{_FORM}{{wav: FOLDER, rate: 16000, seconds: 1}}"),
    ((b"\x80", ".pkl", ".pickle"), "a pickle", _PLAIN),
    (
        (b"\x89PNG", b"\xff\xd8\xff", b"BM", ".bmp"),
        "an image",
        f"{_FORM}{{images: FOLDER, size: [96, 96], color: rgb}}",
    ),
    ((b"PAR1", ".parquet"), "a Parquet file", f"{_FORM}{{parquet: FILE, columns: [...]}}"),
    ((b"\x89HDF",), "an HDF5 file", _PLAIN),
    ((b"MATLAB", ".mat"), "a MATLAB file", _PLAIN),
    ((".csv", ".txt", ".tsv"), "a table as text", f"{_FORM}{{csv: FILE, columns: [...]}}"),
)


def load_array(path: Path, array: str | None) -> NDArray[Any]:
    """Read one array of an .npz file, or a whole .npy file. Nothing is ever unpickled.

    Raises:
        ConfigError: the file or array is missing or damaged, of another kind, or isn't made of numbers.
    """
    what = f'{path}: array "{array}"' if array else str(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
        if not start.startswith((_NPY, *_ZIP)):
            raise ConfigError(_not_numpy(path, start))
        values = np.load(path, allow_pickle=False)
        if isinstance(values, np.lib.npyio.NpzFile):
            with values as several:
                values = _array_of(several, path, array)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        if "allow_pickle" in str(error):
            raise ConfigError(
                f"{what} holds Python objects, which are not read, because they can run code; save plain numbers: "
                "numpy.savez(FILE, inputs=numpy.asarray(inputs, dtype=numpy.float32))"
            ) from None
        raise ConfigError(f"{what} can't be read as an .npz or .npy file: {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        hint = "; save it as numbers, with .astype(numpy.uint8)" if values.dtype.kind == "b" else ""
        raise ConfigError(f"{what} must be made of numbers, not {values.dtype}{hint}")
    return values


def _array_of(several: Any, path: Path, array: str | None) -> Any:
    if array is None:
        names = ", ".join(several.files)
        raise ConfigError(f'{path} holds several arrays; say which with "array:": {names}')
    if array not in several.files:
        raise ConfigError(f'{path} has no array "{array}"{did_you_mean(array, several.files)}')
    parts = several.zip.infolist() if several.zip is not None else []
    size = max((part.file_size for part in parts if part.filename.removesuffix(".npy") == array), default=0)
    if size > MOST_BYTES:
        most = f"at most {MOST_BYTES:,} are read; split it"
        raise ConfigError(f'{path}: array "{array}" unpacks to {size:,} bytes, and {most}')
    return several[array]


def _not_numpy(path: Path, start: bytes) -> str:
    """Say what is taken instead of a file that is something else, and how to make it."""
    if not start:
        return f"{path} can't be read as an .npz or .npy file: it is empty"
    ending = path.suffix.lower()
    signs = [(sign, kind, how) for all_signs, kind, how in _OTHERS for sign in all_signs]
    begins = [found for found in signs if isinstance(found[0], bytes) and start.startswith(found[0])]
    named = [found for found in signs if found[0] == ending]
    _, kind, how = (begins + named + [("", "", _PLAIN)])[0]
    return (
        f"{path} can't be read as an .npz or .npy file{f': it is {kind}' if kind else ''}; here stand arrays "
        f"of numbers that numpy saved; {how}"
    )
