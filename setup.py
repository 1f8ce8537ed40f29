"""Puts what stands beside the package into the wheel: what `hil init` copies, and what `hil build` compiles."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_ROOT = Path(__file__).parent
# harness.files.starter's FOLDERS and SOURCE_FOLDERS; a build can't import the package yet.
_FOLDERS = (
    "suites",
    "firmware/prebuilt",
    "firmware/agent",
    "firmware/boards",
    "firmware/engine",
    "firmware/program",
    "firmware/support",
)


class BuildWithStarterFiles(build_py):
    """Copies the starter files beside the package. An editable install finds them in the clone."""

    def run(self) -> None:
        """Build the package, then add the files."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "harness" / "starter_files"
        shutil.rmtree(target, ignore_errors=True)
        for folder in _FOLDERS:
            shutil.copytree(_ROOT / folder, target / folder, ignore=shutil.ignore_patterns(".*", "__*"))


setup(cmdclass={"build_py": BuildWithStarterFiles})
