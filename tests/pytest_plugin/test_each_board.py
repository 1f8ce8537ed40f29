"""`--device all --each --backend virtual` without boards: techniques side by side on each kind that has an emulator."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
from harness.boards.backends import emulated_kinds
from harness.cli import main
from harness.config import shipped_kinds
from harness.store import load_results

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VARIANTS = ("float32", "int8")
#: Its images are left unbuilt, as a fresh clone has them; of the other one a model doesn't fit.
UNBUILT, FULL = "microbit_v2", "nucleo_l4r5zi"
#: Cores that differ in what float32 and int8 cost them; their images are built here.
BUILT = ("b_l475e_iot01a", "nrf52840dk", "nucleo_h743zi", "nucleo_l4r5zi", "pico")


@pytest.fixture
def lab(pytester, toolchain, kept_objects):
    """A user's folder with a task in two techniques, and images of it for all kinds but one."""
    assert toolchain.version
    models, suites = ROOT / "firmware" / "models" / "meat_fat", pytester.mkdir("suites")
    text = (ROOT / "suites" / "meat_fat.yaml").read_text().partition("  int8_weights:\n")[0]
    (suites / "meat_fat.yaml").write_text(text.replace("../firmware/prebuilt", "images"))
    shutil.copytree(
        ROOT / "suites" / "data", suites / "data", ignore=lambda _, names: {n for n in names if "meat" not in n}
    )
    for variant in VARIANTS:
        image = f"meat_fat_{variant}"
        (suites / "images" / "nano33").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "firmware" / "prebuilt" / "nano33" / f"{image}.elf", suites / "images" / "nano33")
        for kind in BUILT:
            out = suites / "images" / kind / f"{image}.elf"
            out.parent.mkdir(exist_ok=True)
            options = ["--board", kind, "--objects", str(kept_objects), "--no-check", "-o", str(out)]
            built = CliRunner().invoke(main, ["build", str(models / f"{image}.tflite"), *options])
            assert built.exit_code == 0, built.output
    full = suites / "images" / FULL / "meat_fat_int8.elf"
    full.unlink()
    why = "RAM: the image needs 700,000 B, there are 655,360 B: 44,640 B too many."
    full.with_suffix(".too_large").write_text(f"hil: m.tflite doesn't fit {FULL}:\n  {why}\n")
    return pytester


def test_every_emulated_kind_side_by_side(lab):
    kinds = emulated_kinds(shipped_kinds().values(), "virtual")
    measured = {"nano33", *BUILT}
    assert measured | {UNBUILT} <= set(kinds)
    ran = lab.runpytest_subprocess(
        "suites", "--device", "all", "--each", "--backend", "virtual", "--samples", "4", "-p", "no:cacheprovider"
    )
    text = ran.stdout.str()
    assert ran.ret == pytest.ExitCode.TESTS_FAILED  # not all that was asked for was measured
    ran.assert_outcomes(passed=2 * len(measured) - 1, skipped=2 * (len(kinds) - len(measured)) + 1)
    ran.stdout.fnmatch_lines(
        [
            f"hil: 2 cases will be skipped: no image has been built for {UNBUILT} *`make -C firmware BOARD={UNBUILT}`*",
            f"meat_fat on {len(measured)} boards; score: mean absolute error",
            "The run is not complete: no image has been built for the boards of *",
        ]
    )

    cases = load_results(lab.path / "results" / "latest").cases.set_index(["device", "variant"])
    assert set(cases.index) == {(kind, variant) for kind in kinds for variant in VARIANTS}
    complete = cases[cases["status"] == "complete"]
    assert {kind for kind, _ in complete.index} == measured
    assert cases.loc[(FULL, "int8"), "reason"].endswith("44,640 B too many.")
    assert set(cases.loc[UNBUILT, "status"]) == {"skipped"}

    # Ratios are those of one board; any of two boards would be another figure.
    ticks = complete["ticks_median"].astype(float)
    within = {
        f"{ticks[kind, variant] / ticks[kind, 'float32']:.3f}x"
        for kind, variant in complete.index
        if variant != "float32"
    }
    table, _, words = text.partition(" the same variants on several boards ")
    assert set(re.findall(r"\d\.\d{3}x", table)) == within
    for kind in measured - {FULL}:
        share = ticks[kind, "int8"] / ticks[kind, "float32"]
        assert f"{share:.2f}x" in words or f"{share:.2g}x" in words
    assert re.search(r"int8 against float32: .* the instructions on .*the peak RAM", words)
    assert f"nothing on {FULL}: int8 is too large by 44,640 B of RAM" in words
    # Integers are the same everywhere; float sums need not be, and which boards differ is said.
    samples = load_results(lab.path / "results" / "latest").samples
    outputs = samples[samples["repeat"] == 0].pivot_table("output_crc", ["variant", "sample"], "device", observed=True)
    assert (outputs.loc["int8"].nunique(axis=1) == 1).all()
    floats = {str(name): tuple(answers) for name, answers in outputs.loc["float32"].items()}
    usual = max(floats.values(), key=list(floats.values()).count)
    odd = {name for name, answers in floats.items() if answers != usual}
    said = re.search(r"float32 gave other outputs on (.*?)\.\n", words)
    assert odd == (set(re.findall(r"(\w+) \(\d of 4 inferences\)", said[1])) if said else set())
    assert f"equal to the bit on all boards for {2 - bool(odd)} of 2 variants" in words or not odd
    assert not re.search(r"fewest|fastest|ranking|Ship .* on .* boards? ", words)
