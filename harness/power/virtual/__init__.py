"""A bench that doesn't exist: what a virtual board would draw, seen through monitors that speak the real formats."""
