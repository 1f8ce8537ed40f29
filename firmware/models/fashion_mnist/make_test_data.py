"""Writes the inputs of the suite: the first 1,000 Fashion-MNIST test images and their labels.

python make_test_data.py --data /usr/share/datasets/fashion-mnist
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from dataset import load

COUNT = 1_000


def main() -> None:
    """Write fashion_mnist_test1000.npz, the same bytes every time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[3] / "suites" / "data")
    args = parser.parse_args()
    images, labels = load(args.data, "t10k")
    part = args.out / "fashion_mnist_test1000.npz.part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, values in (("images", images[:COUNT]), ("labels", labels[:COUNT])):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    part.replace(args.out / "fashion_mnist_test1000.npz")


if __name__ == "__main__":
    main()
