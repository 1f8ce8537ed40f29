"""One run of measuring: its cases, the boards that they are measured on, and what is done when those fail."""
