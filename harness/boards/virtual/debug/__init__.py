"""The debug side of the virtual board: the debug port, and the probe that pyOCD sees."""
