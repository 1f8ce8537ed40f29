"""What lies in a board's flash, held against an image byte by byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.image.elf import Image

#: Vectors, build id and model card: where another image is in flash, these differ, and the rest needn't be read.
_GLANCE = 1024


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
        image: the image that should be there.
        read: returns so many bytes from an address.

    Raises:
        BoardError: the board can't be read.
    """
    for segment in image.segments:
        for start, end in ((0, _GLANCE), (_GLANCE, len(segment.data))):
            wanted = segment.data[start:end]
            found = read(segment.address + start, len(wanted)) if wanted else b""
            if found != wanted:
                offset = next(i for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
                return Difference(segment.address + start + offset, found[offset], wanted[offset])
    return None
