"""Where the work of an inference goes: by layer, by function."""
