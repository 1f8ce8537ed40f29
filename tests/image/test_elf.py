"""Reading firmware images, and what is wrong with bad ones."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from fuzzing import amounts, fuzz
from harness.config import Region
from harness.config.board import Ram
from harness.errors import ImageError
from harness.image.elf import load_image

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from harness.config import BoardKind


@pytest.fixture(scope="module")
def content(prebuilt) -> bytes:
    return (prebuilt / "fashion_mnist_int8.elf").read_bytes()


@pytest.fixture
def patched(tmp_path, content):
    """Write the image with one byte string replaced, and return its path."""

    def patch(old: bytes, new: bytes):
        assert content.count(old) >= 1
        path = tmp_path / "patched.elf"
        path.write_bytes(content.replace(old, new))
        return path

    return patch


def test_every_committed_image_is_for_its_board_and_in_the_manifest(prebuilt, nano33):
    manifest = json.loads((prebuilt / "manifest.json").read_text())
    paths = sorted(prebuilt.glob("*.elf"))
    assert sorted(manifest) == [path.name for path in paths]
    assert paths
    for path in paths:
        image = load_image(path, nano33.kind)
        entry = manifest[path.name]
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["build_id"] == image.build_id
        assert image.card.model == path.stem
        assert image.ram_arena_bytes == image.card.arena_bytes


def test_what_an_image_says(prebuilt, content):
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    assert image.vectors == 0x10000
    assert image.segments[0].address == 0x10000
    # The vector table: initial stack pointer, below the count of boots, and a reset handler with the Thumb bit.
    assert int.from_bytes(image.segments[0].data[:4], "little") == image.stack[1] - 8 == 0x20040000 - 8
    entry = int.from_bytes(image.segments[0].data[4:8], "little")
    assert image.function_at(entry & ~1) == "Reset_Handler"
    assert image.function_at(image.symbols["main"] & ~1) == "main"
    assert image.function_at(0x0) is None
    assert len(image.build_id) == 40
    assert bytes.fromhex(image.build_id) in content
    assert "12.2" in image.toolchain
    assert image.card.input.shape == (1, 28, 28, 1)
    assert image.heap[0] == image.heap[1]
    assert image.ram_static_bytes > 784  # at least the waiting input


def test_compressed_flash_can_be_unpacked_to_what_is_programmed(prebuilt, nano33):
    image = load_image(prebuilt / "fashion_mnist_int8.elf", nano33.kind)
    packed = zlib.compress(b"".join(segment.data for segment in image.segments), 9)
    assert image.flash_compressed_bytes == len(packed)
    assert 0.5 * image.flash_bytes < image.flash_compressed_bytes < image.flash_bytes


def test_missing_file(tmp_path):
    with pytest.raises(ImageError, match=r"nothing.elf: can't be read: No such file.*`hil build` makes one of a model"):
        load_image(tmp_path / "nothing.elf")


@pytest.mark.parametrize("text", [b"", b"\x7f", b"not a firmware image" * 10])
def test_no_elf_at_all(tmp_path, text):
    path = tmp_path / "bad.elf"
    path.write_bytes(text)
    with pytest.raises(ImageError, match=r"bad.elf: not an ELF file"):
        load_image(path)


def test_truncated_anywhere(tmp_path, content):
    path = tmp_path / "short.elf"
    for size in [4, 16, 52, 100, 1000, len(content) // 2, len(content) - 40, len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(ImageError, match=r"short.elf: "):
            load_image(path)


def test_elf_of_another_architecture(tmp_path, content):
    path = tmp_path / "x86.elf"
    path.write_bytes(content[:18] + (62).to_bytes(2, "little") + content[20:])
    with pytest.raises(ImageError, match=r"for EM_X86_64 .*, not an ARM or AVR executable"):
        load_image(path)


def test_every_committed_image_lists_its_layers(prebuilt):
    for path in sorted(prebuilt.glob("*.elf")):
        image = load_image(path)
        assert [spec.layer for spec in image.layers] == list(range(len(image.layers)))
        assert sum(spec.macs for spec in image.layers) == image.card.macs
        assert sum(spec.parameters for spec in image.layers) == image.card.parameters
        ends = [spec.output for spec in image.layers]  # what a model keeps for its next step may be written last
        assert image.card.output.shape in (ends if image.card.state_bytes else ends[-1:])
        for spec in image.layers:
            assert spec.kernel in image.symbols


def test_the_table_of_layers_takes_no_flash(prebuilt):
    path = prebuilt / "fashion_mnist_int8.elf"
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".hil_layers")
        assert section["sh_size"] > 0
        assert not section["sh_flags"] & SH_FLAGS.SHF_ALLOC
        table = section.data()
    assert not any(table[:64] in segment.data for segment in load_image(path).segments)


def test_an_image_without_a_table_of_layers(patched, root):
    assert load_image(root / "tests" / "images" / "fault.elf").layers is None
    assert load_image(patched(b".hil_layers\0", b".his_layers\0")).layers is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'{"version":1,"layers"', b'{"version";1,"layers"', "the table of layers is wrong at the whole table"),
        (b'{"version":1,"layers"', b'{"version":2,"layers"', "wrong at version: "),
        (b'"macs":56448', b'"macs":-6448', r"wrong at layers\.0\.macs: .*; build the image again"),
        (b'"layer":3,', b'"layer":4,', "numbered 0 to 9 in order"),
    ],
)
def test_damaged_table_of_layers(patched, old, new, words):
    with pytest.raises(ImageError, match=words):
        load_image(patched(old, new))


def test_another_board(patched, nano33):
    path = patched(b'"board":"nano33"', b'"board":"nano99"')
    load_image(path)
    with pytest.raises(ImageError, match="built for board 'nano99', but the device is a 'nano33'"):
        load_image(path, nano33.kind)


def test_damaged_card(patched):
    path = patched(b'"card":1,', b'"card";1,')
    with pytest.raises(ImageError, match="the model card is wrong at the whole card"):
        load_image(path)


def test_no_card(patched):
    with pytest.raises(ImageError, match="no model card"):
        load_image(patched(b".hil_card\0", b".his_card\0"))


def test_no_build_id(patched):
    with pytest.raises(ImageError, match="no GNU build id"):
        load_image(patched(b".note.gnu.build-id\0", b".note.gnu.build-no\0"))


def test_stripped_of_the_symbols_that_measuring_needs(patched):
    with pytest.raises(ImageError, match="no symbol __stack_bottom"):
        load_image(patched(b"__stack_bottom\0", b"__stack_button\0"))


def test_larger_than_the_flash(prebuilt, nano33):
    small = nano33.kind.model_copy(update={"flash": Region(start=0x10000, size=4096)})
    with pytest.raises(ImageError, match=r"needs flash 0x10000 to .* has 0x10000 to 0x11000 \(4096 bytes\)"):
        load_image(prebuilt / "fashion_mnist_int8.elf", small)


def test_linked_over_the_bootloader(prebuilt, nano33):
    high = nano33.kind.model_copy(update={"flash": Region(start=0x20000, size=0xE0000)})
    with pytest.raises(ImageError, match="needs flash 0x10000"):
        load_image(prebuilt / "fashion_mnist_int8.elf", high)


def test_more_ram_than_there_is(prebuilt, nano33):
    small = nano33.kind.model_copy(update={"ram": Ram(start=0x20000000, size=0x20000)})
    with pytest.raises(ImageError, match="outside the RAM"):
        load_image(prebuilt / "fashion_mnist_int8.elf", small)


def test_a_foreign_elf_hears_what_it_is_not_before_what_it_lacks(root):
    """Firmware of the virtual board's own tests: an ARM executable, without card and without the harness's symbols."""
    with pytest.raises(ImageError, match=r"lab\.elf: no model card .*, so it isn't an image of this harness"):
        load_image(root / "tests" / "boards" / "virtual" / "firmware" / "lab.elf")


def test_elf_of_64_bits(tmp_path):
    path = tmp_path / "odd.elf"
    header = struct.pack("<HHIQQQIHHHHHH", 2, 40, 1, 0, 0, 0, 0, 64, 0, 0, 64, 0, 0)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + header)
    with pytest.raises(
        ImageError, match=r"for EM_ARM \(ET_EXEC, 64 bits, little-endian\), not an ARM or AVR executable"
    ):
        load_image(path)


def test_a_card_that_the_agent_could_not_announce(patched, content):
    """INFO holds 65,531 bytes: 44 of its own, 20 of the build id, and the card."""
    at = _header(content, ".hil_card") + 16
    offset, size = struct.unpack_from("<II", content, at)
    card = content[offset : offset + size].rstrip(b"\0")

    def longer(to: int) -> bytes:
        changed = card.replace(b"fashion_mnist_int8", b"x" * (18 + to - len(card)))
        return content[:at] + struct.pack("<II", len(content), to) + content[at + 8 :] + changed

    assert len(load_image(patched(content, longer(65_467))).card.model) > 65_000
    with pytest.raises(ImageError, match=r"model card has 65468 bytes, but the board can announce at most 65467"):
        load_image(patched(content, longer(65_468)))


def test_a_vector_table_that_nothing_is_programmed_to(patched, content):
    name = struct.pack("<I", 0x10000)
    at = _header(content, ".vectors") + 12
    moved = content[:at] + struct.pack("<I", 0x30000) + content[at + 4 :]
    assert content[at : at + 4] == name
    with pytest.raises(ImageError, match="its vector table at 0x30000 lies in no segment"):
        load_image(patched(content, moved))


def test_variables_that_are_larger_than_the_ram(patched, content, nano33):
    path = patched(*_section_size(content, ".bss", 300_000))
    with pytest.raises(ImageError, match=r"its variables and its arena take \d+ bytes, but .* has \d+ bytes of RAM"):
        load_image(path, nano33.kind)


def _header(content: bytes, name: str) -> int:
    """Return where the header of a section is in the file."""
    elf = ELFFile(io.BytesIO(content))
    return elf["e_shoff"] + elf["e_shentsize"] * elf.get_section_index(name)


def _section_size(content: bytes, name: str, size: int) -> tuple[bytes, bytes]:
    """Return the file, and the file with another size in the header of a section."""
    at = _header(content, name) + 20
    return content, content[:at] + struct.pack("<I", size) + content[at + 4 :]


@pytest.fixture(scope="module")
def lean(content) -> bytes:
    """The image with the few symbols only that the harness needs, which makes reading it ten times as fast."""
    elf = ELFFile(io.BytesIO(content))
    table = elf.get_section_by_name(".symtab")
    needed = {"", "__stack_bottom", "__stack_top", "__paint_pattern", "__heap_bottom", "__heap_top", "Reset_Handler"}
    start = table["sh_offset"]
    kept = b"".join(
        content[start + 16 * number : start + 16 * (number + 1)]
        for number, symbol in enumerate(table.iter_symbols())
        if symbol.name in needed
    )
    at = _header(content, ".symtab") + 20
    result = content[:at] + struct.pack("<I", len(kept)) + content[at + 4 :]
    return result[:start] + kept + result[start + len(kept) :]


def _damage(draw: random.Random, content: bytes) -> bytes:
    """Overwrite some bytes, more often in the headers than chance would have it, and sometimes cut the file."""
    result = bytearray(content)
    for _ in range(draw.randint(1, 6)):
        place = draw.choice((draw.randrange(52), len(content) - draw.randint(1, 2000), draw.randrange(len(content))))
        value = draw.choice((draw.randbytes(draw.randint(1, 8)), *_EXTREMES))
        result[place : place + len(value)] = value
    return bytes(result) if draw.random() < 0.9 else bytes(result[: draw.randrange(len(result))])


_EXTREMES = [struct.pack("<I", number) for number in (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x10000, 0x20000000)]


def _read_or_refuse(path: Path, content: bytes, kind: BoardKind) -> None:
    path.write_bytes(content)
    try:
        image = load_image(path, kind)
    except ImageError:
        return
    # What is accepted lies where it may, and says of itself what can be.
    assert all(kind.flash.start <= s.address <= s.end <= kind.flash.start + kind.flash.size for s in image.segments)
    assert 0 <= image.ram_static_bytes + image.ram_arena_bytes <= kind.ram.size
    assert image.card.input.nbytes < 2**32
    assert image.card.input.scale is None or 0 < np.float32(image.card.input.scale) < np.inf


@amounts(quick=250, many=4000)
def test_damaged_images_are_read_or_refused(tmp_path, lean, nano33, cases):
    fuzz(cases, lambda chance: _read_or_refuse(tmp_path / "damaged.elf", _damage(chance, lean), nano33.kind))
