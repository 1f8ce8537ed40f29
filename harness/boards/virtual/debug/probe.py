"""The virtual board as pyOCD sees it: a debug probe that only its own unique id finds.

Reads come with now=False where pyOCD wants the value later: then a function that tells it is returned.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from pyocd.board.board import Board
from pyocd.board.board_ids import BoardInfo
from pyocd.core import exceptions
from pyocd.probe import aggregator
from pyocd.probe.debug_probe import DebugProbe

from harness.boards.virtual.debug.dap import AccessFaultError
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.virtual.debug.dap import DebugPort
    from harness.config import BoardKind

PROBE_TYPE = "virtual"
_TARGETSEL_BITS = 33  # of a write to it: data and parity


class VirtualProbe(DebugProbe):  # type: ignore[misc]  # pyOCD has no types
    """pyOCD's debug probe of one virtual board."""

    ports: ClassVar[dict[str, tuple[DebugPort, BoardKind]]] = {}
    registry: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def get_all_connected_probes(cls, unique_id: str | None = None, is_explicit: bool = False) -> list[DebugProbe]:
        """Return the probe that `virtual:ID` names; nothing for a general list, which is the user's."""
        probe = cls.get_probe_with_id(unique_id or "", is_explicit)
        return [probe] if probe is not None else []

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> DebugProbe | None:
        return cls(unique_id) if is_explicit and unique_id in cls.ports else None

    def __init__(self, unique_id: str) -> None:
        super().__init__()
        self._id = unique_id
        self._port, self._kind = self.ports[unique_id]
        self._is_open = False
        self._protocol: DebugProbe.Protocol | None = None
        self._reset_asserted = False
        self._selected = True

    @property
    def vendor_name(self) -> str:
        return "tinyml-hil"

    @property
    def product_name(self) -> str:
        return f"virtual {self._kind.mcu}"

    @property
    def supported_wire_protocols(self) -> list[DebugProbe.Protocol]:
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def unique_id(self) -> str:
        return self._id

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        return self._protocol

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        several = set() if self._port.targetid is None else {DebugProbe.Capability.SWD_SEQUENCE}
        return {DebugProbe.Capability.SWJ_SEQUENCE, *several}

    @property
    def associated_board_info(self) -> BoardInfo:
        return BoardInfo(name=f"virtual {self._kind.title}", target=self._kind.pyocd_target, vendor="tinyml-hil")

    def create_associated_board(self) -> Board:
        return Board(self.session, board_info=self.associated_board_info)

    def open(self) -> None:
        if self._port.before_open is not None:
            self._port.before_open()
        self._is_open = True

    def close(self) -> None:
        self._is_open = False

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        if protocol not in (None, *self.supported_wire_protocols):
            raise exceptions.ProbeError(f"{self._id} speaks only SWD, not {protocol}")
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        self._protocol = None

    def swj_sequence(self, length: int, bits: int) -> None:
        """Switch to SWD, which it always speaks."""

    def swd_sequence(self, sequences: Sequence[tuple[int] | tuple[int, int]]) -> tuple[int, list[bytes]]:
        """Take the one that selects a port by 32 bits and their parity; no port drives the wire meanwhile."""
        for sequence in sequences:
            if sequence[0] == _TARGETSEL_BITS and len(sequence) == 2:
                self._selected = sequence[1] & 0xFFFFFFFF == self._port.targetid
        return 0, [bytes((sequence[0] + 7) // 8) for sequence in sequences if len(sequence) == 1]

    def set_clock(self, frequency: float) -> None:
        """Accept any clock."""

    def reset(self) -> None:
        self.assert_reset(asserted=True)
        self.assert_reset(asserted=False)

    def assert_reset(self, asserted: bool) -> None:
        self._reset_asserted = asserted
        self._do(lambda: self._port.set_reset_pin(asserted=asserted))

    def is_reset_asserted(self) -> bool:
        return self._reset_asserted

    def flush(self) -> None:
        """Nothing is ever queued."""

    def _do(self, transfer: Callable[[], Any]) -> Any:
        if not self._selected:
            raise exceptions.TransferTimeoutError("no answer: another debug port than this one is selected")
        try:
            return transfer()
        except AccessFaultError as error:
            raise exceptions.TransferFaultError(fault_address=error.address, length=4) from error
        except EmulatorError as error:
            raise exceptions.ProbeError(str(error)) from error

    def read_dp(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        """Read a DP register, or return a function that tells its value."""
        value: int = self._do(lambda: self._port.read_dp(addr))
        return value if now else lambda: value

    def write_dp(self, addr: int, data: int) -> None:
        self._do(lambda: self._port.write_dp(addr, data))

    def read_ap(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        """Read an AP register, or return a function that tells its value."""
        if now:
            return int(self._do(lambda: self._port.read_ap(addr)[0]))
        values = self._later(addr, 1)
        return lambda: values()[0]

    def _later(self, addr: int, count: int) -> Callable[[], list[int]]:
        """Read at once, but report a failure where the value is asked for, as a real probe does."""
        try:
            values: list[int] = self._do(lambda: self._port.read_ap(addr, count))
        except exceptions.TransferError as raised:
            failure = raised

            def fail() -> list[int]:
                raise failure

            return fail
        return lambda: values

    def write_ap(self, addr: int, data: int) -> None:
        self._do(lambda: self._port.write_ap(addr, [data]))

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> list[int] | Callable[[], list[int]]:
        """Read an AP register many times, or return a function that tells the values."""
        if now:
            values: list[int] = self._do(lambda: self._port.read_ap(addr, count))
            return values
        return self._later(addr, count)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        self._do(lambda: self._port.write_ap(addr, values))


def register(unique_id: str, port: DebugPort, kind: BoardKind) -> None:
    """Let pyOCD find this board by `virtual:ID`, in this process only."""
    with VirtualProbe.registry:
        VirtualProbe.ports[unique_id] = (port, kind)
        # A new table each time: pyOCD may be walking through the old one in another thread.
        aggregator.PROBE_CLASSES = {**aggregator.PROBE_CLASSES, PROBE_TYPE: VirtualProbe}


def unregister(unique_id: str) -> None:
    """Make the board unknown to pyOCD again."""
    with VirtualProbe.registry:
        VirtualProbe.ports.pop(unique_id, None)
        if not VirtualProbe.ports:
            others = aggregator.PROBE_CLASSES.items()
            aggregator.PROBE_CLASSES = {name: kind for name, kind in others if name != PROBE_TYPE}
