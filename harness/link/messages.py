"""What the payloads of the link protocol say. docs/link-protocol.md is the contract."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import ImageError, LinkError, MeasurementError
from harness.files.json_file import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOL_VERSION = 1
COUNTERS = {1: "DWT CYCCNT", 2: "SysTick", 3: "Timer/Counter1"}
_INFO = struct.Struct("<HBBIIIIIIIIQ")
_MOST_INPUTS = struct.Struct("<I")
#: A measurement of nothing that takes longer than this, in seconds, is none.
_LONGEST_OVERHEAD = 0.001
#: What INFO holds before the build id and the model card, and the most that its byte for the id's length can say.
INFO_BYTES = _INFO.size
MOST_ID_BYTES = 255
_ALL_ONES = 2**32 - 1
#: The argument of a HELLO by a host that knows what may follow the card in an INFO. Older agents ignore it.
MORE_INFO = 1
#: In the argument of a RUN: reset the state before each inference.
RESET_STATE = 2**31
_HAL = "its agent or its board's hal.c is wrong, or the image is damaged: build it again"
_NAME_BYTES = 32
_STATS = struct.Struct("<8I")
_INTERRUPTS = struct.Struct("<2I")
_RESULT = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Info:
    """What runs on the board, as it says itself.

    Attributes:
        nonce: drawn at boot; another one means that the board was reset.
        counter: what counts the ticks of an inference.
        counter_hz: frequency of that counter on silicon, Hz.
        counter_overhead: ticks of an empty measurement, already subtracted from what the board reports.
        max_chunk: bytes that one WRITE may carry.
        max_batch: inferences that one RUN may ask for.
        reset_reason: the chip's reset reason register.
        chip_id: the chip's own serial number.
        build_id: GNU build id of the running image, hexadecimal.
        input_bytes: of all input tensors together, or of the largest of the pieces.
        output_bytes: of all output tensors together.
        card: model card, JSON as sent.
        stateful: whether the card says that the model keeps values from one inference to the next.
        pieces: which bytes of an input the model takes one after the other, each an inference of its own; empty, or one
            piece, if it takes all at once. With any, it reads them where they arrive.
        most_inputs: that one frame may have; 0 if the agent has no room for that, or is older.
    """

    nonce: int
    counter: str
    counter_hz: int
    counter_overhead: int
    input_bytes: int
    output_bytes: int
    max_chunk: int
    max_batch: int
    reset_reason: int
    chip_id: int
    build_id: str
    card: bytes
    stateful: bool
    pieces: tuple[range, ...] = ()
    most_inputs: int = 0

    @property
    def whole_bytes(self) -> int:
        """Bytes of an input, all its pieces together."""
        return max((piece.stop for piece in self.pieces), default=self.input_bytes)


@dataclass(frozen=True, slots=True)
class Inference:
    """A batch of inferences on one input.

    Attributes:
        output: the output tensors of the last one, raw, one after the other.
        ticks: counter ticks of each inference.
    """

    output: bytes
    ticks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerTicks:
    """One inference, measured layer by layer.

    Attributes:
        output: the output tensor, as bytes.
        total: counter ticks of the inference, without what measuring layers costs.
        layers: counter ticks of each layer; what they leave of `total` lies outside of them.
        names: what the engine calls each layer; none if it doesn't say.
    """

    output: bytes
    total: int
    layers: tuple[int, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceStats:
    """Memory and link figures that the agent keeps, bytes and counts since boot.

    `arena_used_bytes` is 0 where the engine can't tell, and in images from before it was asked. `interrupts` are those
    that were taken while `inferences` were timed; None if nobody has counted them. Older agents tell neither, and mask
    interrupts for ever.
    """

    stack_bytes: int
    stack_used_bytes: int
    heap_bytes: int
    heap_used_bytes: int
    damaged_headers: int
    damaged_payloads: int
    receive_errors: int
    arena_used_bytes: int = 0
    inferences: int = 0
    interrupts: int | None = 0


def parse_info(payload: bytes, nonce: int) -> Info:
    """Decode an INFO payload.

    Raises:
        LinkError: it is too short, or of another protocol version.
        ImageError: the firmware announces what no measurement can be made with.
    """
    version = int.from_bytes(payload[:2], "little")
    if version != PROTOCOL_VERSION:
        raise LinkError(
            f"the firmware speaks version {version} of the link protocol, this harness {PROTOCOL_VERSION}; "
            "rebuild the image with the agent of this release"
        )
    if len(payload) < _INFO.size:
        raise LinkError(f"INFO of {len(payload)} bytes, expected at least {_INFO.size}")
    _, counter, id_bytes, *numbers = _INFO.unpack_from(payload)
    hz, overhead, input_bytes, output_bytes, max_chunk, max_batch, card_bytes, reason, chip = numbers
    end = _INFO.size + id_bytes + card_bytes
    if len(payload) not in (end, end + _MOST_INPUTS.size):
        raise LinkError(f"INFO of {len(payload)} bytes, expected {end}")
    if counter not in COUNTERS:
        raise ImageError(f"the firmware counts with something unknown (counter {counter}); {_HAL}")
    for number, what in ((hz, "a counter of 0 Hz"), (max_chunk, "chunks of 0 bytes"), (max_batch, "0 inferences")):
        if number == 0:
            raise ImageError(f"the firmware announces {what}; {_HAL}")
    if overhead > hz * _LONGEST_OVERHEAD:
        raise ImageError(
            f"the firmware says that measuring nothing takes {overhead} ticks of a counter of {hz} Hz, which can't be; "
            f"{_HAL}"
        )
    card = payload[_INFO.size + id_bytes : end]
    keys = _card_keys(card)
    pieces = _pieces(keys)
    return Info(
        nonce=nonce,
        counter=COUNTERS[counter],
        counter_hz=hz,
        counter_overhead=overhead,
        input_bytes=input_bytes,
        output_bytes=output_bytes,
        max_chunk=max_chunk,
        max_batch=max_batch,
        reset_reason=reason,
        chip_id=chip,
        build_id=payload[_INFO.size : _INFO.size + id_bytes].hex(),
        card=card,
        stateful=bool(keys.get("state_bytes")) or len(pieces) > 1,
        pieces=pieces,
        most_inputs=_MOST_INPUTS.unpack_from(payload, end)[0] if len(payload) > end else 0,
    )


def _card_keys(card: bytes) -> dict[str, Any]:
    try:
        keys = parse_json(card.rstrip(b"\0"))
    except ValueError:
        return {}  # whoever needs the card says what is wrong with it
    return keys if isinstance(keys, dict) else {}


def _pieces(keys: dict[str, Any]) -> tuple[range, ...]:
    listed = keys.get("pieces")
    try:
        return tuple(range(start, start + size) for start, size in listed or ())
    except (TypeError, ValueError):
        return ()


def parse_result(payload: bytes, output_bytes: int) -> tuple[int, Inference]:
    """Decode a RESULT payload.

    Returns:
        CRC-32 of the input that the inferences ran on, and what they gave.

    Raises:
        LinkError: its length doesn't fit the announced output tensor.
    """
    if len(payload) < 8:
        raise LinkError(f"RESULT of {len(payload)} bytes, expected at least 8")
    input_crc, count = struct.unpack_from("<II", payload)
    expected = 8 + 4 * count + output_bytes
    if count == 0 or len(payload) != expected:
        raise LinkError(f"RESULT of {len(payload)} bytes for {count} inferences, expected {expected}")
    ticks = struct.unpack_from(f"<{count}I", payload, 8)
    return input_crc, Inference(output=payload[8 + 4 * count :], ticks=ticks)


def parse_results(payload: bytes, output_bytes: int) -> list[tuple[int, Inference]]:
    """Decode a RESULTS payload.

    Returns:
        For each input the CRC-32 of what the inference ran on, and what it gave.

    Raises:
        LinkError: its length doesn't fit the announced output tensor.
    """
    size = _RESULT.size + output_bytes
    count = int.from_bytes(payload[:4], "little")
    if count == 0 or len(payload) != 4 + count * size:
        raise LinkError(f"RESULTS of {len(payload)} bytes for {count} inputs, expected {4 + count * size}")
    found = []
    for at in range(4, len(payload), size):
        crc, ticks = _RESULT.unpack_from(payload, at)
        found.append((crc, Inference(payload[at + _RESULT.size : at + size], (ticks,))))
    return found


def parse_profile(payload: bytes, output_bytes: int) -> tuple[int, LayerTicks]:
    """Decode a PROFILE payload.

    Returns:
        CRC-32 of the input that the inference ran on, and where its ticks went.

    Raises:
        LinkError: its length doesn't fit the announced output tensor, or the layers are more than the whole.
    """
    if len(payload) < 12:
        raise LinkError(f"PROFILE of {len(payload)} bytes, expected at least 12")
    input_crc, total, count = struct.unpack_from("<III", payload)
    expected = 12 + 4 * count + output_bytes
    names = payload[expected:]
    if count == 0 or len(payload) < expected or len(names) not in {0, count * _NAME_BYTES}:
        raise LinkError(f"PROFILE of {len(payload)} bytes for {count} layers, expected {expected}")
    layers = struct.unpack_from(f"<{count}I", payload, 12)
    if sum(layers) > total:
        raise LinkError(f"PROFILE of {total} ticks whose layers have {sum(layers)}")
    fields = (names[at : at + _NAME_BYTES] for at in range(0, len(names), _NAME_BYTES))
    known = tuple(one.partition(b"\0")[0].decode("utf-8", "replace") for one in fields)
    return input_crc, LayerTicks(payload[12 + 4 * count : expected], total, layers, known)


def check_ticks(board: str, ticks: Iterable[int], overhead: int) -> None:
    """Refuse counts that no counter gives that runs: none, all ones, or what less than the overhead leaves.

    Args:
        board: the name that messages give it.
        ticks: counter differences of inferences, less `overhead`, modulo 2^32.
        overhead: ticks of an empty measurement.

    Raises:
        MeasurementError: one of them is no count.
    """
    for count in ticks:
        if count == 0:
            raise MeasurementError(f"{board}: an inference took 0 ticks: the board's counter doesn't run")
        if count + overhead >= _ALL_ONES:
            raise MeasurementError(
                f"{board}: an inference took {count} ticks, it says: that is a 32-bit counter that is stuck, or that "
                f"had counted less than the {overhead} ticks which measuring takes and which are subtracted. Does "
                "another part of the firmware write the counter?"
            )


def parse_stats(payload: bytes) -> DeviceStats:
    """Decode a STATS payload.

    Raises:
        LinkError: wrong length.
    """
    known, more = payload[: _STATS.size], payload[_STATS.size :]
    if len(known) not in (_STATS.size - 4, _STATS.size) or len(more) not in (0, _INTERRUPTS.size):
        raise LinkError(f"STATS of {len(payload)} bytes, expected {_STATS.size} or {_STATS.size + _INTERRUPTS.size}")
    inferences, interrupts = _INTERRUPTS.unpack(more) if more else (0, 0)
    stats = DeviceStats(*_STATS.unpack(known.ljust(_STATS.size, b"\0")))
    return replace(stats, inferences=inferences, interrupts=None if interrupts == _ALL_ONES else interrupts)
