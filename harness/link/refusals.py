"""What a NAK means for whoever asked: errors for what repeating a request doesn't mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import LinkError, MeasurementError, NoLayersError, UnknownRequestError
from harness.link.frame import Reason, Request
from harness.link.messages import RESET_STATE

if TYPE_CHECKING:
    from harness.link.frame import Frame

#: What the agent says instead of what the setup returned (firmware/agent/agent.c, firmware/program/hil_program.h).
_PROBLEMS = {
    -1002: "the engine's setup gave larger tensors than its card.json (or model_config.h) says; correct one of them "
    "and build the image again",
    -1003: "the program that the agent runs in is on a core whose cycle counter (DWT CYCCNT) is missing or doesn't run",
    -1004: "the program's `milliseconds` and the cycle counter at `counter_hz` differ by more than 5 %, or one of them "
    "stands still; correct them, and call hil_program_begin() where the clock runs",
    -1005: "the program's `hold` masks interrupts, and then its `milliseconds` stand still; take a clock that "
    "needs none",
    -1006: "hil_program_begin() doesn't run on the stack that the program names, or that isn't whole words; name the "
    "stack of the task that calls it, or none",
}


def refusal(board: str, frame: Frame | None, kind: Request, arg: int, length: int) -> LinkError | None:
    """Return the error if the device understood a request and won't do it; None if it may be repeated.

    Args:
        board: the name that messages give it.
        frame: what it answered, if it did.
        kind: of the request.
        arg: of the request.
        length: of its payload, bytes.
    """
    if frame is None or frame.status not in {Reason.UNKNOWN_TYPE, Reason.OUT_OF_RANGE}:
        return None
    hint = ""
    if kind is Request.HELLO:
        hint = ". Its model card or its build id is too long to be sent; shorten it"
    elif kind is Request.RUN and arg >= RESET_STATE:
        hint = ". Its card says that the model has state, but its agent can't reset one; build the image again"
    return (UnknownRequestError if frame.status == Reason.UNKNOWN_TYPE else LinkError)(
        f"{board}: the firmware refuses {kind.name} (argument {arg}, {length} bytes): "
        f"{Reason(frame.status).name.lower().replace('_', ' ')}{hint}"
    )


def check_setup(board: str, frame: Frame) -> None:
    """Raise if an INFO says that the engine couldn't be set up; it then ends with what the setup returned.

    Args:
        board: the name that messages give it.
        frame: the INFO.

    Raises:
        MeasurementError: with that number.
    """
    if frame.status != Reason.SETUP_FAILED:
        return
    status = int.from_bytes(frame.payload[-4:], "little", signed=True)
    if status in _PROBLEMS:
        raise MeasurementError(f"{board}: {_PROBLEMS[status]}")
    raise MeasurementError(
        f"{board}: the engine's setup failed with {status}; look in its hil_model_setup() (or hil_model_reset(), which "
        "runs after it) what that number means"
    )


def check_inference(board: str, frame: Frame | None, counter_hz: int) -> None:
    """Raise if a NAK says that the inference can't be measured.

    Args:
        board: the name that messages give it.
        frame: what the device answered, if it did.
        counter_hz: frequency of the board's counter, Hz.

    Raises:
        MeasurementError: with the reason; NoLayersError if it can't be measured layer by layer.
    """
    reason = None if frame is None else frame.status
    if reason == Reason.NO_LAYERS:
        raise NoLayersError(f"{board}: the engine in the firmware doesn't tell one layer from another")
    words: dict[int | None, str] = {
        Reason.INFERENCE_FAILED: "the engine reports that the inference failed",
        Reason.TOO_MANY_LAYERS: "the engine has more layers than the agent has room for (128, on an ATmega328P 16)",
        Reason.COUNTER_WRAPPED: "the inference took so long that the board's 32-bit counter went round (2^32 ticks, "
        f"{2**32 / counter_hz:.0f} s at {counter_hz / 1e6:g} MHz), so its count is not known. Use a smaller model",
    }
    if reason in words:
        raise MeasurementError(f"{board}: {words[reason]}")
