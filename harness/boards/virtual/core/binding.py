"""What we use of the CPU emulator's Python binding beyond its public functions, which are typed only in part."""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import struct
from importlib.metadata import version
from typing import Any

from unicorn import arm_const as arm
from unicorn import unicorn_const as uc_const
from unicorn.unicorn_py3 import unicorn as _unicorn

from harness.boards.virtual.core.cores import CORES, Core
from harness.errors import EmulatorError

_untyped: Any = _unicorn

Uc: Any = _untyped.Uc
UcError: Any = _untyped.UcError

_uclib: Any = _untyped.uclib
#: Bytes that the emulator maps for code that it has translated, and what goes with it.
_TRANSLATIONS = 2**30 + 2**26
_STRUCTURE_BYTES, _CPU_BYTES = 0x2000, 0x20000
_PIECE = 4096  # of a pipe, and of a page


def cortex_m4() -> Any:
    """Return an emulated Cortex-M4 without memory; raises what `emulate` does."""
    return emulate(CORES["cortex-m4"])


def emulate(core: Core) -> Any:
    """Return an emulated core without memory.

    Raises:
        EmulatorError: the installed emulator makes another core of it, or this process may not have the memory.
    """
    _reserve()
    # With UC_MODE_MCLASS the emulator ignores the model and makes a Cortex-M33, which executes more instructions.
    uc = Uc(uc_const.UC_ARCH_ARM, uc_const.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(core.model)
    model = uc.ctl_get_cpu_model()
    if model != core.model:
        raise EmulatorError(
            f"the CPU emulator (unicorn {version('unicorn')}) gives CPU model {model} instead of the {core.title} "
            f"({core.model}); install the version that this package asks for"
        )
    return uc


def _reserve() -> None:
    """Look whether the emulator will get its memory: it ends the whole process, without a word, if it doesn't."""
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


def find_registers(uc: Any) -> int | None:
    """Return the address of the emulated r0, which r1 to r15 follow as u32; None if it isn't certain.

    The emulator has no function that tells. So: write numbers that occur nowhere else to r0 to r12, follow the
    pointers in the emulator's structure, and look for them. r0 to r12 are 0 afterwards.
    """
    pattern = _fill_registers(uc)
    structure = _peek(int(uc._uch.value), _STRUCTURE_BYTES)  # noqa: SLF001 - as above
    found = set()
    for (pointer,) in struct.iter_unpack("=Q", structure[: len(structure) // 8 * 8]):
        if pointer % 8 == 0 and _PIECE <= pointer < 1 << 56:
            offset = _peek(pointer, _CPU_BYTES).find(pattern)
            if offset >= 0:
                found.add(pointer + offset)
    pattern = _fill_registers(uc)
    found = {address for address in found if _peek(address, len(pattern)) == pattern}
    for number in range(13):
        uc.reg_write(arm.UC_ARM_REG_R0 + number, 0)
    return found.pop() if len(found) == 1 else None


def _fill_registers(uc: Any) -> bytes:
    values = [secrets.randbits(32) for _ in range(13)]
    for number, value in enumerate(values):
        uc.reg_write(arm.UC_ARM_REG_R0 + number, value)
    return struct.pack("=13I", *values)


def _peek(address: int, size: int) -> bytes:
    """Return what this process has in memory, as far as there is any: the kernel copies, so nothing can crash."""
    write = ctypes.CDLL(None).write
    write.argtypes, write.restype = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_ssize_t
    data, end = b"", address + size
    source, sink = os.pipe()
    try:
        while address < end:
            written = write(sink, address, min(end - address, _PIECE - address % _PIECE))
            if written <= 0:  # EFAULT
                break
            data += os.read(source, written)
            address += written
    finally:
        os.close(source)
        os.close(sink)
    return data
