"""Faults that are put into a virtual board on purpose."""
