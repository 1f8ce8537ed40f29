"""The agent, compiled for this computer."""

from __future__ import annotations

import pytest

from engine.targets import compiler, run_compiler

AGENT = ("agent.c", "crc32.c", "frame.c", "hil_layers.c", "stream.c")
CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
STRICT = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="package")
def program(root, tmp_path_factory):
    """A program that is a board with the agent, under the sanitizers: its line are stdin and stdout."""
    gcc, folder = compiler("gcc"), tmp_path_factory.mktemp("agent")
    flags = [*STRICT, *CHECKS, f"-I{root / 'firmware' / 'agent'}", f"-I{root / 'tests' / 'agent'}"]
    objects = []
    for source in (root / "firmware" / "agent" / name for name in AGENT):
        objects.append(folder / f"{source.stem}.o")
        run_compiler([gcc, *flags, "-Dmain=agent_main", "-c", source, "-o", objects[-1]])
    made = folder / "agent"
    run_compiler([gcc, *flags, root / "tests" / "agent" / "host.c", *objects, "-o", made])
    return made
