"""What the runs say: plots, the report page and its Markdown summary."""
