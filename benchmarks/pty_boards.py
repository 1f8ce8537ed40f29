"""Boards on pseudo-terminals: the real agent, compiled for this computer, on a line of 1 Mbaud or another rate.

Each board is a process of its own. It keeps the pace of the line, and counts how long the host let the line idle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from types import TracebackType

ROOT = Path(__file__).parents[1]
AGENT = ROOT / "firmware" / "agent"
BOARD = Path(__file__).parent / "pty_board"
CACHE = ROOT / ".cache" / "pty_board"
#: The host has a C library of its own, and no probe.
NOT_HERE = {"libc.c", "hil_mailbox.c"}
BOARD_SOURCES = (BOARD / "hal.c", BOARD / "model.c")
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{BOARD}")
BAUD = 1_000_000
LINE_BYTES_PER_S = BAUD / 10


@dataclass(frozen=True, slots=True)
class Shape:
    """Bytes of the tensors that a board takes and gives."""

    input_bytes: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What a board has counted since it was started.

    Attributes:
        now_s: the time of counting, seconds of the monotonic clock.
        rx_bytes: bytes that the board received and had granted.
        tx_bytes: bytes that it sent.
        ungranted_bytes: bytes that the host sent without a grant; they are lost.
        starved_s: time in which the host knew that it may send, and the line to the board was idle.
        late_s: time in which that line was idle because the board's process woke up late. A real board doesn't.
        longest_s: the longest piece of `starved_s` since the counts were last asked for.
        cpu_s: processor time of the board's process.
    """

    now_s: float
    rx_bytes: int
    tx_bytes: int
    ungranted_bytes: int
    starved_s: float
    late_s: float
    longest_s: float
    cpu_s: float


def build(shape: Shape, folder: Path = CACHE, agent: Path = AGENT) -> Path:
    """Return the program that is a board of this shape, compiled if the sources have changed since.

    Args:
        shape: of the model.
        folder: where programs are kept.
        agent: the agent's sources; an earlier release's do as well.

    Raises:
        SystemExit: there is no gcc.
        subprocess.CalledProcessError: the sources don't compile.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise SystemExit("gcc isn't on the PATH, and the boards of this benchmark are C: install gcc")
    sizes = (f"-DHIL_INPUT_BYTES={shape.input_bytes}u", f"-DHIL_OUTPUT_BYTES={shape.output_bytes}u")
    flags = (*FLAGS, f"-I{agent}", *sizes)
    sources = [*sorted(path for path in agent.glob("*.c") if path.name not in NOT_HERE), *BOARD_SOURCES]
    read = [*sorted(agent.glob("*.[ch]")), *sorted(BOARD.glob("*.[ch]"))]
    key = hashlib.sha256(b"\0".join([*(flag.encode() for flag in flags), *(path.read_bytes() for path in read)]))
    program = folder / f"board-{key.hexdigest()[:16]}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = program.with_suffix(".new")
        subprocess.run([gcc, *flags, *sources, "-o", made], check=True)  # noqa: S603 (own command)
        made.replace(program)
    return program


def expected_reply(data: bytes, shape: Shape) -> tuple[bytes, int]:
    """Return the output and the ticks that a board gives for an input; model.c says how."""
    state = zlib.crc32(data)
    ticks = 64_000 + state % 1024
    output = bytearray()
    for _ in range(shape.output_bytes):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        output.append(state >> 24)
    return bytes(output), ticks


class PtyBoard:
    """One running board.

    Args:
        program: what `build` returns.
        cores: those on which its process may run; None for all.
        baud: rate of its line, bit/s.
        turnaround_us: after so many microseconds the host sees what has passed the line.

    Attributes:
        port: path of its serial port.
    """

    def __init__(
        self, program: Path, cores: AbstractSet[int] | None = None, *, baud: int = BAUD, turnaround_us: int = 0
    ) -> None:
        line = {"HIL_PTY_BAUD": str(baud), "HIL_PTY_TURNAROUND_US": str(turnaround_us)}
        self._process = subprocess.Popen(  # noqa: S603
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | line
        )
        if cores:
            os.sched_setaffinity(self._process.pid, cores)
        self.port = self._line()

    def counts(self) -> Counts:
        """Ask the board what it has counted.

        Raises:
            RuntimeError: it has ended.
        """
        if self._process.stdin is None:
            raise RuntimeError("the board has no standard input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counts(**json.loads(self._line()))

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the board's process has ended (exit code {self._process.wait()})")
        return line.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        with self._process:  # closes its standard input, at which it ends
            pass
