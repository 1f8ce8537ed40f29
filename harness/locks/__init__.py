"""One lock per probe or port of this computer, and who holds it."""
