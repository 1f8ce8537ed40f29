"""`hil profile`: where the instructions of an inference go."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from harness.boards.opening import open_board
from harness.commands.printing import print_table
from harness.image import load_image
from harness.profile import profile_image

if TYPE_CHECKING:
    from pathlib import Path

    from harness.config import Device


def show_profile(path: Path, device: Device, *, as_json: bool) -> None:
    """Run an image on the virtual board and print its instructions per inference, by function."""
    image = load_image(path, device.kind)
    with open_board(device, "virtual") as board:
        profile = profile_image(board, image)
    total = sum(row.instructions for row in profile.functions)
    if as_json:
        content = {
            "image": str(path),
            "image_sha256": image.sha256,
            "build_id": image.build_id,
            "model": image.card.model,
            "backend": "virtual",
            "functions": [asdict(row) for row in profile.functions],
            "total": {"instructions": total, "inference": profile.counter},
        }
        click.echo(json.dumps(content, indent=2))
        return
    print_table(
        f"{image.card.model} on {device.name}, virtual backend",
        ("function", "instructions per inference", "share"),
        [(row.function, f"{row.instructions:,.0f}", f"{100 * row.share:.1f} %") for row in profile.functions],
        right=("instructions per inference", "share"),
    )
    click.echo(f"Total: {total:,.0f}. The board's own counter says {profile.counter:,.0f} for the inference alone.")
    click.echo("Instructions are not cycles: a real board may spend its time elsewhere.")
