"""Watches writes for the lowest address: an independent check of how deep the stack went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unicorn import unicorn_const as uc_const

if TYPE_CHECKING:
    from harness.boards.virtual.core.cpu import Cpu


class WriteWatch:
    """The lowest address written by the CPU in a range, while watching. Slow: each write comes to Python."""

    def __init__(self, cpu: Cpu) -> None:
        """Watch nothing yet."""
        self._cpu = cpu
        self._lowest: int | None = None
        self._handle: int | None = None

    def _on_write(self, _uc: Any, _kind: int, address: int, _size: int, _value: int, _data: Any) -> None:
        self._lowest = address if self._lowest is None else min(self._lowest, address)
        self._cpu.mend_it_state()

    def start(self, bottom: int, top: int) -> None:
        """Watch [bottom, top) from now on. The caller flushes translations."""
        self.stop()
        self._lowest = None
        self._handle = self._cpu.uc.hook_add(uc_const.UC_HOOK_MEM_WRITE, self._on_write, None, bottom, top - 1)

    def stop(self) -> None:
        """Stop watching. The caller flushes translations."""
        if self._handle is not None:
            self._cpu.uc.hook_del(self._handle)
            self._handle = None

    def lowest(self) -> int | None:
        """Return the lowest address written, or None if there was no write."""
        return self._lowest
