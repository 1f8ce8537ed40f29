"""The bytes of a model: a .tflite file, or an array in C; any other file is told what it is, and what to do with it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_GUIDE = "docs/bring-your-own-model.md"
_KERAS = f"Export it by tf.lite.TFLiteConverter.from_keras_model ({_GUIDE}, Keras)."
_SAVED = f"Export it by tf.lite.TFLiteConverter.from_saved_model ({_GUIDE}, Keras)."
_TORCH = f"Export the model that it belongs to by litert-torch, or to ONNX and by onnx2tf ({_GUIDE}, PyTorch)."
_UNPACK = "Unpack it, and give the .tflite file."

#: What files begin with that people have in place of a .tflite file, what they are, and the way to go.
_STARTS: Mapping[bytes, tuple[str, str]] = {
    b"version https://git-lfs": (
        "is a Git LFS pointer, which stands for the model",
        "Fetch the model with `git lfs pull`, or download the file itself.",
    ),
    b"<!doctype": (
        "is a web page that was saved in place of the model",
        "Download the file itself, as by `Raw` on GitHub.",
    ),
    b"\x89HDF": ("is an HDF5 file, as of Keras (.h5)", _KERAS),
    b"\x80": ("is a pickle, as of torch.save or scikit-learn", _TORCH),
    b"\x7fELF": (
        "is an ELF file",
        "If it is an image already, `hil try` isn't needed: `hil flash` and suites take it.",
    ),
    b"\x1f\x8b": ("is compressed (gzip)", _UNPACK),
}
_STARTS = {**_STARTS, b"<html": _STARTS[b"<!doctype"]}

#: The same by bytes 4 to 7, where FlatBuffers have their identifier.
_IDENTIFIERS: Mapping[bytes, tuple[str, str]] = {
    b"ET12": (
        "is an ExecuTorch program (.pte), which only ExecuTorch runs",
        f"Export the PyTorch model by litert-torch instead ({_GUIDE}, PyTorch).",
    ),
    b"ORTM": ("is a model of ONNX Runtime (.ort)", f"Convert the .onnx file by onnx2tf ({_GUIDE}, PyTorch)."),
}

#: The same by what else only the name says.
_SUFFIXES: Mapping[str, tuple[str, str]] = {
    ".onnx": ("is an ONNX model", f"Convert it: onnx2tf -i FILE -o DIR ({_GUIDE}, PyTorch)."),
    ".pb": ("is a TensorFlow graph", f"Give its SavedModel folder to the converter. {_SAVED}"),
}

_C_SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".ino", ".inc")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ARRAY = re.compile(r"(\w+)\s*\[[^]]*\][^={};]*=\s*\{([^{}]*)(\}?)")
_DECLARED = re.compile(r"(\w+)\s*\[[^]]*\]\s*;")
_NAME = re.compile(r"[A-Za-z_]\w*")
_OCTAL = re.compile(r"0[0-7]+")


def read_model(path: Path) -> bytes:
    """Return the content of a .tflite file.

    Args:
        path: the file, or a source in C or C++ that has it as an array of bytes. FILE.cc:NAME names one of several.

    Raises:
        ConfigError: it can't be read, or is something else; says what, and the way to a .tflite file.
    """
    file, name = path, None
    if not path.exists() and ":" in path.name:
        before, _, after = str(path).rpartition(":")
        if _NAME.fullmatch(after) and Path(before).suffix.lower() in _C_SUFFIXES:
            file, name = Path(before), after
    if file.is_dir():
        saved = (file / "saved_model.pb").exists()
        what = f"is a SavedModel. {_SAVED}" if saved else "is a folder. Give the .tflite file in it."
        raise ConfigError(f"{path}: {what}")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}.") from error
    if file.suffix.lower() in _C_SUFFIXES:
        return _from_c(file, content.decode("utf-8", "replace"), name)
    if content[4:8] != b"TFL3":
        raise ConfigError(f"{path}: {'. '.join(_what(file, content))}")
    return content


def _what(path: Path, content: bytes) -> tuple[str, str]:
    """Return what a file is that is no model, and what to do."""
    if not content.strip(b"\0"):
        return "is empty" if not content else "holds nothing but zeros", "Download or export it again."
    if content[:4] == b"PK\3\4":
        return _zipped(content)
    start = content[:64].lstrip().lower()
    for first, known in _STARTS.items():
        if start.startswith(first.lower()):
            return known
    found = _IDENTIFIERS.get(content[4:8]) or _SUFFIXES.get(path.suffix.lower())
    return found or (
        f"is not a .tflite file (bytes 4 to 7 are {content[4:8]!r}, not b'TFL3')",
        f"{_GUIDE} says how models become one.",
    )


def _zipped(content: bytes) -> tuple[str, str]:
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except (zipfile.BadZipFile, ValueError):
        return "is a zip archive that is cut short", "Download it again."
    if "model.weights.h5" in names:
        return "is a Keras model (.keras)", _KERAS
    if any(name.endswith("data.pkl") for name in names):
        return "is a PyTorch file (.pt, .pth)", _TORCH
    models = [name for name in names if name.endswith(".tflite")]
    return f"is a zip archive{f' that holds {models[0]}' if models else ''}", _UNPACK


def _from_c(path: Path, text: str, name: str | None) -> bytes:
    """Return the model in the array of that name, or in the only one that holds a model.

    Raises:
        ConfigError: there is none, or there are several; says which.
    """
    text = _COMMENT.sub(" ", text)
    arrays: dict[str, bytes | None] = {}
    for match in _ARRAY.finditer(text):
        if not match[3]:
            raise ConfigError(f"{path}: the array {match[1]} has no end: the file is cut short. Download it again.")
        arrays[match[1]] = _bytes(match[2])
    if name is not None and name not in arrays:
        raise ConfigError(f"{path}: has no array {name}; there are {', '.join(arrays) or 'none'}.")
    models = {key: content for key, content in arrays.items() if content is not None and content[4:8] == b"TFL3"}
    if name in models:
        return models[name]
    if name is not None:
        there = f"those that are: {_listed(models)}" if models else "nor is another"
        raise ConfigError(f"{path}: the array {name} is no .tflite file; {there}.")
    if len(models) == 1:
        return next(iter(models.values()))
    if models:
        first = next(iter(models))
        raise ConfigError(f"{path}: has {len(models)} models: {_listed(models)}. Name one: {path.name}:{first}")
    declared = [match[1] for match in _DECLARED.finditer(text)]
    if not arrays and declared:
        raise ConfigError(f"{path}: only declares {', '.join(declared)}. Give the source with its values (.c, .cc).")
    raise ConfigError(
        f"{path}: no array of bytes in it is a .tflite file; there are {', '.join(arrays) or 'no arrays'}. For code "
        "of your own: --engine-dir."
    )


def _listed(models: Mapping[str, bytes]) -> str:
    return ", ".join(f"{name} ({len(content):,} B)" for name, content in models.items())


def _bytes(text: str) -> bytes | None:
    """Return the values of an initializer; None if they are no bytes."""
    words = [word.strip().rstrip("uUlL") for word in text.rstrip(" ,\r\n\t").split(",")]
    try:
        values = [int(word, 8 if _OCTAL.fullmatch(word) else 0) for word in words]
    except ValueError:
        return None
    return bytes(value & 0xFF for value in values) if all(-128 <= value <= 255 for value in values) else None
