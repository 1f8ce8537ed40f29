"""The options that the harness adds to pytest. pytest reads them in every run, so nothing slow is imported here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from harness.farm.patience import Patience
    from harness.options import Options


def add_options(parser: pytest.Parser) -> None:
    """Add the options of the harness."""
    group = parser.getgroup("hil", "benchmarks on boards (tinyml-hil)")
    add = group.addoption
    add(
        "--device", action="append", default=[], metavar="NAME", help="board: a device, kind or tag, or all; repeatable"
    )
    add(
        "--backend",
        choices=("auto", "hardware", "renode", "virtual"),
        default="auto",
        help="auto (default): hardware if it is attached, else an emulator",
    )
    add(
        "--samples",
        type=_positive,
        default=None,
        metavar="N",
        help="use only N inputs of each suite, of each class its share",
    )
    add(
        "--results-dir", type=_folder, default="results", metavar="DIR", help="where runs are stored (default: results)"
    )
    add("--lab", default=None, metavar="FILE", help="the lab's boards (default: devices.yaml, if there is one)")
    add(
        "--hil-retries",
        type=_count,
        default=2,
        metavar="N",
        help="retries after a failure of board or link (default: 2)",
    )
    add(
        "--virtual-fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="let a virtual board misbehave, for example serial.flip=1e-4,seed=1 (docs/faults.md); repeatable",
    )
    add("--each", action="store_true", help="every case on every board; else the boards of a kind share the cases")
    add("--force-flash", action="store_true", help="flash even if the board already runs the image")
    add(
        "--hil-baseline",
        default=None,
        metavar="WHAT",
        help="compare the run with this one: a tag, run, git revision, latest, or history:N (docs/comparing.md)",
    )
    add(
        "--hil-fail-on",
        default=None,
        metavar="LIMITS",
        help='with --hil-baseline: fail if worse, for example "ticks>2%%,peak_ram>0,accuracy<-0.5%%"',
    )
    add(
        "--power",
        choices=("auto", "off", "required"),
        default="auto",
        help="energy: auto (default) measures it where devices.yaml names a monitor, required fails without",
    )
    add("--mlperf-rules", action="store_true", help="power windows by the rules of MLPerf Tiny (docs/power.md)")
    add("--wait", action="store_true", help="wait for a board that another run uses")
    add(
        "--wait-timeout",
        type=_seconds,
        default=None,
        metavar="SECONDS",
        help="wait so long at most for a board that another run uses (default with --wait: no limit)",
    )
    add("--allow-mass-erase", action="store_true", help="unlock a locked part, which erases all of it")


def chosen_options(config: pytest.Config) -> Options:
    """Return what the user chose.

    Raises:
        UsageError: an option can't be understood.
    """
    from harness.collection import shortest
    from harness.config import find_lab
    from harness.options import Options
    from harness.power.meter import PowerOptions

    shared = None
    if hasattr(config, "workerinput"):
        from harness.parallel import shared_run

        shared = shared_run(config)
    folder = config.invocation_params.dir
    lab = find_lab(config.option.lab, [folder, config.rootpath])
    return Options(
        selectors=tuple(config.option.device),
        backend=config.option.backend,
        lab_file=lab and shortest(lab),
        results_dir=shortest(folder / config.option.results_dir),
        samples=config.option.samples,
        retries=config.option.hil_retries,
        virtual_faults=tuple(config.option.virtual_fault),
        force_flash=config.option.force_flash,
        allow_mass_erase=config.option.allow_mass_erase,
        power=PowerOptions(config.option.power, mlperf_rules=config.option.mlperf_rules),
        each=config.option.each,
        shared=shared,
        patience=_patience(config),
    )


def _patience(config: pytest.Config) -> Patience:
    """Return what `--wait` and `--wait-timeout` mean; a limit alone says that waiting is wanted."""
    from harness.farm.patience import NOW, Patience
    from harness.progress import line_writer

    if not config.option.wait and config.option.wait_timeout is None:
        return NOW
    return Patience(config.option.wait_timeout, line_writer(config))


def _folder(text: str) -> str:
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"must be a folder, not {text!r}; `farm: {{store: URL}}` publishes finished runs"
        )
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds, not {text!r}")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, not {text!r}")
    return int(text)
