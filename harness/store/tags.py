"""Names that people gave to runs: `hil results tag RUN NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.files.json_file import parse_json

if TYPE_CHECKING:
    from pathlib import Path

TAGS_FILE = "baselines.json"


def read_tags(results_dir: Path) -> dict[str, str]:
    """Return the tags of a results folder: run names by tag.

    Raises:
        StoreError: the file is damaged.
    """
    path = results_dir / TAGS_FILE
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged: {error}; mend or remove it") from error
    if not isinstance(content, dict) or not all(isinstance(run, str) for run in content.values()):
        raise StoreError(f"{path} is damaged: it must hold a run's name for each tag; mend or remove it")
    return content
