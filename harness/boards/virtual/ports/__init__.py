"""The serial port of the virtual board, and the sleep of its CPU until a byte comes."""
