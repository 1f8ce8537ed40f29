"""The machine of the stand-in for Renode: Monitor commands, UART terminal, and the virtual board behind them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import socket
import threading
import time
from pathlib import Path

from renode_traps import TRAPS, log, say, trace

WORD = r"0x([0-9A-Fa-f]+)"
RNG = 0x4000D000
CYCCNT = 0xE0001004
VTOR = 0xD08
RESET_REQUEST = "sysbus WriteDoubleWord 0xE000ED0C 0x5FA0004"
NEW_SEED = (
    'python "import System; from Antmicro.Renode.Core import EmulationManager; '
    'EmulationManager.Instance.CurrentEmulation.SetSeed(System.Guid.NewGuid().GetHashCode())"'
)


class CommandError(Exception):
    """A Monitor command that fails."""


class Terminal:
    """A server socket terminal: one client at a time on all interfaces; what comes before it connects is kept."""

    def __init__(self, port, telnet):
        self.listener = socket.create_server(("0.0.0.0", port), backlog=1)  # noqa: S104 (as Renode does)
        self.telnet = telnet
        self.peer = None
        self.left = threading.Event()
        self.uart = None
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            peer, _ = self.listener.accept()
            trace("uart", "connected")
            self.left.clear()
            self.peer = peer
            if self.telnet:
                peer.sendall(bytes.fromhex("fffd00fffb01fffb03fffc22"))
            while self.uart is None:
                time.sleep(0.01)
            threading.Thread(target=self._to_host, args=(peer,), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := peer.recv(4096):
                    self.uart.sendall(data)
            trace("uart", "disconnected")  # before anybody can learn of it: what is traced next comes after it
            self.left.set()
            self.peer = None
            peer.close()

    def is_connected(self):
        """Whether a host is there. One that has hung up is none, and the thread that learns of it is waited for."""
        peer = self.peer
        if peer is None:
            return False
        poll = select.poll()
        try:
            poll.register(peer, getattr(select, "POLLRDHUP", select.POLLHUP))
        except ValueError:  # closed meanwhile
            return False
        return not poll.poll(0) or not self.left.wait(60)

    def _to_host(self, peer):
        with contextlib.suppress(OSError):
            while data := self.uart.recv(65536):
                peer.sendall(data)


class Board:
    """What `mach create` and LoadPlatformDescription make: the virtual board, standing still until `start`."""

    def __init__(self):
        from harness.boards.virtual import VirtualNrf52840

        self.twin = VirtualNrf52840("renode-stand-in", port="socket")
        self.machine = self.twin.machine
        self.machine.halted = True
        self.twin.start()
        self.vtor = 0
        self.seed = random.randrange(1 << 31)
        self.drawn = False
        self.fresh = True
        self.first = 0
        host, _, port = self.twin.port.removeprefix("socket://").partition(":")
        self.uart = socket.create_connection((host, int(port)))
        if "miscount" in TRAPS:
            read = self.machine.debug.read

            def miscounting(address, *, debugger):
                value = read(address, debugger=debugger)
                return value * 2 & 0xFFFFFFFF if address == CYCCNT else value

            self.machine.debug.read = miscounting

    def write(self, address, data):
        found = self.machine.memory.find(address, len(data))
        if found is None:
            raise CommandError(f"no memory at 0x{address:X}")
        memory, offset = found
        with self.machine.paused():
            memory[offset : offset + len(data)] = memoryview(data)
            self.machine.code_changed(address, address + len(data))

    def read(self, address, size):
        data = self.machine.memory.read(address, size)
        if data is None:
            with self.machine.paused():
                word = self.machine.private.read(address, 4, debugger=True)
            return word.to_bytes(4, "little")[:size]
        return data

    def load(self, path):
        from elftools.elf.elffile import ELFFile

        with Path(path).open("rb") as file:
            for number, segment in enumerate(ELFFile(file).iter_segments("PT_LOAD")):
                data = bytearray(segment.data() + bytes(segment["p_memsz"] - segment["p_filesz"]))
                if "flip" in TRAPS and not number:
                    data[100] ^= 1
                self.write(segment["p_paddr"], bytes(data))

    def reset(self):
        with self.machine.paused():
            running = not self.machine.halted
            self.machine._reset(0)
            self.machine.halted = True
            self.vtor = 0
            self.fresh = True
            self.first = self.machine.instructions()
        return running

    def start(self):
        if self.fresh:
            words = [int.from_bytes(self.read(self.vtor + offset, 4), "little") for offset in (0, 4)]
            if not 0x10000 <= words[1] < 0x100000:
                log("ERROR", "cpu: PC does not lay in memory or PC and SP are equal to zero. CPU was halted.")
                return
            with self.machine.paused():
                self.machine.cpu.reset(words[0], words[1])
                self.machine.scs.registers[VTOR] = self.vtor
            self.fresh = False
        with self.machine.paused():
            if self.machine.halted:
                # Each start makes a thread for the CPU, and each thread a generator from the seed of the process.
                self.machine.bus.pages[RNG]._random = random.Random(self.seed)
                self.drawn = True
                self.machine.resume(step=False)
        if "wild" in TRAPS:
            log("WARNING", f"sysbus: [cpu: 0x10234] ReadDoubleWord from non existing peripheral at {TRAPS['wild']}.")

    def pause(self):
        with self.machine.paused():
            if not self.machine.halted:
                self.machine.halt(0)

    def set_seed(self, seed):
        if self.drawn:
            log("WARNING", f"Pseudorandom Number Generator has already been used with seed {self.seed}.")
        self.seed = seed


class Monitor:
    """The commands that the harness is meant to use, and no others."""

    def __init__(self):
        self.board = None
        self.created = False
        self.using = False
        self.started = False
        self.terminals = {}
        self.macros = {}
        self.mips = 100
        self.busy = int(TRAPS.get("uart-busy", "0"))

    def need_board(self):
        if self.board is None:
            raise CommandError("No machine with a platform is selected")
        return self.board

    def run_script(self, path):
        folder = Path(path).parent
        text = Path(path).read_text().replace("$ORIGIN", f"@{folder}")
        parts = re.split(r'^macro (\w+)\s*\n"""\n(.*?)"""$', text, flags=re.MULTILINE | re.DOTALL)
        for index in range(0, len(parts), 3):
            for line in parts[index].splitlines():
                self.execute(line)
            if index + 2 < len(parts):
                self.macros[parts[index + 1]] = parts[index + 2]

    def run_macro(self, name):
        for line in self.macros[name].splitlines():
            self.execute(line)

    def execute(self, line):  # noqa: C901, PLR0911, PLR0912 (a table of commands)
        line = line.strip()
        if not line or line[0] in "#:":
            return ""
        trace("command", line)
        if TRAPS.get("deaf") == line:
            time.sleep(3600)
        if TRAPS.get("die") == line:
            say("Fatal error")
            if "linger" in TRAPS:
                os.closerange(3, 256)
                time.sleep(1.0)
            os._exit(134)
        if line == "using sysbus":
            self.using = True
            return ""
        if re.fullmatch(r'mach create "\w+"', line):
            self.created = True
            return ""
        if line.startswith("machine LoadPlatformDescription @"):
            return self.load_platform(line.partition("@")[2])
        if re.fullmatch(r"cpu PerformanceInMips \d+", line):
            self.mips = int(line.split()[-1])
            return ""
        if re.fullmatch(r"emulation SetGlobalAdvanceImmediately true", line):
            return ""
        if found := re.fullmatch(r'emulation CreateServerSocketTerminal (\d+) "(\w+)"( false)?', line):
            return self.create_terminal(int(found[1]), found[2], telnet=found[3] is None)
        if found := re.fullmatch(r"connector Connect sysbus.uart0 (\w+)", line):
            self.terminals[found[1]].uart = self.need_board().uart
            return ""
        if line == NEW_SEED:
            self.need_board().set_seed(random.randrange(-1 << 31, 1 << 31))
            return ""
        if line == RESET_REQUEST:  # as if the firmware had asked for it
            return self.reset()
        if found := re.fullmatch(rf"sysbus WriteDoubleWord {WORD} {WORD}", line):
            self.need_board().write(int(found[1], 16), int(found[2], 16).to_bytes(4, "little"))
            return ""
        if found := re.fullmatch(rf"sysbus ReadDoubleWord {WORD}", line):
            word = int.from_bytes(self.need_board().read(int(found[1], 16), 4), "little")
            return f"0x{word:08X}\n\n"
        if line.startswith("sysbus LoadELF @"):
            self.need_board().load(line.partition("@")[2].replace("\\ ", " "))
            return ""
        if found := re.fullmatch(rf"cpu VectorTableOffset {WORD}", line):
            self.need_board().vtor = int(found[1], 16)
            return ""
        if line == "cpu VectorTableOffset":
            return f"0x{self.need_board().vtor:08X}\n\n"
        if line == "cpu ExecutedInstructions":
            return f"0x{self.need_board().machine.instructions() - self.need_board().first:016X}\n\n"
        if line == "cpu PC":
            with self.need_board().machine.paused():
                return f"0x{self.need_board().machine.cpu.read('pc'):X}\n\n"
        if found := re.fullmatch(r"runMacro \$(\w+)", line):
            self.run_macro(found[1])
            return ""
        if line == "machine Reset":
            return self.reset()
        if line == "start":
            self.need_board().start()
            self.started = True
            return "Starting emulation...\n"
        if line == "pause":
            if self.board is not None:
                self.board.pause()
            self.started = False
            return "Pausing emulation...\n"
        raise CommandError(f"No such command or device: {line.split()[0]}")

    def load_platform(self, path):
        text = re.sub(r"(?s)\'\'\'.*?\'\'\'", "", Path(path).read_text())
        if "@https://" in text:
            raise CommandError(f"{path} wants to download something")
        for line in re.sub(r"//.*", "", text).splitlines():
            if line.strip() and not re.match(r"(\w+:|    (\w+:|-> )|        Tag <)", line):
                raise CommandError(f"Error E00: syntax error in {path}: {line}")
        if not (self.created and self.using):
            raise CommandError("No machine was created")
        self.board = Board()
        return ""

    def create_terminal(self, port, name, *, telnet):
        if self.busy:
            self.busy -= 1
            raise CommandError("AddressAlreadyInUse")
        try:
            self.terminals[name] = Terminal(port, telnet)
        except OSError as error:
            raise CommandError(f"AddressAlreadyInUse: {error}") from error
        return ""

    def reset(self):
        board = self.need_board()
        running = board.reset()
        if "reset" in self.macros and "no-macro" not in TRAPS:
            self.run_macro("reset")
        if running:
            board.start()
        return ""
