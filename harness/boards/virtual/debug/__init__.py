"""The debug side of the virtual board: debug port, debug registers, and the probe that pyOCD sees."""
