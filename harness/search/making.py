"""From a candidate to an image: the user's command makes the model, the compiler the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.build import parse_tflite, plan_memory
from harness.build.check import missing_check
from harness.build.making import Making, make_model_image
from harness.build.sizes import check_plan, layer_sizes
from harness.errors import ConfigError
from harness.search.space import fill

if TYPE_CHECKING:
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
        self._run(candidate, fill(self.space.make, values), path.with_suffix(".log"))
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
        graph = parse_tflite(model)
        plan = plan_memory(graph)
        check_plan(graph, plan, layer_sizes(graph, plan), self.making.target.kind)
        out = model.with_suffix(".elf")
        checked = model if missing_check(self.making.target.kind) is None else None
        make_model_image(graph, plan, self.making, out, f"{self.space.task}_{candidate.name}", model=checked)
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
