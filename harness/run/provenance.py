"""What a run was made with, so that every row can be traced."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from harness.config.subset import SEED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.config import Device, Lab, Suite

_TOOLS = ("pyocd", "pyserial", "unicorn", "numpy", "pandas", "pyarrow")


def provenance(
    lab: Lab, devices: Sequence[Device], suites: Sequence[Suite], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Say what a run was made with, for run.json.

    Args:
        lab: the configuration.
        devices: the selected boards.
        suites: the suites that will run.
        options: what else the user chose.
    """
    config = {
        "lab": lab.model_dump(mode="json"),
        "devices": [device.model_dump(mode="json") for device in devices],
        "suites": [suite.model_dump(mode="json") for suite in suites],
        "options": dict(options),
    }
    text = json.dumps(config, sort_keys=True, default=str)
    return {
        "harness_version": metadata.version("tinyml-hil"),
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "seed": SEED,
        "config": config,
        "git_revision": _git_revision(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "tools": {name: metadata.version(name) for name in _TOOLS},
    }


def _git_revision() -> str | None:
    """Revision of the checkout that the run was started in, with `+` if files differ; None outside of one."""
    git = shutil.which("git")
    if git is None:
        return None
    answers = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        done = subprocess.run([git, *command], capture_output=True, text=True, check=False)  # noqa: S603 (own command)
        if done.returncode != 0:
            return None
        answers.append(done.stdout.strip())
    return answers[0] + ("+" if answers[1] else "")
