"""Boards emulated by Renode, a program of its own. See docs/renode.md."""

from harness.boards.renode.board import PLATFORMS, RenodeBoard, keep_log
from harness.boards.renode.find import Renode, find_renode, require_renode

__all__ = ["PLATFORMS", "Renode", "RenodeBoard", "find_renode", "keep_log", "require_renode"]
