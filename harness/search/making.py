"""From candidates to images (the user's command makes the model, the compiler the rest), and to a suite of them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import yaml

from harness.build.making import Making, compile_model
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.search.space import Candidate, Space

#: "cost": any weights will do, only the shape counts. "train": as good as it gets.
Stage = Literal["cost", "train"]

_SHOWN_LINES = 8


@dataclass(frozen=True)
class Maker:
    """Makes candidates of a space in a folder.

    Attributes:
        space: the architectures that are searched.
        folder: where models, images and logs go.
        making: how images are compiled.
        python: interpreter that {python} stands for.
    """

    space: Space
    folder: Path
    making: Making
    python: str = sys.executable

    def model(self, candidate: Candidate, stage: Stage) -> Path:
        """Return a candidate's .tflite file; it is made unless an earlier search has left it.

        Raises:
            ConfigError: the command failed, took too long, or wrote nothing.
        """
        path = self.folder / stage / f"{candidate.name}.tflite"
        recipe = path.with_suffix(".json")
        command = list(self.space.make)
        made_by = json.dumps({"params": dict(candidate.params), "stage": stage, "make": command}, indent=1)
        if path.is_file() and recipe.is_file() and recipe.read_text() == made_by:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        params = json.dumps(dict(candidate.params))
        values = {"params": params, "out": str(part.resolve()), "stage": stage, "python": self.python}
        self._run(candidate, [word.format(**values) for word in command], path.with_suffix(".log"))
        if not part.is_file():
            raise ConfigError(f"{candidate.name} ({candidate}): `make` ended well but wrote no {{out}} ({part})")
        part.replace(path)
        recipe.write_text(made_by)
        return path

    def image(self, candidate: Candidate, stage: Stage) -> Path:
        """Return a candidate's image.

        Raises:
            ConfigError: it can't be made, or doesn't fit the board.
        """
        model = self.model(candidate, stage)
        out = model.with_suffix(".elf")
        compile_model(model, self.making, out, f"{self.space.task}_{candidate.name}")
        return out

    def _run(self, candidate: Candidate, command: list[str], log: Path) -> None:
        what = f"{candidate.name} ({candidate})"
        with log.open("w") as output:
            try:
                done = subprocess.run(  # noqa: S603 (the user's own command, without a shell)
                    command,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    cwd=self.space.path.resolve().parent,
                    timeout=self.space.timeout_s,
                    check=False,
                )
            except OSError as error:
                raise ConfigError(f"{self.space.path}: make: {command[0]} can't be run: {error.strerror}") from error
            except subprocess.TimeoutExpired:
                raise ConfigError(
                    f"{what}: `make` took longer than timeout_s ({self.space.timeout_s:g} s); see {log}"
                ) from None
        if done.returncode != 0:
            last = "\n  ".join(log.read_text(errors="replace").strip().splitlines()[-_SHOWN_LINES:])
            raise ConfigError(f"{what}: `make` ended with {done.returncode}; {log} ends\n  {last}")

    def suite(self, candidates: Sequence[Candidate], stage: Stage, name: str | None = None) -> Path:
        """Write a suite of candidates whose images are there, so that they are measured the way everything is.

        Args:
            candidates: the suite's variants.
            stage: whether their images are those made to learn the cost, or those of trained models.
            name: of the file; None: the stage's. The suite called `front` runs on the test inputs, if there are any.

        Returns:
            The path of the file.
        """
        space = self.space
        data = space.test if name == "front" and space.test is not None else space
        folders = space.path.resolve().parent, self.folder.resolve()
        resize = {} if space.resize is None else {"resize": space.resize}
        content = {
            "task": space.task,
            "title": f"{space.task}: candidates of {space.path.name}",
            "inputs": data.inputs.from_folder(*folders),
            "labels": data.labels.from_folder(*folders),
            "classes": list(space.classes),
            "variants": {
                each.name: {"image": f"{stage}/{each.name}.elf", "technique": f"searched: {each}", **resize}
                for each in candidates
            },
        }
        path = self.folder / f"{name or stage}.yaml"
        path.write_text("# Written by hil search.\n" + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path
