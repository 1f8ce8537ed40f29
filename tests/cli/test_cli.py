from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.boards.discover import Port, Probe
from harness.cli import COMMANDS, main
from harness.cli.profile import bar
from harness.store import Run

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "firmware" / "prebuilt" / "nano33" / "fashion_mnist_int8.elf"
SUITE = ROOT / "suites" / "fashion_mnist.yaml"
KEYS = {"device": "nano33", "board": "nano33", "backend": "virtual", "suite": "digits", "variant": "int8"}


@pytest.fixture
def hil(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def hil(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return hil


def attach(monkeypatch, probes=(), ports=()):
    for place in ("harness.cli.devices.adding", "harness.cli.doctor.host"):
        monkeypatch.setattr(f"{place}.attached_probes", lambda: list(probes))
        monkeypatch.setattr(f"{place}.attached_ports", lambda: list(ports))


def make_run(folder, *, complete=True):
    run = Run.create(folder, {"harness_version": "0.1.0"})
    case = run.begin_case(**KEYS, technique="int8 quantization")
    case.sample(sample=0, label=1, prediction=1, ticks=5, output_crc=0)
    if complete:
        case.finish(status="complete", accuracy=1.0, accuracy_low=0.2, accuracy_high=1.0, ticks_median=5.0)
        run.close()
    return run


def test_version_and_help(hil):
    assert hil("--version").output.startswith("hil, version 0.")
    text = hil("--help").output
    for command in ("devices", "doctor", "flash", "profile", "results"):
        assert f"  {command} " in text


def test_help_of_no_command_imports_anything_slow():
    code = (
        "import sys\n"
        "from harness.cli import COMMANDS, main\n"
        "for name in COMMANDS: main.get_command(None, name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"distributed", "numpy", "pandas", "pydantic", "pyocd", "rich", "serial", "unicorn", "yaml"}
    assert {"click", "harness.cli.search"} <= set(done.stdout.split())
    assert not slow & set(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_itself(hil, name):
    done = hil(name, "--help")
    assert done.exit_code == 0
    assert " ".join(done.output.split("\n\n")[1].split()) == COMMANDS[name]


def test_the_list_of_commands_imports_none_of_them():
    code = "import sys; sys.argv = ['hil', '--help']; import harness.cli\ntry: harness.cli.main()\n"
    code += (
        "finally: print(sorted(name for name in sys.modules if name.startswith(('harness.cli.', 'pandas', 'numpy'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["flash"], ["flash", "x.elf"], ["results", "show", "--no"]])
def test_wrong_usage_is_2(hil, arguments):
    assert hil(*arguments).exit_code == 2


def test_an_error_is_one_message_and_1(hil):
    result = hil("results")
    assert result.exit_code == 1
    assert result.output == "hil: results: there is no such results folder; runs make it\n"


def test_v_shows_the_traceback(hil):
    done = hil("-v", "results")
    assert done.exit_code == 1
    assert done.stderr.startswith("Traceback ")
    assert "harness.errors.StoreError: " in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_is_130():
    code = "import sys, time, harness.store, harness.cli.results as r\n"
    code += "r._show_runs = lambda _: (print('here', flush=True), time.sleep(60))\n"
    code += "import harness.cli; sys.argv = ['hil', 'results']; harness.cli.main()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.decode() == "hil: interrupted\n"


# ---- devices


def test_devices_without_anything_attached(hil, monkeypatch):
    attach(monkeypatch)
    result = hil("devices")
    assert result.exit_code == 0
    assert "none are configured (there is no devices.yaml here)" in result.output
    assert "No board is attached to this computer" in result.output
    assert "`pytest suites/ --device nano33` will use the virtual board" in result.output
    assert re.search("nano33 +Arduino Nano 33 BLE Sense +nRF52840 +64 MHz +yes", result.output)


def test_devices_on_this_computer(hil):
    assert hil("devices").exit_code == 0


def test_a_pc_s_own_serial_port_is_no_board(hil, monkeypatch):
    attach(monkeypatch, ports=[Port("/dev/ttyS0", "n/a", None, None)])
    output = hil("devices").output
    assert "No board is attached" in output
    assert "ttyS0" not in output


def test_devices_that_are_attached_and_not(hil, monkeypatch, tmp_path):
    (tmp_path / "devices.yaml").write_text(
        "devices:\n  a: {kind: nano33, probe: P1, port: {serial: S1}}\n  b: {kind: nano33, probe: P2, tags: [x]}\n"
    )
    attach(monkeypatch, [Probe("P1", "CMSIS-DAP"), Probe("P3", "J-Link")], [Port("/dev/ttyACM0", "Nano", "S1", "1-1")])
    output = hil("devices").output
    for text in ("P1 (attached)", "S1 (/dev/ttyACM0)", "P2 (not attached)", "Not in devices.yaml: probe P3."):
        assert text in output


def test_a_mistake_in_devices_yaml(hil, tmp_path):
    (tmp_path / "devices.yaml").write_text("devices: 5\n")
    result = hil("devices")
    assert result.exit_code == 1
    assert result.output.startswith("hil: devices.yaml:1: devices: must be a valid dictionary")


# ---- results


def test_results_lists_runs(hil, tmp_path):
    done = make_run(tmp_path / "results")
    going = make_run(tmp_path / "results", complete=False)
    output = hil("results").output
    assert f"{done.path.name}   closed       nano33 (virtual)   1 complete" in output
    assert f"{going.path.name}   unfinished   -" in output
    assert "hil results recover RUN" in output


def test_results_without_runs(hil, tmp_path):
    (tmp_path / "results").mkdir()
    assert "holds no runs" in hil("results").output


@pytest.mark.parametrize("named", ["path", "name", "latest"])
def test_results_show(hil, tmp_path, named):
    run = make_run(tmp_path / "results")
    which = {"path": run.path, "name": run.path.name, "latest": "latest"}[named]
    result = hil("results", "show", which)
    assert result.exit_code == 0
    assert "int8 quantization" in result.output
    assert "Emulated: no board was used." in result.output


def test_results_show_of_nothing(hil, tmp_path):
    (tmp_path / "results").mkdir()
    result = hil("results", "show", "yesterday")
    assert (result.exit_code, result.output) == (
        1,
        "hil: results/yesterday: there is no such run; `hil results` lists them\n",
    )


def test_results_recover(hil, tmp_path):
    code = "import os, sys; sys.path.insert(0, sys.argv[1]); import test_cli; from pathlib import Path\n"
    code += "test_cli.make_run(Path('results'), complete=False); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, Path(__file__).parent], check=False, cwd=tmp_path)
    assert "unfinished" in hil("results", "show").output
    result = hil("results", "recover")
    assert result.exit_code == 0
    assert "recovered 1 samples; 0 of 1 cases are complete." in result.output
    assert "int8 on nano33: failed: run was interrupted" in result.output
    assert "nothing to recover" in hil("results", "recover").output


def test_a_running_run_is_not_recovered(hil, tmp_path):
    run = make_run(tmp_path / "results", complete=False)
    assert "the run is still going" in hil("results", "recover").output
    run.close()


# ---- flash, profile, doctor, on the virtual board


def test_flash(hil):
    result = hil("flash", IMAGE, "--device", "nano33", "--backend", "virtual")
    assert result.exit_code == 0, result.output
    assert "Flashed fashion_mnist_int8.elf" in result.output
    assert "Running: fashion_mnist_int8, build id" in result.output
    assert "nothing stays flashed" in result.output


def test_profile(hil):
    result = hil("profile", IMAGE, "--device", "nano33", "--suite", SUITE, "--sample", 7)
    assert result.exit_code == 0, result.output
    assert f"Input: sample 7 of fashion_mnist ({SUITE})." in result.output
    assert "fashion_mnist_int8 on nano33, virtual backend\n" in result.output
    assert "Instructions are not cycles" in result.output
    counted, estimated = result.output.split("ESTIMATED cycles, not measured; where they go, in percent\n")
    lines = [line.split() for line in counted.splitlines() if line]
    rows = [line for line in lines if line[0].isdigit()]
    assert [row[1] for row in rows][:4] == ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D"]
    assert max(rows, key=lambda row: len(row[-1]))[0] == "2"  # the longest bar
    instructions = [int(row[5].replace(",", "")) for row in rows]
    rest, total = (next(line for line in lines if line[0] == word) for word in ("outside", "total"))
    assert sum(instructions) + int(rest[2]) == int(total[3].replace(",", ""))
    assert " cycles" not in counted.replace("Instructions are not cycles", "")
    assert "Error: not validated: no published measurement on this flash." in estimated
    assert "latency" not in result.output


def test_profile_as_json_adds_up(hil):
    asked = json.loads(hil("profile", IMAGE, "--device", "nano33", "--json", "--show-estimated-time").output)
    time, profile = asked["estimated_time"], {key: each for key, each in asked.items() if key != "estimated_time"}
    cycles = sum(row["estimated_cycles"] for row in [*profile["layers"], profile["rest"]])
    assert time["ms"] == pytest.approx(cycles / 64_000)
    assert (time["range_ms"], time["error"]) == (None, profile["estimated_cycles_error"])
    assert (profile["backend"], profile["counter"]) == ("virtual", "instructions")
    assert profile["input"] == "random, -128 to 127, seed 0"
    layers, total = profile["layers"], profile["total"]
    for key in ("instructions", "macs", "bytes_moved", "parameters"):
        rest = profile["rest"].get(key, 0)
        assert sum(row[key] for row in layers) + rest == total[key] > 0
    assert sum(row["share"] for row in layers) == pytest.approx(1, abs=1e-4)
    assert layers[2]["instructions_per_mac"] == layers[2]["instructions"] / layers[2]["macs"]
    assert layers[9]["instructions_per_mac"] is None
    assert abs(total["instructions"] - profile["inference"]["instructions"]) <= 16
    said = json.dumps(profile | {"image": ""})
    assert "cycles" not in said.replace("estimated_cycles", "")  # they are never without that word
    for row in [*layers, profile["rest"]]:
        assert sum(row["estimated_cycles_by_part"].values()) == pytest.approx(row["estimated_cycles"])
    assert profile["estimated_cycles_error"].startswith("not validated")


def test_profile_of_an_engine_without_layers(hil):
    image = ROOT / "tests" / "images" / "fault.elf"
    output = hil("profile", image, "--device", "nano33").output
    assert "No layers: the engine in this image doesn't tell one layer from another." in output
    assert "The whole inference takes 6" in output
    profile = json.loads(hil("profile", image, "--device", "nano33", "--json").output)
    assert profile["layers"] == []
    assert profile["total"]["instructions"] == profile["inference"]["instructions"] > 0
    assert profile["total"]["macs"] is None
    assert "doesn't tell" in profile["why_no_layers"]


def test_profile_where_the_output_can_show_no_blocks():
    assert [bar(share, 4, blocks=False) for share in (0, 0.5, 1)] == ["", "##", "####"]
    assert [bar(share, 4, blocks=True) for share in (0, 0.5, 0.53125, 1)] == ["", "██", "██▏", "████"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "s.yaml", "--input", "i.npy"], "--suite and --input exclude each other"),
        (["--sample", 3], "--sample goes with --suite"),
    ],
)
def test_profile_of_two_inputs_or_none(hil, arguments, words):
    result = hil("profile", IMAGE, "--device", "nano33", *arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_profile_by_function(hil):
    output = hil("profile", IMAGE, "--device", "nano33", "--functions", "--show-estimated-time").output
    assert re.search(
        r"ESTIMATED time in all at 64 MHz: \d\S+ ms, range not known \(not validated: no published", output
    )
    assert "Input: random, -128 to 127, seed 0.\n" in output
    assert "fashion_mnist_int8 on nano33, virtual backend\n" in output
    assert "Instructions are not cycles" in output


def test_profile_by_function_as_json_adds_up(hil):
    profile = json.loads(hil("profile", IMAGE, "--device", "nano33", "--functions", "--json").output)
    total = profile["total"]
    assert sum(row["instructions"] for row in profile["functions"]) == pytest.approx(total["instructions"])
    assert sum(row["share"] for row in profile["functions"]) == pytest.approx(1, abs=1e-3)
    # What is not the inference itself is the agent's copying of the input.
    assert total["inference"] < total["instructions"] < 1.01 * total["inference"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.elf", "--device", "nano33"], "none.elf: can't be read"),
        ([IMAGE, "--device", "nano34"], 'did you mean "nano33"?'),
        ([IMAGE, "--device", "nano33", "--backend", "hardware"], "hil devices"),
        ([__file__, "--device", "nano33"], "not an ELF file"),
    ],
)
def test_flash_of_what_cannot_be(hil, arguments, words):
    result = hil("flash", *arguments)
    assert result.exit_code == 1
    assert words in result.output


def test_several_devices_are_too_many(hil, tmp_path):
    (tmp_path / "devices.yaml").write_text("devices:\n  a: {kind: nano33}\n  b: {kind: nano33}\n")
    result = hil("flash", IMAGE, "--device", "nano33")
    assert (result.exit_code, result.output) == (1, "hil: nano33 means a, b; name one of them\n")


def test_doctor(hil, monkeypatch):
    attach(monkeypatch)
    result = hil("doctor")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert any(line.startswith("ok  Python: 3.") for line in lines)
    assert any("knows nrf52840" in line for line in lines)
    assert any(line.startswith("--  Debug probes: none attached") for line in lines)
    assert "--  Power monitor: none; the energy columns stay empty" in result.output


def test_doctor_with_a_virtual_device(hil, tmp_path):
    shutil.copytree(IMAGE.parent, tmp_path / "firmware" / "prebuilt" / "nano33")
    result = hil("doctor", "--device", "nano33", "--backend", "virtual")
    assert result.exit_code == 0, result.output
    for words in ("all readable", "flashed", "firmware answers: chip", "link echoes"):
        assert words in result.output


def test_doctor_says_what_is_wrong(hil, tmp_path):
    (tmp_path / "devices.yaml").write_text("devices: 5\n")
    result = hil("doctor", "--device", "nano33", "--backend", "virtual")
    assert result.exit_code == 1
    assert "!!  Lab: devices.yaml:1: " in result.output


def test_doctor_without_permission_for_the_port(hil, monkeypatch, tmp_path):
    port = tmp_path / "ttyACM0"
    port.touch()
    attach(monkeypatch, ports=[Port(str(port), "Nano", "S1", "1-1")])
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != port)
    result = hil("doctor")
    assert result.exit_code == 1
    assert f"!!  Serial ports: no permission for {port}: sudo usermod -aG " in result.output
