"""What goes wrong with the stand-in for Renode, and what it tells: its log, and what it has received."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

TRAPS = dict(part.partition("=")[::2] for part in os.environ.get("FAKE_RENODE", "").split(";") if part)


def trace(*what):
    path = os.environ.get("FAKE_RENODE_TRACE")
    if path:
        with Path(path).open("a") as file:
            file.write(json.dumps(what) + "\n")


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def log(level, text):
    now = time.time()
    say(f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1e4):04d} [{level}] {text}")
