"""What crosses the cable: packets, and what a device answers to a token."""

from __future__ import annotations

from enum import Enum

PACKET = 64  # the most that an endpoint other than an isochronous one moves at once


class Handshake(Enum):
    """What a device answers to a token, other than data."""

    ACK = "ACK"
    NAK = "NAK"
    STALL = "STALL"
