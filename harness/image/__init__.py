"""Firmware images: what they hold, and the tensors that go into their models."""
