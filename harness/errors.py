"""The one tree of errors. Who catches `HilError` catches everything that the harness reports."""

from __future__ import annotations


class HilError(Exception):
    """Something went wrong that the user can understand and act on. The message says what to do."""


class ConfigError(HilError):
    """devices.yaml, a suite, an image or an input file is wrong. Names file, line and key where it can."""


class ImageError(ConfigError):
    """A firmware image is damaged, or doesn't belong to this board or suite."""


class NoImageError(ConfigError):
    """There is nothing to measure on this kind of board: no image has been built for it, or none can be.

    Args:
        message: which, and the way out.
        built: False if no image of the suite has been built for the kind; True if this one was tried in vain: it
            doesn't fit, or the kind has no kernel for it.
    """

    def __init__(self, message: str, *, built: bool) -> None:
        super().__init__(message)
        self.built = built


class BoardError(HilError):
    """The infrastructure failed: probe, link, flash, emulator. Retried a bounded number of times."""


class ProbeError(BoardError):
    """The debug probe can't be found, opened or talked to."""


class LockedError(ProbeError):
    """The part is read-protected. Only the user can allow what would help, so it is not retried."""


class BusyError(BoardError):
    """Another run holds the probe or the port. Only waiting helps: its power must not be switched.

    Args:
        message: what is held, and by whom.
        hint: what to do, if there is more to say.
        holder: differs if somebody else holds it; "" if that isn't known.
        run: that holds it; None if that isn't known.
    """

    def __init__(self, message: str, hint: str = "", holder: str = "", run: str | None = None) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.words = message
        self.holder = holder
        self.run = run


class ReservedError(BusyError):
    """Somebody else has reserved the board for now."""


class ReservationError(HilError):
    """A reservation can't be made or changed: no board is free, a limit of the farm, or it is somebody else's."""


class LeaseLostError(BoardError):
    """The board isn't this run's any more: its lease ran out, was taken away, or its host left the farm."""


class GivenUpError(BoardError):
    """A run doesn't use a board any more, because of what it raised earlier in the run: nothing new happened."""


class FarmError(BoardError):
    """What shares the boards between hosts can't be reached, or refuses."""


class QuarantinedError(BoardError):
    """The board is not used, because it failed too often; it is tested again, or a person releases it."""


class FlashError(BoardError):
    """The image could not be programmed, or what was read back differs from it."""


class LinkError(BoardError):
    """The board didn't answer, answered something else, or lost what was sent."""


class UnknownRequestError(LinkError):
    """The firmware on the board doesn't know a request: its agent is older than this harness."""


class BoardResetError(LinkError):
    """The board was reset in the middle of a conversation (its boot nonce changed)."""


class BoardFaultError(BoardError):
    """The firmware stopped in a fault handler, or the CPU locked up."""


class EmulatorError(BoardError):
    """The virtual board stopped for a reason that is not the firmware's."""


class PowerError(HilError):
    """A power monitor is missing, fails, or sends what can't be believed. The board may be well: it isn't retried."""


class MeasurementError(HilError):
    """The board works, but what it returned can't be a measurement. Never retried."""


class NoLayersError(MeasurementError):
    """The inference engine on the board can't tell one layer from another."""


class StoreError(HilError):
    """Results could not be written or read."""
