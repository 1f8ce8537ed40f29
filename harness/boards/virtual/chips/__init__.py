"""The chips around the CPU: memories and peripherals."""
