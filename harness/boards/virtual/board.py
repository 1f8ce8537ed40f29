"""A virtual board: what a user of this package holds in hand."""

from __future__ import annotations

import hashlib
import itertools
import os
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from harness.boards.virtual.arduino_bootloader import USB_IDS, ArduinoBootloader
from harness.boards.virtual.chips.made import Made, Wiring
from harness.boards.virtual.core.trace import Trace
from harness.boards.virtual.cycles.marks import CycleMarks
from harness.boards.virtual.debug.dap import DebugPort
from harness.boards.virtual.faults import activate, parse_fault
from harness.boards.virtual.machine import Machine
from harness.boards.virtual.ports.serial_line import Line
from harness.boards.virtual.ports.serial_port import NoPort, Wake, open_port
from harness.boards.virtual.usb.host import CdcHost
from harness.config import shipped_kinds
from harness.config.board import fold_chip_id
from harness.config.chip import shipped_chips
from harness.errors import ConfigError, EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from harness.boards.virtual.core.block_table import BlockProfile
    from harness.boards.virtual.core.exceptions import Crash
    from harness.boards.virtual.cycles.costs import Costs
    from harness.boards.virtual.faults.fault import ActiveFault, Fault
    from harness.boards.virtual.ports.serial_port import Port
    from harness.config import BoardKind
    from harness.config.board import Region

_serial_numbers = itertools.count(1)


class VirtualMcu:
    """A board in this process: a debug probe for pyOCD and a port for pyserial.

    Attributes:
        kind: what kind of board it is.
        probe_uid: pyOCD's unique id; differs for every board of this process.
        port: what `serial.serial_for_url` opens; "" while there is none: that of USB comes and goes with the firmware.
        uart_port: the UART's, which is there beside USB, too.
        usb: the computer at the other end of the USB cable; None without a cable.
        bootloader: what runs before the application after a reset; None if there is nothing.
        chip_id: what tells the chip from others, as the agent reports it; from name and seed; 0 if
            the chip has nothing that tells.
        line: what `port` is the end of; its taps see every byte (`Line.to_board`, `Line.to_host`).
        dap: the debug port; `DebugPort.before_transfer` sees every transfer, `DebugPort.locked` is APPROTECT.
        faults: what was injected, with how often each of them struck.
        on_usb_port: called with the path of each port that USB makes, before `port` is that.
    """

    on_usb_port: Callable[[str], None] | None = None

    def __init__(
        self,
        name: str,
        kind: BoardKind,
        *,
        seed: int = 0,
        port: str = "auto",
        link: Literal["uart", "usb", "probe"] = "uart",
        bootloader: bool = False,
        native_counter: bool = True,
        faults: Iterable[str | Fault] = (),
    ) -> None:
        """Build the board, unpowered.

        Args:
            name: appears in the probe's id, and makes the chip id together with `seed`.
            kind: of the board; its `twin` says which chip it has.
            seed: of the random number generator, with the number of the boot.
            port: "pty", "socket", or "auto" for a pty where there are any.
            link: which connection `port` is: the UART's pins, or a USB cable to the board's own USB. For `probe` there
                is no port, and nothing is connected to the pins.
            bootloader: whether there is Arduino's bootloader, which speaks over USB.
            native_counter: False forces the slower instruction counter.
            faults: what goes wrong, as in docs/faults.md; more can be added by `inject`.

        Raises:
            ConfigError: a fault's text isn't understood, or the kind has no chip or connection of that name.
            EmulatorError: the CPU emulator doesn't work here.
        """
        chips = shipped_chips()
        if kind.twin is None or kind.twin not in chips:
            raise ConfigError(f'{kind.name}: no chip "{kind.twin}" can be emulated; twin can be {", ".join(chips)}')
        data = chips[kind.twin]
        self.name, self.kind = name, kind
        self.link: str = link
        digest = hashlib.sha256(f"{name}/{seed}".encode()).digest()
        identity = digest[: data.identity.size] if data.identity is not None else b""
        self.chip_id = fold_chip_id(identity)
        self._uid = f"{name}-{os.getpid()}-{next(_serial_numbers)}"
        self.probe_uid = f"virtual:{self._uid}"
        self._wake = Wake()
        self._port_kind = port
        self._uart: Port | None = None  # where it isn't the port
        self._port = NoPort() if link == "probe" else open_port(port)
        self._touched_port: Port | None = None
        self.port = self.uart_port = self._port.url
        self.line = uart = Line(self._port, self._wake)
        made = Made(data, identity, Wiring.of(kind), f"{name}/{seed}")
        self.machine = Machine(made, uart, self._wake, allow_native=native_counter)
        self._native = native_counter
        self.usb: CdcHost | None = None
        if link == "usb":
            self.plug_in()
        self.bootloader: ArduinoBootloader | None = None
        if self.usb is not None and bootloader:
            self.bootloader = ArduinoBootloader(
                self.machine, self.line, self._usb_changed, self._touched, partial(self.usb.touch, 1200)
            )
        self.dap = DebugPort(self.machine)
        self._started = self._closed = False
        self.faults: list[ActiveFault] = []
        for fault in faults:
            self.inject(fault)

    def plug_in(self) -> None:
        """Connect a USB cable: from now on `port` and `line` are those of USB.

        Raises:
            ConfigError: the board has no USB of its own.
        """
        usbd = self.machine.usbd
        if not self.kind.usb or usbd is None:
            raise ConfigError(f"{self.name}: {self.kind.title} has no serial port on its own USB; use link: uart")
        self._uart, self._port, self.port = self._port, NoPort(), ""
        self.line = Line(self._port, self._wake)
        self.usb = CdcHost(usbd, self.line)
        self.usb.on_port = self._usb_changed
        self.machine.usb_host = self.usb
        self.machine.bus.plug(in_=True)

    def _usb_changed(self, here: bool, /) -> None:  # noqa: FBT001 - the only argument
        """Let the port of USB appear or vanish, on the CPU's thread."""
        port = open_port(self._port_kind) if here else NoPort()
        self.line.replace_port(port)
        if here and self.on_usb_port is not None:
            self.on_usb_port(port.url)
        self._port, self.port = port, port.url

    def _touched(self) -> bool:
        """Tell once of each port whether a program asks there for the bootloader."""
        asked = self._port.touched and self._port is not self._touched_port
        if asked:
            self._touched_port = self._port
        return asked

    @property
    def usb_identity(self) -> tuple[int, int, str] | None:
        """Vendor, product and serial number of what the computer sees on the cable; None if it sees nothing."""
        if self.bootloader is not None and self.bootloader.stays:
            return (*USB_IDS, self.bootloader.serial)
        return None if self.usb is None else self.usb.identity

    def start(self) -> None:
        """Power on, and let pyOCD find the probe."""
        from harness.boards.virtual.debug import probe  # noqa: PLC0415 - pyOCD takes a while to import

        if not self._started:
            self._started = True
            probe.register(self._uid, self.dap, self.kind)
            self.machine.start(self.name)

    def close(self) -> None:
        """Power off. Safe to call twice."""
        from harness.boards.virtual.debug import probe  # noqa: PLC0415 - as above

        if self._closed:
            return
        self._closed = True
        probe.unregister(self._uid)
        self.machine.close()
        self._port.close()
        if self._uart is not None:
            self._uart.close()
        self._wake.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inject(self, fault: str | Fault) -> ActiveFault:
        """Let something go wrong, as docs/faults.md describes.

        Raises:
            ConfigError: the text isn't understood.
        """
        active = activate(self, parse_fault(fault) if isinstance(fault, str) else fault)
        self.faults.append(active)
        return active

    def replace_port(self) -> None:
        """Let the serial port vanish and return under another name; on the CPU's thread, or while that is paused."""
        port = open_port(self._port_kind)
        self.line.replace_port(port)
        self._port = port
        self.port = port.url

    @property
    def counter_description(self) -> str:
        """Which instruction counter is in use, in one line."""
        return self.machine.engine.counter.description

    @property
    def crash(self) -> Crash | None:
        """Why the firmware stopped, or None if it did not. A reset clears it."""
        return self.machine.crash

    @property
    def failure(self) -> BaseException | None:
        """What ended the emulation, a fault of the emulator rather than of the firmware; None as long as it goes on."""
        return self.machine.failure

    def instructions(self) -> int:
        """Return the instructions issued since power-on, condition-failed ones included.

        Raises:
            EmulatorError: the board has failed.
        """
        self.machine.check()
        return self.machine.instructions()

    def profile(self) -> BlockProfile:
        """Return how often each block of the code now in memory was executed."""
        with self.machine.paused():
            return self.machine.engine.counter.profile()

    def clear_profile(self) -> None:
        """Start the profile anew."""
        with self.machine.paused():
            self.machine.engine.counter.clear_profile()

    def code(self, address: int, size: int) -> bytes | None:
        """Return what is in memory, as a profile's estimate of cycles needs it; None where there is none."""
        return self.machine.memory.read(address, size)

    def mark_cycles(self, costs: Costs | None = None) -> CycleMarks:
        """Estimate cycles at each reading of the cycle counter, from now on; return where that is noted.

        Args:
            costs: of each event; None for the shipped ones.
        """
        with self.machine.paused():
            marks = CycleMarks(self.machine.engine.counter, self.code, costs)
            self.machine.debug.on_cycle_count = marks.note
        return marks

    def unmark_cycles(self) -> None:
        """Estimate no longer."""
        with self.machine.paused():
            self.machine.debug.on_cycle_count = None

    @contextmanager
    def traced(self, marks: CycleMarks, flash: Region, entries: int) -> Iterator[Trace]:
        """Trace blocks and reads of flash for a while, with the places of `marks` in it; `entries` is the room."""
        engine = self.machine.engine
        with self.machine.paused():
            marks.trace = trace = Trace(engine.uc, (flash.start, flash.end), entries, allow_native=self._native)
            engine.flush_wanted = True
        try:
            yield trace
        finally:
            with suppress(EmulatorError), self.machine.paused():  # a board that has failed traces no more
                marks.trace = None
                trace.close()
                engine.flush_wanted = True

    def watch_stack(self, bottom: int, top: int) -> None:
        """Watch for the lowest address that is written in [bottom, top), from now on; slows the CPU down."""
        with self.machine.paused():
            self.machine.engine.space.watch_writes(bottom, top)
            self.machine.engine.flush_wanted = True

    @property
    def lowest_write(self) -> int | None:
        """The lowest address written since `watch_stack`; None if there was no write."""
        return self.machine.engine.space.lowest_write


class VirtualNrf52840(VirtualMcu):
    """An Arduino Nano 33 BLE."""

    def __init__(self, name: str, **options: Any) -> None:
        """Build the board, unpowered; options are those of `VirtualMcu`."""
        super().__init__(name, shipped_kinds()["nano33"], **options)
