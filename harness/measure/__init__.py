"""From what the board returned to figures: accuracy, ticks and memory."""
