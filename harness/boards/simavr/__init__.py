"""A virtual Arduino Uno, emulated by simavr: a library of the system, with a small program of ours around it."""

from __future__ import annotations

from harness.boards.simavr.programs import HOW_TO_GET_IT, how_it_is_flashed, require_simavr

__all__ = ["HOW_TO_GET_IT", "how_it_is_flashed", "require_simavr"]
