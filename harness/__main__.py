"""`python -m harness`: the `hil` command, where its script isn't on the path."""

from harness.cli import main

main(prog_name="hil")
