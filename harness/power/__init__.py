"""Power monitors, windows of inferences in what they send, and what energy an inference took."""
