"""The options that the harness adds to pytest. pytest reads them in every run, so nothing slow is imported here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from harness.locks.waiting import Patience
    from harness.run.options import Options

    Flags = dict[str, str | None]


def add_options(parser: pytest.Parser) -> Flags:
    """Add the options of the harness under names that nobody else has: `--hil-device` where `--device` is taken.

    To be called once conftest.py and other plugins have added theirs, as pytest ends when a name is added twice.

    Returns:
        What each option is called here, by its name; None for one that has no name left.
    """
    groups = [parser._anonymous, *parser._groups]  # noqa: SLF001 (pytest has no other way to ask)
    taken = {name for group in groups for option in group.options for name in option.names()}
    group = parser.getgroup("hil", "benchmarks on boards (tinyml-hil)")
    flags: Flags = {}

    def add(name: str, **attributes: Any) -> None:
        free = [each for each in _names(name) if each not in taken]
        flags[name] = free[0] if free else None
        if free:
            group.addoption(free[0], dest=_dest(name), **attributes)

    _options(add)
    return flags


def without_options(args: Sequence[str]) -> list[str]:
    """Return a command line without the options of the harness and their values."""
    takes_value: dict[str, bool] = {}

    def add(name: str, **attributes: Any) -> None:
        takes_value.update(dict.fromkeys(_names(name), attributes.get("action") != "store_true"))

    _options(add)
    left, follows = [], False
    for arg in args:
        name, equals, _ = arg.partition("=")
        if follows:
            follows = False
        elif name in takes_value:
            follows = takes_value[name] and not equals
        else:
            left.append(arg)
    return left


def clashes(flags: Flags) -> list[str]:
    """Say which options somebody else has, and what they are called instead."""
    whose = "belongs to a conftest.py or another plugin here"
    return [
        f"{name} {whose}; " + ("the harness does without it" if flag is None else f"the harness's own is {flag}")
        for name, flag in flags.items()
        if flag != name
    ]


def value_of(config: pytest.Config, name: str) -> Any:
    """Return what the user chose for an option of the harness, or its default.

    Args:
        config: of pytest.
        name: of the option, like `--device`.
    """
    defaults: dict[str, Any] = {}

    def add(name: str, **attributes: Any) -> None:
        defaults[name] = attributes.get("default", False)

    _options(add)
    return getattr(config.option, _dest(name), defaults[name])


def _names(name: str) -> tuple[str, ...]:
    """Return what an option can be called; the second name is for projects in which the first one is taken."""
    return (name,) if name.startswith("--hil-") else (name, f"--hil-{name[2:]}")


def _dest(name: str) -> str:
    """Return where pytest keeps its value; no other plugin's is there."""
    return f"tinyml_hil_{name[2:].replace('-', '_')}"


def _options(add: Callable[..., None]) -> None:
    """Call `add` with name and attributes of each option, as argparse takes them."""
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
    add("--force-flash", action="store_true", help="flash even if the board already holds the image")
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
    from harness.config import find_lab
    from harness.power.meter import PowerOptions
    from harness.pytest_plugin.items import shortest
    from harness.run.options import Options

    shared = None
    if hasattr(config, "workerinput"):
        from harness.pytest_plugin.xdist import shared_run

        shared = shared_run(config)
    folder = config.invocation_params.dir
    lab = find_lab(value_of(config, "--lab"), [folder, config.rootpath])
    return Options(
        selectors=tuple(value_of(config, "--device")),
        backend=value_of(config, "--backend"),
        lab_file=lab and shortest(lab),
        results_dir=shortest(folder / value_of(config, "--results-dir")),
        samples=value_of(config, "--samples"),
        retries=value_of(config, "--hil-retries"),
        virtual_faults=tuple(value_of(config, "--virtual-fault")),
        force_flash=value_of(config, "--force-flash"),
        allow_mass_erase=value_of(config, "--allow-mass-erase"),
        power=PowerOptions(value_of(config, "--power"), mlperf_rules=value_of(config, "--mlperf-rules")),
        each=value_of(config, "--each"),
        shared=shared,
        patience=_patience(config),
    )


def _patience(config: pytest.Config) -> Patience:
    """Return what `--wait` and `--wait-timeout` mean; a limit alone says that waiting is wanted."""
    from harness.locks.waiting import NOW, Patience
    from harness.pytest_plugin.progress import line_writer

    if not value_of(config, "--wait") and value_of(config, "--wait-timeout") is None:
        return NOW
    return Patience(value_of(config, "--wait-timeout"), line_writer(config))


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
