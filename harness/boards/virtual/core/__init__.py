"""The CPU of the virtual board: execution, exceptions, instruction counts."""
