"""Getting an image to run on a board, and making sure that it is this image, on this board, that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.config.board import fold_chip_id
from harness.errors import ConfigError, FlashError, ImageError
from harness.image.model_card import parse_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Board, Flashing
    from harness.image.elf import Image
    from harness.link.client import Link
    from harness.link.messages import Info

_FLASH_STEPS = 100


def start_image(
    board: Board,
    image: Image,
    link: Link,
    on_progress: Callable[[str, int, int], None] | None = None,
    *,
    force: bool = True,
    before: Info | None = None,
) -> Info:
    """Flash an image unless it is in flash already, start it, and make sure that it is what runs.

    `board.flashing` says how the image came to be in flash, None until it is.

    Args:
        board: the board, opened.
        image: the image that is to run.
        link: over the board's serial line, not yet connected.
        on_progress: told how far flashing is.
        force: flash even if the board already holds the image.
        before: what answered on that line before; the reset must have changed its boot nonce.

    Raises:
        BoardError: flashing failed, or the firmware doesn't answer.
        ImageError: the image is not for this board.
    """
    board.flashing = None

    def flashed(share: float) -> None:
        if on_progress is not None:
            on_progress("flash", round(share * _FLASH_STEPS), _FLASH_STEPS)

    flashing: Flashing = "written"
    if not force and board.contains(image):
        flashing = "compared" if board.reads_memory else "kept"
        found = "its flash was read and is equal" if board.reads_memory else "this run has written it already"
        board.notes.append(f"flashing {image.path.name} skipped: {found}")
        before = before or _running(board, link)
    else:
        board.flash(image, flashed)
    board.flashing = flashing
    return restart_image(board, image, link, before)


def restart_image(board: Board, image: Image, link: Link, before: Info | None = None) -> Info:
    """Reset a board that has the image in flash, and make sure that it is what runs.

    Args:
        board: the board, opened.
        image: what is in its flash.
        link: the link to its firmware.
        before: what answered on that line before; the reset must have changed its boot nonce.

    Raises:
        BoardError: the board can't be reset, or something else runs.
        ConfigError: the port is another board's.
    """
    board.adopt(image)
    info = _reset(board, link, before)
    told = check_chip(board, info)
    if before is None and board.reads_memory and not told:
        # Nothing tells the chips apart, so a second reset has to show that it reaches who answers.
        info = _reset(board, link, info)
    check_identity(board, image, info)
    return info


def _reset(board: Board, link: Link, before: Info | None) -> Info:
    board.link().drain()
    board.reset()
    info = link.connect()
    if before is not None and info.nonce == before.nonce:
        check_chip(board, info)
        raise FlashError(
            f"{board.name}: the board was reset, but what answers on its serial port was not (boot nonce "
            f"0x{info.nonce:08X} as before). Does the serial port belong to another board than the probe? "
            "Without a probe: does resetting the board work?"
        )
    return info


def check_chip(board: Board, info: Info) -> bool:
    """Compare the chip behind the probe with the one that answers; False where that can't be done.

    Two boards with crossed ports may run the same image, so that its build id says nothing.

    Args:
        board: the board, opened.
        info: what answered on its serial line.

    Raises:
        ConfigError: they are two chips.
        ProbeError: the probe's chip can't be read.
    """
    if board.kind.chip_id is None or not board.reads_memory or not info.chip_id:
        return False
    found = fold_chip_id(board.read_memory(board.kind.chip_id, board.kind.chip_id_bytes))
    if found != info.chip_id:
        raise ConfigError(
            f"{board.name}: chip {found:016X} is behind its probe {board.probe_uid}, but chip {info.chip_id:016X} "
            "answers on its serial port: the port belongs to another board. Correct `probe` or `port` of the device "
            "in devices.yaml; `hil devices` shows what is attached"
        )
    return True


def _running(board: Board, link: Link) -> Info | None:
    """Ask what runs on a board, so that a reset which doesn't reach it is noticed."""
    board.link().drain()
    return link.ask()


def check_identity(board: Board, image: Image, info: Info) -> None:
    """Check that what answers on the serial line is the image that was flashed.

    Raises:
        FlashError: another build runs there.
        ImageError: the running model is not what the image's card says, or its counter not what the board's kind says.
    """
    if info.build_id != image.build_id:
        doubt = (
            "Does the serial port belong to another board than the probe?"
            if board.probe_uid
            else "Did the flash program write that file, and to this board?"
        )
        raise FlashError(
            f"{board.name}: the running firmware has build id {info.build_id}, but {image.path.name} was flashed "
            f"({image.build_id}). {doubt}"
        )
    card = parse_card(info.card, f"{board.name}: what the firmware sent")
    if card != image.card or (info.input_bytes, info.output_bytes) != (card.sent_bytes, card.output_bytes):
        raise ImageError(
            f"{board.name}: the firmware announces another model ({card.model}, {info.input_bytes} bytes in, "
            f"{info.output_bytes} out) than {image.path.name} contains ({image.card.model}); build the image again"
        )
    if info.counter_hz != board.kind.clock_hz:
        raise ImageError(
            f"{board.name}: the firmware says that its counter runs at {info.counter_hz} Hz, but a {board.kind.title} "
            f"at {board.kind.clock_hz} Hz (`clock_hz` of the kind), so no latency could be trusted. Correct whichever "
            "is wrong: `hil doctor` holds the counter against this computer's clock"
        )
