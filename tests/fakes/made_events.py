"""Events of made-up boards, one a minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from harness.health.event import Event

START = datetime(2026, 3, 1, 22, tzinfo=UTC)


class Night:
    """Makes events in the order of time: `night("bench-1", "int8")`, or with an error."""

    def __init__(self, start: datetime = START) -> None:
        self._minutes = count()
        self._start = start

    def __call__(self, device: str, image: str | None = "int8", error: str | None = None, **fields) -> Event:
        number = next(self._minutes)
        made = {
            "when": self._start + timedelta(minutes=number),
            "host": "rack",
            "device": device,
            "kind": "nano33",
            "backend": "hardware",
            "outcome": "failed" if error else "ok",
            "error": error,
            "reason": f"{error} on {device}" if error else None,
            "image_sha256": image,
            "run": "night",
            "case": number,
        }
        return Event(**(made | fields))
