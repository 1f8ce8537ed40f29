"""What a virtual board draws in each of its states. Figures of a data sheet and an assumption, no measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class CurrentProfile:
    """Supply current of a board by what its CPU does.

    Attributes:
        running_a: current while the CPU executes, in ampere.
        sleeping_a: while it waits in WFI or WFE.
        noise_a: standard deviation of the noise on each sample.
        source: where the figures come from.
    """

    running_a: float
    sleeping_a: float
    noise_a: float
    source: str


#: The board idles with a UART that listens, so that its high-frequency clock stays on.
NRF52840: Final = CurrentProfile(
    running_a=3.3e-3,
    sleeping_a=0.6e-3,
    noise_a=20e-6,
    source=(
        "Running: 52 uA/MHz x 64 MHz = 3.3 mA, typical of the nRF52840 from flash at 3 V with DC/DC by its product "
        "specification. Asleep: 0.6 mA, an assumption for a UART that listens and keeps the high-frequency clock on. "
        "No other part of a board is included, and all instructions draw the same"
    ),
)
