"""The process that emulates one Uno, and what it is told and asks."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import EmulatorError
from harness.link.poll import ready

if TYPE_CHECKING:
    from pathlib import Path

_ANSWER_S = 30.0
_END_S = 5.0


@dataclass(frozen=True)
class Status:
    """What the chip does.

    Attributes:
        state: running, sleeping, asleep-for-ever (interrupts off) or crashed.
        pc: program counter, in bytes.
        cycle: cycles since the last reset, sleep included.
        resets: since power-on.
        lost: bytes that came while the receiver was full or off.
        pulse: cycles between the last rising and falling edge of the sync pin; 0 if there was none.
        lowest_write: the lowest address written since `Twin.watch_stack`; None if there was no write, or this simavr
            can't be watched.
        said: what simavr complained about.
    """

    state: str
    pc: int
    cycle: int
    resets: int
    lost: int
    pulse: int
    lowest_write: int | None
    said: str


class Twin:
    """One emulated Uno, from power-on until `close`; it doesn't outlive this process.

    Args:
        board: the name that messages give it.
        program: the emulator.
        sync_pin: as its port and bit, like D2.
        optiboot: binary of the boot section; None leaves it empty.

    Attributes:
        port: the pseudo-terminal of its serial line.

    Raises:
        EmulatorError: it doesn't start.
    """

    def __init__(self, board: str, program: Path, sync_pin: str, optiboot: Path | None) -> None:
        self._board = board
        self._top = 0
        command = [str(program), sync_pin, str(optiboot or "-")]
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the harness's to decide about
            )
        except OSError as error:
            raise EmulatorError(f"{board}: {program} can't be started: {error}") from error
        self._pending = b""
        try:
            self.port = self._answer("ready")
        except BaseException:
            self.close()
            raise

    @property
    def ended(self) -> bool:
        """Whether its process has ended, or is about to: what it has open closes one by one before."""
        try:
            self.status()
        except EmulatorError:
            return True
        return False

    def reset(self) -> None:
        """Pull the reset pin, and skip what the bootloader waits for in vain."""
        self._do("reset")

    def listen(self) -> None:
        """Pull the reset pin, after which the bootloader listens, however long it takes until somebody speaks."""
        self._do("listen")

    def load(self, binary: Path) -> None:
        """Write an application to flash directly."""
        self._do(f"load {binary}")

    def watch_stack(self, bottom: int, top: int) -> None:
        """Watch for the lowest address that is written in [bottom, top), from now on."""
        self._top = top
        self._do(f"watch {bottom} {top}")

    @property
    def lowest_write(self) -> int | None:
        """The lowest address written since `watch_stack`; None if there was no write."""
        return self.status().lowest_write

    def status(self) -> Status:
        """Ask what the chip does."""
        words, _, said = self._do("status").partition(" said=")
        told = dict(word.split("=") for word in words.split())
        numbers = {name: int(told[name]) for name in ("pc", "cycle", "resets", "lost", "pulse")}
        lowest = int(told["lowest"])
        return Status(told["state"], **numbers, lowest_write=lowest if 0 < lowest < self._top else None, said=said)

    def close(self) -> None:
        """End it. Safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _do(self, command: str) -> str:
        pipe = self._process.stdin
        try:
            assert pipe is not None  # noqa: S101 - it was asked for
            pipe.write(f"{command}\n".encode())
        except (OSError, ValueError) as error:
            raise self._lost(str(error)) from error
        return self._answer("ok")

    def _answer(self, wanted: str) -> str:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - it was asked for
        if pipe.closed:
            raise self._lost("it was switched off")
        deadline = time.monotonic() + _ANSWER_S
        while b"\n" not in self._pending:
            if not ready(pipe.fileno(), deadline - time.monotonic()):
                raise self._lost(f"no answer in {_ANSWER_S:g} s")
            data = pipe.read(4096)
            if not data:
                raise self._lost("it has ended")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        word, _, rest = line.decode(errors="replace").partition(" ")
        if word != wanted:
            raise EmulatorError(f"{self._board}: the emulator refuses: {rest or word}")
        return rest

    def _lost(self, why: str) -> EmulatorError:
        return EmulatorError(f"{self._board}: the process that emulates the board is lost: {why}")
