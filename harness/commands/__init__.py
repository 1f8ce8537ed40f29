"""What each `hil` command does."""
