"""A suite of two images of Fashion-MNIST, for tests that run whole cases."""

from __future__ import annotations

import textwrap


def write_small_suite(path, root):
    """Write it to `path`; `root` is the clone."""
    data = f"{root}/suites/data/fashion_mnist_test1000.npz"
    images = f"{root}/firmware/prebuilt/nano33/fashion_mnist"
    path.write_text(
        textwrap.dedent(f"""
            task: fashion
            inputs: {{file: {data}, array: images, scale: 0.00392156862745098}}
            labels: {{file: {data}, array: labels}}
            classes: {[f"c{n}" for n in range(10)]}
            variants:
              float32: {{image: {images}_float32.elf, technique: float32}}
              int8: {{image: {images}_int8.elf, technique: int8}}
        """)
    )
    return path
