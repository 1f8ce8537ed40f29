"""Reads the near-infrared spectra of meat from Debian's r-cran-modeldata."""

from __future__ import annotations

import hashlib
import lzma
from typing import TYPE_CHECKING

import numpy as np
from zoo.task import Split

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SAMPLES, CHANNELS, FAT = 215, 100, 101  # the columns: 100 absorbances, water, fat, protein
PARTS = {"train": slice(172), "test": slice(172, 215)}  # training and monitoring sets, test set
MONITORING = 43  # the last of "train"
GAP = 5  # channels (of 2 nm) between the three that a second difference is taken of
SCALE = 100.0  # real input = SCALE * second difference, as in the suite

FILE = "usr/lib/R/site-library/modeldata/data/Rdata.rdb"
PLACE = slice(2_145_178 + 5, 2_145_178 + 69_933)  # of `meats` in that file, behind its length and the letter Z
SHA256 = "2ecef5e8da0f782ae4e3f65d928fe769702accffd8981cc358a3097f6736f58f"


def load_split(data: Path, split: str) -> Split:
    """Return the spectra's second differences, [n, 90, 1, 1], and the fat in percent, in the published order.

    Raises:
        SystemExit: the file is missing or holds other data.
    """
    table = _read(data / FILE)[PARTS[split]]
    spectra = table[:, :CHANNELS]
    raw = (spectra[:, 2 * GAP :] - 2 * spectra[:, GAP:-GAP] + spectra[:, : -2 * GAP]).astype(np.float32)
    raw = raw[:, :, np.newaxis, np.newaxis]
    return Split(raw, (raw.astype(np.float64) * SCALE).astype(np.float32), table[:, FAT].astype(np.float32))


def _read(path: Path) -> NDArray[np.float64]:
    """Return the table, [215, 103].

    R keeps the object as raw LZMA2; inside, each column is the type of a real vector (14), its length, and its values,
    all with the greatest byte first.
    """
    if not path.is_file():
        message = f"{path} is missing. Run `make -C firmware/models data`, or pass --data."
        raise SystemExit(message)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        message = f"{path} holds other data than expected: its SHA-256 differs from the one in dataset.py."
        raise SystemExit(message)
    unpacked = lzma.decompress(content[PLACE], format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    begin = b"\0\0\0\x0e" + SAMPLES.to_bytes(4, "big")
    columns = [np.frombuffer(part, ">f8", SAMPLES) for part in unpacked.split(begin)[1:]]
    return np.stack(columns, axis=1).astype(np.float64)
