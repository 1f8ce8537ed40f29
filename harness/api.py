"""The main job as one call."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import load_suite
from harness.errors import HilError, StoreError
from harness.farm.lab_access import LabAccess
from harness.locks.waiting import NOW, Patience
from harness.report.asking import Results, load_results
from harness.run.options import Options
from harness.run.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.backends import Wanted


def benchmark(
    *suites: str | Path,
    device: str = "nano33",
    backend: Wanted = "auto",
    samples: int | None = None,
    results_dir: str | Path = "results",
    lab_file: str | Path | None = None,
    retries: int = 2,
    each: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
    patience: Patience = NOW,
) -> Results:
    """Measure every variant of some suites on the boards that `device` means, and return the results.

    A case that fails is in the results with its reason, like one of `pytest suites/`.

    Args:
        suites: paths of suite files.
        device: a device, kind or tag, or "all".
        backend: "auto" takes the real board if it is attached, else the virtual one.
        samples: use only so many inputs of each suite, of each class its share; all if there are no more.
        results_dir: where the run's folder is made.
        lab_file: devices.yaml of another lab than the current folder's.
        retries: after a failure of board or link.
        each: measure every variant on every board, instead of letting the boards of a kind share them.
        on_progress: called with the stage (`flash` or `measure`), how much is done, and of how much.
        patience: whether to wait while another run has a board.

    Raises:
        HilError: a suite, the device or the backend is wrong, or the results can't be written.
    """
    loaded = [load_suite(path) for path in suites]
    options = Options(
        selectors=(device,),
        backend=backend,
        lab_file=None if lab_file is None else Path(lab_file),
        results_dir=Path(results_dir),
        samples=samples,
        retries=retries,
        each=each,
        patience=patience,
    )
    session = Session.build(options, LabAccess.of(options))
    session.suites = {suite.path: suite for suite in loaded}
    with contextlib.closing(session):
        for suite in loaded:
            for variant in suite.variants:
                for target in session.targets:
                    try:
                        session.measure(target, suite, variant, on_progress)
                    except StoreError:
                        raise
                    except HilError:
                        continue  # it is in the results, with the reason
    if session.run is None:
        raise StoreError("no suite was given, so nothing was measured")
    return load_results(session.run.path)
