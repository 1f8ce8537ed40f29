"""How much of an input travels in one frame: short frames survive a bad line, long ones are faster on a good one."""

from __future__ import annotations

_SMALLEST = 64
#: How many good chunks in a row double the next one: a sixth of them is damaged then, where a line carries most.
_CLEAN_CHUNKS = 4


class ChunkSize:
    """The size of the next chunk: half of the one before when that was damaged, twice after a few good ones.

    Attributes:
        most: bytes that the device takes at once.
    """

    def __init__(self, limit: int) -> None:
        self.most = limit
        self._size = self._limit = limit
        self._clean = 0

    @property
    def bytes(self) -> int:
        """The most that the next chunk may have."""
        return min(self._size, self.most)

    @property
    def frame_bytes(self) -> int:
        """The most that a frame of several inputs may have on this line."""
        return self._size

    def note(self, *, damaged: bool, sent: int | None = None) -> None:
        """Note what became of a chunk, or of a frame of `sent` bytes."""
        if damaged:
            self._size = max(_SMALLEST, min(self._size, sent or self.bytes) // 2)
            self._clean = 0
        elif self._size < self._limit:
            self._clean += 1
            if self._clean >= _CLEAN_CHUNKS:
                self._size = min(self._size * 2, self._limit)
                self._clean = 0
