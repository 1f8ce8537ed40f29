"""What we use of the CPU emulator's Python binding. It is typed only in part, so all of it counts as untyped."""

from __future__ import annotations

from typing import Any

from unicorn.unicorn_py3 import unicorn as _unicorn

_untyped: Any = _unicorn

Uc: Any = _untyped.Uc
UcError: Any = _untyped.UcError

#: The emulator's C library: the binding has no public way to add a callback in machine code.
uclib: Any = _untyped.uclib
