"""Candidates as a suite file, so that they are measured the way everything is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.config import ArrayFile, Inputs
    from harness.search.making import Maker, Stage
    from harness.search.space import Candidate


def write_suite(maker: Maker, candidates: Sequence[Candidate], stage: Stage, name: str | None = None) -> Path:
    """Write a suite of candidates whose images the maker has made; return its path.

    Args:
        maker: knows the space and the folder.
        candidates: the suite's variants.
        stage: whether their images are those made to learn the cost, or those of trained models.
        name: of the file; None: the stage's. The suite called `front` runs on the test inputs, if there are any.
    """
    space = maker.space
    test = space.test if name == "front" else None
    inputs, labels = (space.inputs, space.labels) if test is None else (test.inputs, test.labels)
    variants: dict[str, Any] = {}
    for candidate in candidates:
        entry = {"image": f"{stage}/{candidate.name}.elf", "technique": f"searched: {candidate}"}
        variants[candidate.name] = entry if space.resize is None else {**entry, "resize": space.resize}
    content = {
        "task": space.task,
        "title": f"{space.task}: candidates of {space.path.name}",
        "inputs": _array(inputs, maker.folder, space.path),
        "labels": _array(labels, maker.folder, space.path),
        "classes": list(space.classes),
        "variants": variants,
    }
    path = maker.folder / f"{name or stage}.yaml"
    path.write_text("# Written by hil search.\n" + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _array(array: ArrayFile | Inputs, folder: Path, space: Path) -> dict[str, Any]:
    """Return a file entry whose path is relative to the new suite's folder."""
    entry = array.model_dump(exclude_none=True)
    entry["file"] = os.path.relpath(space.resolve().parent / array.file, folder.resolve())
    return entry
