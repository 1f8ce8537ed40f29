"""What the wire protocol needs of whatever carries it: raw bytes in both directions."""

from __future__ import annotations

from typing import Protocol


class ByteStream(Protocol):
    """A connection to the board's firmware. Both directions are raw bytes."""

    def read(self, size: int, timeout: float) -> bytes:
        """Return 1 to `size` bytes as soon as there are any; b"" if none came in `timeout` seconds.

        Raises:
            LinkError: the port is gone.
            EmulatorError: the emulator behind it is gone.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            LinkError: the port is gone or doesn't accept bytes.
            EmulatorError: the emulator behind it is gone.
        """
        ...

    def drain(self) -> None:
        """Drop every byte received so far."""
        ...
