"""An estimate of the cycles that a Cortex-M4 takes, from what the emulator executed."""
