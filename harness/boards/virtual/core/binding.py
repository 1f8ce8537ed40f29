"""What we use of the CPU emulator's Python binding. It is typed only in part, so all of it counts as untyped."""

from __future__ import annotations

import ctypes
import mmap
import os
from importlib.metadata import version
from typing import Any

from unicorn import arm_const as arm
from unicorn import unicorn_const as uc_const
from unicorn.unicorn_py3 import unicorn as _unicorn

from harness.errors import EmulatorError

_untyped: Any = _unicorn

Uc: Any = _untyped.Uc
UcError: Any = _untyped.UcError

_uclib: Any = _untyped.uclib
#: Bytes that the emulator maps for code that it has translated, and what goes with it.
_TRANSLATIONS = 2**30 + 2**26


def cortex_m4() -> Any:
    """Return an emulated Cortex-M4 without memory.

    Raises:
        EmulatorError: the installed emulator makes another core of it, or this process may not have the memory.
    """
    _reserve()
    # With UC_MODE_MCLASS the emulator ignores the model and makes a Cortex-M33, which executes more instructions.
    uc = Uc(uc_const.UC_ARCH_ARM, uc_const.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
    model = uc.ctl_get_cpu_model()
    if model != arm.UC_CPU_ARM_CORTEX_M4:
        raise EmulatorError(
            f"the CPU emulator (unicorn {version('unicorn')}) gives CPU model {model} instead of the Cortex-M4 "
            f"({arm.UC_CPU_ARM_CORTEX_M4}); install the version that this package asks for"
        )
    return uc


def _reserve() -> None:
    """Look whether the emulator will get its memory: it ends the whole process, without a word, if it doesn't.

    Raises:
        EmulatorError: it won't.
    """
    if os.name != "posix":
        return
    try:
        mmap.mmap(-1, _TRANSLATIONS).close()
    except OSError as error:
        raise EmulatorError(
            f"the CPU emulator needs {_TRANSLATIONS // 2**20} MiB of address space, and this process may not have as "
            f"much ({error}); raise the limit (ulimit -v) or let fewer programs run"
        ) from error


def hook(uc: Any, kind: int, callback: int, context: int, begin: int, end: int) -> int:
    """Add a callback that may be machine code, which the binding has no public way to do; return its handle.

    Args:
        uc: Unicorn's CPU emulator.
        kind: UC_HOOK_BLOCK or UC_HOOK_CODE.
        callback: its address: void (uc, u64 address, u32 bytes, void *context).
        context: address that the callback gets as its last argument.
        begin: the first code address that it is for.
        end: last address that the hook sees.

    Raises:
        EmulatorError: the emulator refused it.
    """
    handle = ctypes.c_size_t()
    status = _uclib.uc_hook_add(
        uc._uch,  # noqa: SLF001 - see above
        ctypes.byref(handle),
        kind,
        ctypes.c_void_p(callback),
        ctypes.c_void_p(context),
        ctypes.c_uint64(begin),
        ctypes.c_uint64(end),
    )
    if status != uc_const.UC_ERR_OK:
        raise EmulatorError(f"the CPU emulator refused a callback (error {status})")
    return handle.value


def unhook(uc: Any, handle: int) -> None:
    """Remove a callback; code that is translated already keeps it until it is translated anew."""
    _uclib.uc_hook_del(uc._uch, ctypes.c_size_t(handle))  # noqa: SLF001 - as above


def pointer_of(uc: Any) -> int:
    """Return the address of the emulator's own structure."""
    return int(uc._uch.value)  # noqa: SLF001 - as above
