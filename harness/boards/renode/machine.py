"""One emulated machine in one Renode: the commands of its Monitor that the board needs, and its serial line."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import shutil
from importlib import resources
from typing import TYPE_CHECKING

from harness.boards.renode.process import RenodeProcess
from harness.boards.renode.rpc import KeywordError
from harness.boards.renode.stream import SocketStream
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.boards.renode.find import Renode
    from harness.image.elf import Image

_COMMAND_S = 20.0
_LOAD_S = 120.0  # the first platform takes about 2 s more than later ones, on an idle machine
_UART_PORTS = (20000, 12000)  # the first, and how many; below what systems hand out by themselves
_PORT_TRIES = 8
# The chip's random numbers begin anew at every start, from the seed that the process has, and loading the image zeroes
# the RAM that a real board keeps over a reset. Firmware would draw the same boot nonce each time, and could not be told
# from what ran before. So every reset brings another seed, the firmware's own resets too.
_NEW_SEED = (
    'python "import System; from Antmicro.Renode.Core import EmulationManager; '
    'EmulationManager.Instance.CurrentEmulation.SetSeed(System.Guid.NewGuid().GetHashCode())"'
)


class Machine:
    """A machine that stands still until `start`.

    Args:
        board: the name that messages give it.
        renode: the Renode that is installed.
        platform: name of the scripts that make it.
        isolated: whether to ask the system to keep Renode's ports off the network.

    Attributes:
        process: the Renode that it is in.
        stream: the serial line of its firmware.
        port: where that is, in words.

    Raises:
        EmulatorError: Renode can't be started, or refuses what it is told.
    """

    def __init__(self, board: str, renode: Renode, platform: str, *, isolated: bool) -> None:
        self._board = board
        self.process = RenodeProcess(board, renode, isolated=isolated)
        self.stream: SocketStream | None = None
        try:
            folder = self.process.folder
            package = resources.files("harness.boards.renode")
            for name in (f"{platform}.repl", f"{platform}.resc"):
                (folder / name).write_text((package / name).read_text())
            self.keyword("ExecuteScript", str(folder / f"{platform}.resc"), patience=_LOAD_S)
            self.port = f"Renode's port {self._open_uart()}"
        except BaseException:
            self.close()
            raise

    def _open_uart(self) -> int:
        """Let Renode listen for the serial line. It picks no port by itself, and one that is taken is a failure."""
        refusals: list[KeywordError] = []
        for _ in range(_PORT_TRIES):
            port = _UART_PORTS[0] + secrets.randbelow(_UART_PORTS[1])
            try:
                self.command(f'emulation CreateServerSocketTerminal {port} "term" false')
                break
            except KeywordError as error:
                refusals.append(error)
        else:
            raise EmulatorError(f"{refusals[-1]} (tried {_PORT_TRIES} ports)") from refusals[-1]
        self.command("connector Connect sysbus.uart0 term")
        self.stream = SocketStream(self._board, self.process.connect(port), self.process.epitaph)
        return port

    def close(self) -> str:
        """Hang up and end Renode; say what that took. Safe to call twice."""
        if self.stream is not None:  # first: Renode doesn't end while somebody is connected
            self.stream.close()
        return self.process.close()

    def keyword(self, name: str, *arguments: str, patience: float = _COMMAND_S) -> str:
        """Run a keyword of the Robot server.

        Raises:
            KeywordError: it failed.
            EmulatorError: Renode doesn't answer in `patience` seconds, or is gone.
        """
        return self.process.robot.keyword(name, *arguments, patience=patience)

    def command(self, command: str, patience: float = _COMMAND_S) -> str:
        """Run a command of the Monitor and return what it prints; raises as `keyword`."""
        return self.keyword("ExecuteCommand", command, patience=patience).strip()

    def number(self, command: str) -> int:
        """Run a command that prints a number; raises as `keyword`."""
        text = self.command(command)
        try:
            return int(text, 0)
        except ValueError:
            raise EmulatorError(f"{self._board}: Renode answers `{command}` with {text[:80]!r}, not a number") from None

    def write_word(self, address: int, value: int) -> None:
        """Write a word of memory; raises as `keyword`."""
        self.command(f"sysbus WriteDoubleWord 0x{address:X} 0x{value:X}")

    def read(self, address: int, size: int) -> bytes:
        """Read memory in one request; raises as `keyword`."""
        if size == 0:
            return b""
        answer = self.keyword(
            "ExecutePython",
            f'__import__("System").Convert.ToBase64String(self.Machine.SystemBus.ReadBytes(0x{address:X},0x{size:X}))',
            patience=_LOAD_S,
        )
        try:
            content = base64.b64decode(answer, validate=True)
        except (binascii.Error, ValueError):
            raise EmulatorError(f"{self._board}: Renode answers a read with {answer[:80]!r}, not base64") from None
        if len(content) != size:
            raise EmulatorError(f"{self._board}: Renode read {len(content)} bytes at 0x{address:X} instead of {size}")
        return content

    def load(self, image: Image) -> None:
        """Stand still, and load an image now and after every reset; raises as `keyword`."""
        folder = self.process.folder
        copy = folder / "firmware.elf"
        shutil.copyfile(image.path, copy)
        script = folder / "load.resc"
        script.write_text(
            "macro reset\n"
            '"""\n'
            f"    sysbus LoadELF @{_escaped(copy)}\n"
            f"    cpu VectorTableOffset 0x{image.vectors:X}\n"
            f"    {_NEW_SEED}\n"
            '"""\n'
            "runMacro $reset\n"
        )
        self.command("pause")
        self.keyword("ExecuteScript", str(script), patience=_LOAD_S)

    def reset(self, vectors: int) -> None:
        """Reset, and start from the vector table of the image.

        Renode's reset clears the place of the vector table, and then runs the macro that loads the image and sets it.

        Raises:
            EmulatorError: Renode refuses, or the macro did not run.
        """
        self.command("pause")
        self.command("machine Reset", _LOAD_S)
        found = self.number("cpu VectorTableOffset")
        if found != vectors:
            raise EmulatorError(
                f"{self._board}: after the reset Renode has the vector table at 0x{found:X} instead of 0x{vectors:X}: "
                f"its macro `reset` did not run. {self.process.epitaph(broken=False)}"
            )
        self.command("start")


def _escaped(path: Path) -> str:
    return os.fspath(path).replace(" ", "\\ ")
