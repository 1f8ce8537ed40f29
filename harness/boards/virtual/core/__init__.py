"""The CPU of the virtual board: execution, exceptions, instruction counts, and its debug registers."""
