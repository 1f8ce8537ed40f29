"""The options that the harness adds to pytest. pytest reads them in every run, so nothing slow is imported here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from harness.run.options import Options

    Flags = dict[str, str | None]


def _folder(text: str) -> str:
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"must be a folder, not {text!r}; `farm: {{store: URL}}` publishes finished runs"
        )
    return text


def _number(kind: type[int | float], least: int, words: str) -> Callable[[str], float]:
    """Return what reads a number from a command line, of which `words` say what it must be."""

    def read(text: str) -> float:
        try:
            value = kind(text) if kind is float or text.isdecimal() else -1
        except ValueError:
            value = -1
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be {words}, not {text!r}")
        return value

    return read


#: The options, with what argparse takes of each.
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "--device": {
        "action": "append",
        "default": [],
        "metavar": "NAME",
        "help": "board: a device, kind or tag, or all (no devices: all that --backend emulates); repeatable",
    },
    "--backend": {
        "choices": ("auto", "hardware", "renode", "virtual"),
        "default": "auto",
        "help": "auto (default): hardware if it is attached, else an emulator",
    },
    "--samples": {
        "type": _number(int, 1, "a whole number of at least 1"),
        "metavar": "N",
        "help": "use only N inputs of each suite, of each class its share",
    },
    "--results-dir": {
        "type": _folder,
        "default": "results",
        "metavar": "DIR",
        "help": "where runs are stored (default: results)",
    },
    "--lab": {"metavar": "FILE", "help": "the lab's boards (default: devices.yaml, if there is one)"},
    "--hil-retries": {
        "type": _number(int, 0, "a whole number of at least 0"),
        "default": 2,
        "metavar": "N",
        "help": "retries after a failure of board or link (default: 2)",
    },
    "--virtual-fault": {
        "action": "append",
        "default": [],
        "metavar": "FAULT",
        "help": "let a virtual board misbehave, for example serial.flip=1e-4,seed=1 (docs/faults.md); repeatable",
    },
    "--each": {
        "action": "store_true",
        "help": "every case on every board; else the boards of a kind share the cases",
    },
    "--force-flash": {"action": "store_true", "help": "flash even if the board already holds the image"},
    "--hil-baseline": {
        "metavar": "WHAT",
        "help": "compare the run with this one: a tag, run, git revision, latest, or history:N (docs/comparing.md)",
    },
    "--hil-fail-on": {
        "metavar": "LIMITS",
        "help": 'with --hil-baseline: fail if worse, for example "ticks>2%%,peak_ram>0,accuracy<-0.5%%"',
    },
    "--hil-axis": {
        "metavar": "AXIS",
        "help": "what the variant to ship has to be cheap in: ticks, latency, energy, peak_ram or flash",
    },
    "--hil-tolerance": {
        "metavar": "X",
        "help": "how much worse than the best the variant to ship may be, like 1%% (default: the suite's)",
    },
    "--hil-budget": {
        "metavar": "BOUNDS",
        "help": 'what the variant to ship has to keep to, like "ram<=32k,latency<=5ms,accuracy>=0.9"',
    },
    "--estimate-cycles": {
        "action": "store_true",
        "help": "on hardware: also estimate cycles of the same image on the virtual board (docs/cycles.md)",
    },
    "--show-estimated-time": {
        "action": "store_true",
        "help": "show estimated cycles as milliseconds, too, and their range if it is known (docs/cycles.md)",
    },
    "--power": {
        "choices": ("auto", "off", "required"),
        "default": "auto",
        "help": "energy: auto (default) measures it where devices.yaml names a monitor, required fails without",
    },
    "--mlperf-rules": {
        "action": "store_true",
        "help": "power windows by the rules of MLPerf Tiny (docs/power.md)",
    },
    "--wait": {"action": "store_true", "help": "wait for a board that another run uses"},
    "--wait-timeout": {
        "type": _number(float, 0, "a number of seconds"),
        "metavar": "SECONDS",
        "help": "wait so long at most for a board that another run uses (default with --wait: no limit)",
    },
    "--allow-mass-erase": {"action": "store_true", "help": "unlock a locked part, which erases all of it"},
}


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
    for name, attributes in OPTIONS.items():
        flags[name] = free = next((each for each in _names(name) if each not in taken), None)
        if free is not None:
            group.addoption(free, dest=_dest(name), **attributes)
    return flags


def without_options(args: Sequence[str]) -> list[str]:
    """Return a command line without the options of the harness and their values."""
    ours = {each: attributes for name, attributes in OPTIONS.items() for each in _names(name)}
    left, follows = [], False
    for arg in args:
        name, equals, _ = arg.partition("=")
        if follows:
            follows = False
        elif name in ours:
            follows = not equals and ours[name].get("action") != "store_true"
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
    """Return what the user chose for an option of the harness, like `--device`, or its default."""
    attributes = OPTIONS[name]
    default = attributes.get("default", False if attributes.get("action") == "store_true" else None)
    return getattr(config.option, _dest(name), default)


def _names(name: str) -> tuple[str, ...]:
    """Return what an option can be called; the second name is for projects in which the first one is taken."""
    return (name,) if name.startswith("--hil-") else (name, f"--hil-{name[2:]}")


def _dest(name: str) -> str:
    """Return where pytest keeps its value; no other plugin's is there."""
    return f"tinyml_hil_{name[2:].replace('-', '_')}"


def chosen_options(config: pytest.Config) -> Options:
    """Return what the user chose.

    Raises:
        UsageError: an option can't be understood.
    """
    from harness.config import find_lab
    from harness.locks.waiting import NOW, Patience
    from harness.power.meter import PowerOptions
    from harness.pytest_plugin.items import shortest
    from harness.pytest_plugin.progress import line_writer
    from harness.run.options import Options

    shared = None
    if hasattr(config, "workerinput"):
        from harness.pytest_plugin.xdist import shared_run

        shared = shared_run(config)

    def get(name: str) -> Any:
        return value_of(config, name)

    folder = config.invocation_params.dir
    lab = find_lab(get("--lab"), [folder, config.rootpath])
    waits = get("--wait") or get("--wait-timeout") is not None  # a limit alone says that waiting is wanted
    return Options(
        selectors=tuple(get("--device")),
        backend=get("--backend"),
        lab_file=lab and shortest(lab),
        results_dir=shortest(folder / get("--results-dir")),
        samples=get("--samples"),
        retries=get("--hil-retries"),
        virtual_faults=tuple(get("--virtual-fault")),
        force_flash=get("--force-flash"),
        allow_mass_erase=get("--allow-mass-erase"),
        twin_estimate=get("--estimate-cycles"),
        power=PowerOptions(get("--power"), mlperf_rules=get("--mlperf-rules")),
        each=get("--each"),
        shared=shared,
        patience=Patience(get("--wait-timeout"), line_writer(config)) if waits else NOW,
    )
