"""Makes a virtual board of any worker of Dask's: `dask worker ... --preload harness.farm.preload --kind nano33`.

For clusters whose workers somebody else starts, as dask-jobqueue does on Slurm. Each has a twin of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.config import Lab
from harness.farm.board_worker import offer_of
from harness.farm.cluster import configure
from harness.farm.task import Post


@click.command()
@click.option("--kind", default="nano33", show_default=True, help="Kind of the virtual board.")
def dask_setup(worker: Any, kind: str) -> None:
    """Let a worker offer a virtual board; Dask calls this before the worker says that it is there."""
    configure()
    (device,) = Lab.load(None).select([kind])
    worker.post = Post(device.name, None, Path(worker.local_directory))
    worker.startup_information["hil"] = lambda _worker: offer_of(device)
