"""Reading firmware images, and what is wrong with bad ones."""

from __future__ import annotations

import hashlib
import json
import zlib

import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from harness.config import Region
from harness.errors import ImageError
from harness.image import load_image


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
    # The vector table: initial stack pointer, and a reset handler with the Thumb bit.
    assert int.from_bytes(image.segments[0].data[:4], "little") == image.stack[1] == 0x20040000
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
    with pytest.raises(ImageError, match=r"for EM_X86_64 .*, not an ARM executable"):
        load_image(path)


def test_every_committed_image_lists_its_layers(prebuilt):
    for path in sorted(prebuilt.glob("*.elf")):
        image = load_image(path)
        assert [spec.layer for spec in image.layers] == list(range(len(image.layers)))
        assert sum(spec.macs for spec in image.layers) == image.card.macs
        assert sum(spec.parameters for spec in image.layers) == image.card.parameters
        assert image.layers[-1].output == image.card.output.shape
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
    small = nano33.kind.model_copy(update={"ram": Region(start=0x20000000, size=0x20000)})
    with pytest.raises(ImageError, match="outside the RAM"):
        load_image(prebuilt / "fashion_mnist_int8.elf", small)
