"""What a task is scored by: metrics over outputs and labels, each with its interval and the test of a difference."""
