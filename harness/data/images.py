"""Folders of images: decoded by Pillow, brought to one size and colour in the way that the suite states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from harness.data.arrays import Arrays, counted, require_room
from harness.data.files_by_class import files_by_class
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".bmp")
_FORMATS: Final = ("PNG", "JPEG", "BMP")
#: Pillow's kinds of pixels that hold eight bits a channel, and nothing that would be lost.
_MODES: Final = ("1", "L", "P", "RGB")
_WITH_ALPHA: Final = ("LA", "PA", "RGBA")
_ORIENTATION: Final = 0x0112  # the EXIF tag

Color = Literal["grey", "rgb"]
Resampling = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]


def read_images(
    folder: Path,
    listed: Path | None,
    classes: tuple[str, ...],
    *,
    size: tuple[int, int],
    color: Color,
    crop: Literal["center"] | None,
    resize: Resampling | None,
) -> Arrays:
    """Read a folder of PNG, JPEG or BMP files.

    Args:
        folder: has a folder for each class, or what the list names.
        listed: as in `files_by_class`.
        classes: of the suite; () where it has none.
        size: height and width of an input in pixels.
        color: "rgb" gives [N, h, w, 3], "grey" [N, h, w]: luma of ITU-R BT.601 as Pillow's mode L has it.
        crop: "center" cuts off what is too much on both sides: to `size`, or with `resize` to its aspect ratio.
        resize: Pillow's filter that brings an image to `size`; None: it must have that size (once cropped).

    Returns:
        uint8 values 0 to 255, in the order of `files_by_class`, and the class of each.

    Raises:
        ConfigError: Pillow is missing; a file is damaged, of another size or kind, or would lose something (an alpha
            channel that is used, 16 bits, an EXIF orientation). Names the file.
    """
    try:
        from PIL import Image  # noqa: F401, PLC0415 (an extra)
    except ImportError as error:
        raise ConfigError(f'{folder}: images are read by Pillow: pip install "tinyml-hil[images]"') from error
    paths, labels, known = files_by_class(folder, listed, _ENDINGS, classes)
    shape = (*size, 3) if color == "rgb" else size
    require_room(len(paths), shape, np.uint8, folder)
    values = np.empty((len(paths), *shape), np.uint8)
    for index, path in enumerate(counted(paths, folder)):
        values[index] = _pixels(path, size, "RGB" if color == "rgb" else "L", crop, resize)
    return Arrays(values, labels, known)


def _pixels(path: Path, size: tuple[int, int], mode: str, crop: str | None, resize: str | None) -> NDArray[np.uint8]:
    from PIL import Image  # noqa: PLC0415 (an extra)

    try:
        with Image.open(path, formats=_FORMATS) as opened:
            _refuse_what_would_be_lost(opened, path)
            image = opened.convert("RGB" if opened.mode == "P" else opened.mode).convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{path} can't be read as PNG, JPEG or BMP: {error}") from error
    height, width = size
    there = f"{image.height} x {image.width}"
    if crop and resize:  # the largest part of the aspect ratio
        scale = min(image.height / height, image.width / width)
        left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
        box = (left, top, left + width * scale, top + height * scale)
        image = image.resize((width, height), Image.Resampling[resize.upper()], box)
    elif resize:
        image = image.resize((width, height), Image.Resampling[resize.upper()])
    elif crop and image.height >= height and image.width >= width:
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    if (image.height, image.width) != size:
        raise ConfigError(
            f"{path} has {there} pixels (height x width), not {height} x {width}; the suite may say "
            '"resize: bilinear", or "crop: center" for images that are larger'
        )
    return np.asarray(image)


def _refuse_what_would_be_lost(image: Any, path: Path) -> None:
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise ConfigError(
                f"{path} is transparent in places, and nothing says on which ground; save it without alpha"
            )
    elif image.mode not in _MODES:
        raise ConfigError(f"{path} has pixels of Pillow's mode {image.mode}; save it with 8 bits, grey or RGB")
    if image.getexif().get(_ORIENTATION, 1) != 1:
        raise ConfigError(
            f"{path} is to be turned by its EXIF orientation when shown; save it upright, without the tag"
        )
