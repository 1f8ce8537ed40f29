"""Text for people: made harmless, laid out in tables, written to a terminal."""
