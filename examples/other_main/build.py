"""Builds the examples: the agent in somebody else's program, for the Nano 33 BLE. docs/other-peoples-main.md says more.

python examples/other_main/build.py bare_metal -o images
python examples/other_main/build.py freertos --freertos ~/FreeRTOS-Kernel -o images
python examples/other_main/build.py arduino -o images
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parents[1] / "firmware"
MODEL = FIRMWARE / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite"
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
OPTIONS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections", "-ffp-contract=off")
LINK = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,--build-id=sha1", "-lm", "-lc", "-lgcc")
#: Of the agent all but what paints the memory of its own boards, and its mailbox for the debug probe.
LEFT_OUT = ("hil_memory.c", "hil_mailbox.c")


def run(*command: str | Path, folder: Path | None = None) -> None:
    """Run a program, and stop if it fails."""
    done = subprocess.run([str(word) for word in command], check=False, cwd=folder)  # noqa: S603 - the compiler, or hil
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed")


def agent_sources(generated: Path) -> list[Path]:
    """Return what a program needs of this project: the agent, the kernels, and the model, which is written there."""
    agent = [path for path in sorted((FIRMWARE / "agent").glob("*.c")) if path.name not in LEFT_OUT]
    kernels = sorted((FIRMWARE / "engine").glob("*.c"))
    return [*agent, FIRMWARE / "program" / "hil_program.c", *kernels, generated / "model.c"]


def compile_agent(cross: str, generated: Path) -> list[Path]:
    """Compile what a program needs of this project. It is the same for all of them."""
    folders = (FIRMWARE / "program", FIRMWARE / "agent", FIRMWARE / "engine", generated)
    sources, objects = agent_sources(generated), generated / "objects"
    objects.mkdir()
    includes = [f"-I{folder}" for folder in folders]
    run(f"{cross}gcc", *CPU, *OPTIONS, "-DHIL_PROGRAM", *includes, "-c", *sources, folder=objects)
    return sorted(objects.glob("*.o"))


def compile_program(cross: str, own: list[Path], options: list[str], agent: list[Path], out: Path) -> None:
    """Compile a program, and link it by its project's script; ours must come first."""
    scripts = ("-T", FIRMWARE / "program" / "hil_program.ld", "-T", HERE / "project" / "project.ld")
    includes = (f"-I{HERE / 'project'}", f"-I{FIRMWARE / 'program'}")
    sources = [*sorted((HERE / "project").glob("*.c")), *own]
    run(f"{cross}gcc", *CPU, *OPTIONS, *options, *includes, *sources, *agent, *scripts, *LINK, "-o", out)


def sketch(generated: Path, out: Path) -> None:
    """Write an Arduino sketch: what the IDE compiles is what lies in the folder, and in its `src`."""
    source = out / "src"
    source.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "arduino" / "sketch.ino", out / f"{out.resolve().name}.ino")
    for path in (FIRMWARE / "program" / "hil_arduino.h", FIRMWARE / "program" / "hil_program.ld"):
        shutil.copy(path, out)
    headers = [path for part in ("agent", "engine", "program") for path in sorted((FIRMWARE / part).glob("*.h"))]
    for path in (*headers, generated / "model_config.h", *agent_sources(generated)):
        if path.name != "hil_arduino.h":
            shutil.copy(path, source)


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    programs = ("bare_metal", "bare_metal_no_tick", "freertos", "arduino")
    parser.add_argument("programs", nargs="+", choices=programs, metavar="PROGRAM", help=", ".join(programs))
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where PROGRAM.elf goes")
    parser.add_argument("--freertos", type=Path, metavar="DIR", help="the kernel's tree, the one with tasks.c in it")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help="a .tflite file")
    parser.add_argument("--cross", default="arm-none-eabi-", metavar="PREFIX", help="of the compiler's names")
    asked = parser.parse_args()
    kernel: Path | None = None if asked.freertos is None else asked.freertos.resolve()
    if "freertos" in asked.programs and (kernel is None or not (kernel / "tasks.c").is_file()):
        parser.error("freertos needs --freertos DIR: FreeRTOS's kernel, the folder with tasks.c in it")
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder)
        run(sys.executable, "-m", "harness", "build", asked.model, "--board", "nano33", "--emit-c", generated)
        agent = [] if asked.programs == ["arduino"] else compile_agent(asked.cross, generated)
        for program in asked.programs:
            out = asked.out / f"{program}.elf"
            if program == "arduino":
                out = asked.out / "sketch"
                sketch(generated, out)
            elif program == "freertos" and kernel is not None:
                port = kernel / "portable" / "GCC" / "ARM_CM4F"
                own = [HERE / "freertos" / "main.c", *sorted(kernel.glob("*.c")), port / "port.c"]
                places = [f"-I{place}" for place in (HERE / "freertos", kernel / "include", port)]
                compile_program(asked.cross, own, places, agent, out)
            else:
                tick = [f"-DTICK_HZ={1000 if program == 'bare_metal' else 0}u"]
                compile_program(asked.cross, [HERE / "bare_metal" / "main.c"], tick, agent, out)
            print(f"Written: {out}")


if __name__ == "__main__":
    main()
