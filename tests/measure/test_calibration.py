"""By how much costs are off: on readings that the model itself gives, since no board is here."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml
from click.testing import CliRunner

from fakes.attached import SERIAL
from harness.boards.virtual.cycles.costs import shipped_costs
from harness.cli import main
from harness.config import Lab, shipped_kinds
from harness.config.chip import load_calibrated, shipped_chips
from harness.errors import ConfigError, ImageError
from harness.image.elf import load_image
from harness.measure.calibration import WAITS, calibrate, costs_of_kind, kept, loop_names, read_loops

GCC = shutil.which("arm-none-eabi-gcc")
#: Instructions in one round of each loop, by hand from kernels.S; those in front of it are the same but for one nop.
BODY = {
    **dict.fromkeys(("arithmetic", "multiply", "divide", "load_pipelined", "store", "store_indexed"), 24),
    **dict.fromkeys(("branch_not_taken", "branch_taken", "wide_target", "branch_table", "wide_after_several"), 24),
    **dict.fromkeys(("float", "float_result_used", "float_multiply_accumulate", "float_divide", "float_pair"), 24),
    **dict.fromkeys(("float_load_pipelined", "wide_load_in_chain", "flash_4", "flash_16", "flash_64"), 24),
    **dict.fromkeys(("literal", "load_after_store", "load_two", "load_four", "store_two", "store_four"), 36),
    **dict.fromkeys(("load", "address_dependency", "if_then_folded"), 48),
    "if_then": 36,
    "float_load": 32,
    "branch_register": 77,  # adr, adds, b, movs; 24 times bx, subs, bne; b
    "branch_loaded": 100,  # adr, adds, movs, b; 24 times push, pop, subs, beq
    "flash_code": 4096,
}


@pytest.fixture(scope="module")
def kind():
    return next(kind for kind in Lab.load(None).kinds if kind.name == "nano33")


@pytest.fixture(scope="module")
def loops_image(root, kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    subprocess.run(["make", "-s", "-C", root / "firmware/calibrate", f"OUT={folder}"], check=True)  # noqa: S607
    return load_image(folder / "nano33.elf", kind)


@pytest.fixture(scope="module")
def loops(kind, loops_image):
    return read_loops(kind, loops_image)


def taken(loops, waits):
    """What the model says that a board takes."""
    return [loop.estimate + sum(loop.events[wait] * waits[wait] for wait in WAITS) for loop in loops]


@pytest.mark.slow
@pytest.mark.skipif(GCC is None, reason="needs arm-none-eabi-gcc")
class TestOnTheVirtualBoard:
    def test_each_loop_issues_the_instructions_that_its_source_has(self, loops):
        empty, *others = loops
        assert empty.name == "empty"
        rounds = {loop.name: (loop.instructions - empty.instructions) for loop in others}
        assert {name: count // 1000 for name, count in rounds.items()} == BODY
        assert {count % 1000 for count in rounds.values()} == {0, 1}  # the nop of those that lie across

    def test_the_models_own_readings_leave_nothing_to_correct(self, kind, loops):
        costs, _ = costs_of_kind(kind)
        found = calibrate(loops, taken(loops, costs), costs)
        told = {name: off for name, off in found.off.items() if off is not None}
        assert set(found.off) - set(told) == {"table_branch", "branch_table"}  # one never comes without the other
        assert set(told) >= {name for name in shipped_costs().cycles if "table" not in name}
        assert set(told) >= set(WAITS)
        assert told == pytest.approx(dict.fromkeys(told, 0), abs=1e-6)
        assert max(found.unexplained.values()) < 1e-9

    def test_exactly_those_costs_are_found_that_another_model_has(self, kind, loops_image, loops):
        changed = {"float_multiply_accumulate": 2.0, "load_after_store": 0.0, "branch": 1.25}
        costs, _ = costs_of_kind(kind)
        other = read_loops(
            kind, loops_image, shipped_costs().calibrated(changed)
        )  # added up by the marks, not by events
        found = calibrate(loops, taken(other, {WAITS[0]: 4, WAITS[1]: 2}), costs)
        off = {name: off for name, off in found.off.items() if off is not None and abs(off) > 1e-6}
        expected = {name: cycles - costs[name] for name, cycles in changed.items()}
        assert off == pytest.approx({**expected, "flash_instruction_wait": 1})

    def test_what_is_kept_is_what_estimates_then_count(self, kind, loops_image, loops, prebuilt, tmp_path):
        costs, flash = costs_of_kind(kind)
        other = read_loops(kind, loops_image, shipped_costs().calibrated({"float_multiply_accumulate": 2.0}))
        found = calibrate(loops, taken(other, costs), costs)
        data = kept(found, costs, flash, "a test")
        assert data.cycle_costs.cycles == {"float_multiply_accumulate": 2.0}
        assert (data.flash_timing.instruction_wait, data.flash_timing.data_wait) == (3, 2)
        file = tmp_path / "kept.yaml"
        file.write_text(yaml.safe_dump(data.model_dump(exclude_none=True, mode="json")))
        profile = ["profile", str(prebuilt / "fashion_mnist_float32.elf"), "--device", "nano33", "--json"]
        before, after = (
            json.loads(CliRunner().invoke(main, [*profile, *more]).output) for more in ([], ["--costs", str(file)])
        )
        less = [
            {
                part: old["estimated_cycles_by_part"][part] - new["estimated_cycles_by_part"][part]
                for part in ("float", "load")
            }
            for old, new in zip(before["layers"], after["layers"], strict=True)
        ]
        # One cycle less for each multiply-add, and nothing else.
        assert {name for each in less for name, cycles in each.items() if cycles} == {"float"}
        assert less[0]["float"] == pytest.approx(before["layers"][0]["macs"], rel=0.1)
        assert after["cycle_model"] == "cortex-m4-1, calibrated"
        assert after["estimated_cycles_error"] == "not validated: costs of a calibration, float code"

    @pytest.mark.usefixtures("patient")
    def test_the_command_on_a_board_whose_every_instruction_takes_one_tick(
        self, attached, loops_image, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)  # the twin stands in for a real board, so its instructions pass for cycles
        entry = f'kind: nano33, probe: "{attached.twin.probe_uid}", port: {{serial: "{SERIAL}"}}'
        (tmp_path / "devices.yaml").write_text(f"devices:\n  bench: {{{entry}}}\n")
        command = ["calibrate", str(loops_image.path), "--device", "bench", "--keep", "kept.yaml"]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        rows = {words[0]: words[1:] for line in result.output.splitlines() if len(words := line.split()) == 4}
        assert rows["float_divide"] == ["14", "1.00", "-13.00"]
        assert rows["branch_direct"] == ["2", "0.00", "-2.00"]
        assert rows["flash_instruction_wait"] == ["3", "0.00", "-3.00"]
        assert rows["multiply"] == ["1", "1.00", "0"]
        assert "These loops can't tell: branch_table, table_branch." in result.output
        # To such a board a load of the FPU behind another is one like all others, which costs of this model can't say.
        (unexplained,) = (line for line in result.output.splitlines() if line.startswith("No change of costs explains"))
        assert unexplained.endswith("of the cycles of the loop float_load_pipelined.")
        data = load_calibrated(tmp_path / "kept.yaml")
        assert (data.cycle_costs.cycles["float_divide"], data.flash_timing.instruction_wait) == (1, 0)
        assert "multiply" not in data.cycle_costs.cycles


def test_another_image_is_refused(prebuilt):
    with pytest.raises(ImageError, match="it isn't the image to calibrate with; make -C firmware/calibrate makes that"):
        loop_names(load_image(prebuilt / "fashion_mnist_int8.elf"))


def test_an_emulated_board_is_refused(prebuilt):
    result = CliRunner().invoke(
        main, ["calibrate", str(prebuilt / "fashion_mnist_int8.elf"), "--device", "nano33", "--backend", "virtual"]
    )
    assert result.exit_code == 1
    assert "its counter counts instructions, not cycles, so there is nothing to calibrate by" in result.output


def test_costs_that_no_event_has_are_refused():
    with pytest.raises(ConfigError, match="there is no cost 'vfma'"):
        shipped_costs().calibrated({"vfma": 2})


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_loops_are_made_for_each_board_with_a_cortex_m4(root, tmp_path):
    for name, kind in shipped_kinds().items():
        command = ["make", "-n", "-C", root / "firmware/calibrate", f"BOARD={name}", f"OUT={tmp_path}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        chip = shipped_chips().get(kind.twin or "")
        if chip is None or chip.cpu != "cortex-m4":
            assert "costs are those of a Cortex-M4" in done.stderr
        else:
            assert all(f"-I../boards/{folder} " in done.stdout for folder in (*kind.build.shared, name)), done.stderr
