"""The serial port of the virtual board."""
