"""What lies in a board's flash, held against an image byte by byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.image import Image


class Difference(NamedTuple):
    """The first byte that is not the image's."""

    address: int
    found: int
    wanted: int

    def __str__(self) -> str:
        return f"flash at 0x{self.address:X} reads 0x{self.found:02X} instead of 0x{self.wanted:02X}"


def first_difference(image: Image, read: Callable[[int, int], bytes]) -> Difference | None:
    """Compare every loaded segment of an image with what is in flash; None if all bytes are equal.

    Args:
        image: what should be there.
        read: returns so many bytes from an address.

    Raises:
        BoardError: the board can't be read.
    """
    for segment in image.segments:
        found = read(segment.address, len(segment.data))
        if found != segment.data:
            offset = next(i for i, (a, b) in enumerate(zip(found, segment.data, strict=True)) if a != b)
            return Difference(segment.address + offset, found[offset], segment.data[offset])
    return None
