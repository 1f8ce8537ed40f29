"""`python -m harness.build`: the same as `hil build`, where the command is not on PATH."""

from __future__ import annotations

import sys

from harness.cli import main

if __name__ == "__main__":
    main(["build", *sys.argv[1:]], prog_name="hil")
