"""Watches writes for the lowest address: an independent check of how deep the stack went."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from unicorn import unicorn_const as uc_const

from harness.boards.virtual import native
from harness.boards.virtual.binding import uclib
from harness.errors import EmulatorError

_NONE = 2**64 - 1
_WRITE_CALLBACK = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)


class WriteWatch:
    """The lowest address written by the CPU in a range, while watching."""

    def __init__(self, uc: Any, *, allow_native: bool) -> None:
        """Prepare the callback; nothing is watched yet."""
        self._uc = uc
        self._lowest = np.full(1, _NONE, np.uint64)
        self._python = _WRITE_CALLBACK(self._on_write)
        self._callback = ctypes.cast(self._python, ctypes.c_void_p).value or 0
        self._handle: ctypes.c_size_t | None = None
        stubs = native.stubs_for_this_host() if allow_native else None
        self._page = native.executable([stubs.lowest]) if stubs is not None else None
        if self._page is not None:
            self._callback = self._page.addresses[0]

    def _on_write(self, _uc: int, _kind: int, address: int, _size: int, _value: int, _data: int) -> None:
        self._lowest[0] = min(int(self._lowest[0]), address)

    def start(self, bottom: int, top: int) -> None:
        """Watch [bottom, top) from now on. The caller flushes translations.

        Raises:
            EmulatorError: the emulator refused.
        """
        self.stop()
        self._lowest[0] = _NONE
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self._uc._uch,  # noqa: SLF001 - the binding has no public way to add a native callback
            ctypes.byref(handle),
            uc_const.UC_HOOK_MEM_WRITE,
            ctypes.c_void_p(self._callback),
            ctypes.c_void_p(int(self._lowest.ctypes.data)),
            ctypes.c_uint64(bottom),
            ctypes.c_uint64(top - 1),
        )
        if status != uc_const.UC_ERR_OK:
            raise EmulatorError(f"the CPU emulator refused to watch writes (error {status})")
        self._handle = handle

    def stop(self) -> None:
        """Stop watching. The caller flushes translations."""
        if self._handle is not None:
            uclib.uc_hook_del(self._uc._uch, self._handle)  # noqa: SLF001 - as above
            self._handle = None

    def lowest(self) -> int | None:
        """Return the lowest address written, or None if there was no write."""
        value = int(self._lowest[0])
        return None if value == _NONE else value
