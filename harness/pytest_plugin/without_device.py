"""Which files are suites, and what is said of them where no board was asked for. Every run of pytest loads this."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.pytest_plugin.options import clashes, value_of
from harness.text.escape import printable

if TYPE_CHECKING:
    from pathlib import Path

    from harness.pytest_plugin.options import Flags


def is_yaml(path: Path) -> bool:
    """Whether it is a YAML file by its name."""
    return path.suffix in (".yaml", ".yml")


def is_suite(path: Path) -> bool:
    """Tell a suite from any other YAML file without parsing it: it has the keys task and variants."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return all(re.search(key, content, re.MULTILINE) for key in (rb"^task\s*:", rb"^variants\s*:"))


def device_flag(flags: Flags) -> str:
    """Return what `--device` is called here."""
    return flags["--device"] or "--device"


def refuse_suites(config: pytest.Config, flags: Flags) -> None:
    """A suite that was named needs a board; one that merely lies in a folder is mentioned at the end.

    Raises:
        UsageError: one was named.
    """
    for argument in config.args:
        path = config.invocation_params.dir / argument.split("::")[0]
        if is_yaml(path) and is_suite(path):
            from harness.config import Lab, find_lab
            from harness.errors import HilError

            folders = [config.invocation_params.dir, config.rootpath]
            try:
                known = Lab.load(find_lab(value_of(config, "--lab"), folders)).known()
            except HilError as error:
                known = str(error)
            lines = [f"{argument}: say which board: {device_flag(flags)} nano33", *clashes(flags), known]
            raise pytest.UsageError(printable("\n".join(lines)))
