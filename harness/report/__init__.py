"""What the runs say: comparisons, whether a difference is real, and the page that shows it."""
