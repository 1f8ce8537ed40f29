"""The conversation with the agent on the board."""
