"""What the runs say: comparisons, and whether a difference is real."""
