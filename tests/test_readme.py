"""What the README and the example's own page say is what the committed example run measured."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness
from example_table import tables
from harness.image.elf import load_image

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "results" / "example"


@pytest.fixture(scope="module")
def cases():
    return harness.load_results(EXAMPLE).cases


def test_the_readme_shows_the_tables_of_the_example(cases):
    readme = (ROOT / "README.md").read_text()
    for suite in ("fashion_mnist", "fashion_mnist_96"):
        assert tables(cases[cases.suite == suite]) in readme


def test_the_page_of_the_example_shows_all_tables(cases):
    assert tables(cases) in (EXAMPLE / "README.md").read_text()


def test_the_example_measured_the_committed_images(cases, prebuilt):
    images = {load_image(path).sha256 for path in prebuilt.glob("*.elf")}
    assert set(cases.image_sha256) == images
    assert set(cases.status) == {"complete"}


def test_what_the_readme_says_of_patches(cases):
    rows = cases[cases.suite == "fashion_mnist_96"].set_index("variant")
    whole, patched = rows.loc["int8"], rows.loc["int8_patched_kept"]
    assert patched.ram_peak_bytes * 3 < whole.ram_peak_bytes
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"from {whole.ram_peak_bytes:,} to {patched.ram_peak_bytes:,} bytes, " in text
    assert f"{whole.ram_peak_bytes / patched.ram_peak_bytes:.1f} times less" in text
    assert f"for {patched.ticks_median / whole.ticks_median:.2f}x the instructions" in text


def test_patches_change_no_output_of_the_example():
    samples = harness.load_results(EXAMPLE).samples
    for suite, others in {"fashion_mnist": ["patched"], "fashion_mnist_96": ["patched", "patched_kept"]}.items():
        whole, *patched = (
            samples[(samples.suite == suite) & (samples.variant == variant)].sort_values("sample").output_crc.tolist()
            for variant in ("int8", *(f"int8_{other}" for other in others))
        )
        assert patched == [whole] * len(others)
        assert len(whole) >= 200
