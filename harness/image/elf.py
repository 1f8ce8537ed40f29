"""Firmware images: an ELF with its segments, build id, model card, symbols and section sizes."""

from __future__ import annotations

import bisect
import hashlib
import io
import itertools
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection

from harness.errors import HilError, ImageError
from harness.image.layer_table import LayerSpec, parse_layers
from harness.image.model_card import ModelCard, parse_card
from harness.image.sections import content_of, ram_of, symbols_of, toolchain_of
from harness.link.frame import MAX_PAYLOAD
from harness.link.messages import INFO_BYTES, MOST_ID_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from harness.config import BoardKind

_REQUIRED_SYMBOLS = ("__stack_bottom", "__stack_top", "__paint_pattern")
_VECTOR_SECTIONS = (".vectors", ".isr_vector")  # ours, and what most others call theirs
_PROGRAM = "hil_program_begin"
_MACHINES = ("EM_ARM", "EM_AVR")
_INVOKE = "hil_model_invoke"


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes to program at a flash address."""

    address: int
    data: bytes = field(repr=False)

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + len(self.data)


@dataclass(frozen=True, slots=True)
class Image:
    """One firmware image, fully read and checked for what every later step needs.

    Attributes:
        path: where it was read from.
        sha256: SHA-256 of the file, hexadecimal.
        build_id: GNU build id, hexadecimal; the running board reports it too.
        card: what the image says of its model, engine and compiler.
        layers: what the layers of the model are, in order; None if the image doesn't say.
        segments: what goes to flash, by address, not overlapping.
        vectors: address of the vector table.
        symbols: values of the ELF symbols, by name; addresses as the CPU knows them.
        toolchain: what the compiler says of itself.
        flash_bytes: how many bytes it takes in flash.
        ram_static_bytes: .data, .bss and the like, and code that is copied to RAM, less the tensor arena and the heap.
        ram_arena_bytes: size of the tensor arena.
        arena_address: where it is; None if there is none.
    """

    path: Path
    sha256: str
    build_id: str
    card: ModelCard
    layers: tuple[LayerSpec, ...] | None
    segments: tuple[Segment, ...]
    vectors: int
    symbols: dict[str, int] = field(repr=False)
    functions: tuple[tuple[int, int, str], ...] = field(repr=False)
    toolchain: str
    flash_bytes: int
    ram_static_bytes: int
    ram_arena_bytes: int
    arena_address: int | None

    @property
    def flash_compressed_bytes(self) -> int:
        """What the programmed bytes take when compressed by zlib (level 9), as for an update over the air."""
        return len(zlib.compress(b"".join(segment.data for segment in self.segments), 9))

    @property
    def in_program(self) -> bool:
        """Whether the agent is a task of somebody else's program: of its stack and heap the image says nothing."""
        return _PROGRAM in self.symbols

    @property
    def code_address(self) -> int | None:
        """Where the code of an inference begins; None if its symbol is stripped."""
        address = self.symbols.get(_INVOKE)
        return None if address is None else address & ~1

    @property
    def stack(self) -> tuple[int, int]:
        """Lowest address of the stack region, and the first one above it; not of images `in_program`."""
        return self.symbols["__stack_bottom"], self.symbols["__stack_top"]

    @property
    def heap(self) -> tuple[int, int]:
        """Lowest address of the heap region, and the first one above it; equal if there is none."""
        bottom = self.symbols.get("__heap_bottom", 0)
        return bottom, self.symbols.get("__heap_top", bottom)

    def function_at(self, address: int) -> str | None:
        """Name of the function that holds `address`, or None."""
        index = bisect.bisect_right(self.functions, (address, 0xFFFFFFFF, "")) - 1
        if index >= 0:
            start, size, name = self.functions[index]
            if start <= address < start + max(size, 2):
                return name
        return None


def load_image(path: Path, kind: BoardKind | None = None) -> Image:
    """Read an image, and check that it belongs on a kind of board.

    Args:
        path: the ELF file.
        kind: the kind of board that it shall run on, or None to read only.

    Raises:
        ImageError: not there, truncated, not an ELF for Arm or AVR, without build id or model card, for another board,
            or outside the board's flash or RAM.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: can't be read: {error.strerror}; `hil build` makes one of a model") from error
    try:
        image = _parse(path, content)
    except HilError:
        raise
    except Exception as error:  # the parser of ELF files raises whatever its data structures do on damaged ones
        what = str(error) or type(error).__name__
        raise ImageError(f"{path}: not a readable ELF file ({what}); build it again") from error
    if kind is not None:
        check_image(image, kind)
    return image


def check_image(image: Image, kind: BoardKind) -> None:
    """Check that `image` is for `kind` and fits into its flash.

    Raises:
        ImageError: it isn't, or doesn't.
    """
    if image.card.board != kind.name:
        raise ImageError(
            f"{image.path}: built for board {image.card.board!r}, but the device is a {kind.name!r} ({kind.title}); "
            f"build the model for {kind.name}"
        )
    start, end = kind.flash.start, kind.flash.start + kind.flash.size
    for segment in image.segments:
        if segment.address < start or segment.end > end:
            raise ImageError(
                f"{image.path}: needs flash 0x{segment.address:X} to 0x{segment.end:X}, but {kind.title} has "
                f"0x{start:X} to 0x{end:X} ({kind.flash.size} bytes) for applications"
            )
    taken = image.ram_static_bytes + image.ram_arena_bytes
    if taken > kind.ram_bytes:
        raise ImageError(
            f"{image.path}: its variables and its arena take {taken} bytes, "
            f"but {kind.title} has {kind.ram_bytes} bytes of RAM"
        )
    if image.in_program:
        return
    odd = [f"0x{address:X}" for address in (*image.stack, *image.heap) if address % 4]
    if image.heap[0]:
        _check_place(image, kind, "heap", image.heap)
    if odd:
        raise ImageError(f"{image.path}: its stack or heap begins or ends at {odd[0]}, which is no multiple of 4")
    _check_place(image, kind, "stack", image.stack)
    if image.arena_address is not None:
        _check_place(image, kind, "arena", (image.arena_address, image.arena_address + image.ram_arena_bytes))


def _check_place(image: Image, kind: BoardKind, what: str, place: tuple[int, int]) -> None:
    """Check that something lies in one of the kind's memories; only a heap may be empty."""
    bottom, top = place
    if top - bottom < (0 if what == "heap" else 1) or kind.memory_at(bottom, top - bottom) is None:
        rams = " and ".join(f"0x{ram.start:X} to 0x{ram.end:X}" for ram in kind.memories)
        raise ImageError(
            f"{image.path}: its {what} lies at 0x{bottom:X} to 0x{top:X}, outside the RAM of {kind.title} ({rams})"
        )


def _parse(path: Path, content: bytes) -> Image:
    if not content.startswith(b"\x7fELF"):
        raise ImageError(f"{path}: not an ELF file; `hil build` makes images of models")
    elf = ELFFile(io.BytesIO(content))
    executable = elf["e_type"] == "ET_EXEC" and elf.elfclass == 32 and elf.little_endian
    if elf["e_machine"] not in _MACHINES or not executable:
        raise ImageError(
            f"{path}: an ELF for {elf['e_machine']} ({elf['e_type']}, {elf.elfclass} bits, "
            f"{'little' if elf.little_endian else 'big'}-endian), not an ARM or AVR executable; "
            "use the .elf that arm-none-eabi-gcc or avr-gcc linked"
        )
    card_bytes = content_of(path, elf, ".hil_card")
    if card_bytes is None:
        raise ImageError(f"{path}: no model card (section .hil_card), so it isn't an image of this harness")
    card = parse_card(card_bytes, str(path))
    build_id = _build_id(path, elf)
    _check_info(path, len(card_bytes), len(bytes.fromhex(build_id)))
    segments = _segments(path, elf, len(content))
    symbols, functions = symbols_of(elf)
    for name in () if _PROGRAM in symbols else _REQUIRED_SYMBOLS:
        if name not in symbols:
            raise ImageError(f"{path}: no symbol {name}; link with the linker script of the board, and don't strip it")
    arena_address, arena, static = ram_of(elf)
    return Image(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        build_id=build_id,
        card=card,
        layers=_layers(path, elf),
        segments=segments,
        vectors=_vectors(path, elf, segments),
        symbols=symbols,
        functions=functions,
        toolchain=toolchain_of(path, elf),
        flash_bytes=sum(len(segment.data) for segment in segments),
        ram_static_bytes=static,
        ram_arena_bytes=arena,
        arena_address=arena_address,
    )


def _segments(path: Path, elf: ELFFile, size: int) -> tuple[Segment, ...]:
    found = []
    for segment in elf.iter_segments("PT_LOAD"):
        if segment["p_filesz"]:
            if segment["p_offset"] + segment["p_filesz"] > size:
                raise ImageError(f"{path}: truncated: a segment ends behind the end of the file; build it again")
            found.append(Segment(segment["p_paddr"], segment.data()))
    if not found:
        raise ImageError(f"{path}: holds nothing to program")
    found.sort(key=lambda segment: segment.address)
    for lower, upper in itertools.pairwise(found):
        if upper.address < lower.end:
            raise ImageError(f"{path}: segments overlap at 0x{upper.address:X}")
    return tuple(found)


def _build_id(path: Path, elf: ELFFile) -> str:
    section = elf.get_section_by_name(".note.gnu.build-id")
    if isinstance(section, NoteSection):
        for note in section.iter_notes():
            if note["n_type"] == "NT_GNU_BUILD_ID":
                return str(note["n_desc"])
    raise ImageError(f"{path}: no GNU build id; link with -Wl,--build-id=sha1")


def _check_info(path: Path, card_bytes: int, id_bytes: int) -> None:
    """Refuse what the agent can't announce (docs/link-protocol.md, INFO)."""
    if not 1 <= id_bytes <= MOST_ID_BYTES:
        raise ImageError(
            f"{path}: its GNU build id has {id_bytes} bytes, not 1 to {MOST_ID_BYTES}; link with -Wl,--build-id=sha1"
        )
    room = MAX_PAYLOAD - INFO_BYTES - id_bytes
    if card_bytes > room:
        raise ImageError(
            f"{path}: its model card has {card_bytes} bytes, but the board can announce at most {room}; shorten it"
        )


def _layers(path: Path, elf: ELFFile) -> tuple[LayerSpec, ...] | None:
    table = content_of(path, elf, ".hil_layers")
    return parse_layers(table, str(path)) if table else None


def _vectors(path: Path, elf: ELFFile, segments: tuple[Segment, ...]) -> int:
    section = next(filter(None, map(elf.get_section_by_name, _VECTOR_SECTIONS)), None)
    if section is None:
        raise ImageError(f"{path}: no vector table (section {' or '.join(_VECTOR_SECTIONS)})")
    address = int(section["sh_addr"])
    if not any(segment.address <= address and address + 8 <= segment.end for segment in segments):
        raise ImageError(f"{path}: its vector table at 0x{address:X} lies in no segment that is programmed")
    return address
