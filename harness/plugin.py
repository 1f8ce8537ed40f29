"""The pytest plugin: `pytest suites/ --device nano33`.

pytest loads it in every run on a machine that has the package, so nothing slow is imported before
`--device` asks for it.
"""

from __future__ import annotations

import argparse
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.bench import Bench
    from harness.boards.base import Board
    from harness.farm.lease import Patience
    from harness.judging import Judge
    from harness.parallel import Controller
    from harness.store.publish import Published

_BENCH = pytest.StashKey["Bench"]()
_ROWS = pytest.StashKey[list[dict[str, Any]]]()
_UNASKED = pytest.StashKey[list[Path]]()
_SIGNALS = pytest.StashKey[dict[int, Any]]()
_JUDGE = pytest.StashKey["Judge"]()
_PUBLISHED = pytest.StashKey[list["Published"]]()
_CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()
_STOPPED = pytest.StashKey[threading.Event]()
_YAML = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
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
    add("--samples", type=_positive, default=None, metavar="N", help="use only the first N inputs of each suite")
    add("--results-dir", default="results", metavar="DIR", help="where runs are stored (default: results)")
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


def pytest_configure(config: pytest.Config) -> None:
    """Find the boards, or say which suites lack one."""
    config.stash[_ROWS], config.stash[_UNASKED], config.stash[_STOPPED] = [], [], threading.Event()
    if not config.option.device:
        _refuse_suites_without_device(config)
        return
    from harness.errors import HilError

    try:
        bench = _bench(config)
        if config.option.hil_baseline is not None or config.option.hil_fail_on is not None:
            from harness.judging import Judge

            baseline, limits = config.option.hil_baseline, config.option.hil_fail_on
            config.stash[_JUDGE] = Judge.build(baseline, limits, bench.options.results_dir)
    except HilError as error:
        raise pytest.UsageError(str(error)) from error
    if _in_parallel(config):
        from harness import parallel

        config.stash[_CONTROLLER] = parallel.Controller(bench)
        config.pluginmanager.register(config.stash[_CONTROLLER])
    _catch_signals(config)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Say how many processes `-n auto` means: one for each board."""
    if not config.option.device:
        return None
    from harness.errors import HilError
    from harness.parallel import how_many

    try:
        return how_many(_bench(config))
    except HilError as error:
        raise pytest.UsageError(str(error)) from error


def _in_parallel(config: pytest.Config) -> bool:
    """Whether this process only hands out the cases, to workers of pytest-xdist."""
    return getattr(config.option, "dist", "no") != "no" and not config.option.collectonly


def _bench(config: pytest.Config) -> Bench:
    """Return the boards of this session."""
    if _BENCH in config.stash:
        return config.stash[_BENCH]
    from harness.bench import Bench
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
    options = Options(
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
    config.stash[_BENCH] = Bench.build(options)
    return config.stash[_BENCH]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the signals back."""
    for number, handler in config.stash.get(_SIGNALS, {}).items():
        signal.signal(number, handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which boards are used, and that an emulator is one."""
    bench = config.stash.get(_BENCH, None)
    return bench.header() if bench else []


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect suites."""
    if file_path.suffix not in _YAML:
        return None
    named = parent.session.isinitpath(file_path)
    bench = parent.config.stash.get(_BENCH, None)
    if not _is_suite(file_path) and not (named and bench):
        return None
    if bench is None:
        from harness.collection import shortest

        parent.config.stash[_UNASKED].append(shortest(file_path))
        return None
    from harness.collection import SuiteFile
    from harness.progress import watch_terminal

    config = parent.config
    stopped = config.stash[_STOPPED]
    return SuiteFile.build(parent, file_path, bench, lambda name: watch_terminal(config, name, stopped))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `board` once for each target, if there are several."""
    bench = metafunc.config.stash.get(_BENCH, None)
    if bench and len(bench.targets) > 1 and "board" in metafunc.fixturenames:
        ids = [target.name for target in bench.targets]
        metafunc.parametrize("board", bench.targets, indirect=True, ids=ids, scope="session")


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest) -> Board:
    """The open board of `--device`: flash(image), reset(), link(), read_memory(address, size)."""
    bench = request.config.stash.get(_BENCH, None)
    if bench is None:
        pytest.skip("needs a board: say which, for example --device nano33")
    return bench.any_board(getattr(request, "param", bench.targets[0]))


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Keep the suites' items of one device together; everything else stays where it was."""
    bench = config.stash.get(_BENCH, None)
    if bench is None:
        return
    from harness.collection import in_order

    in_order(items, bench)
    if hasattr(config, "workerinput"):
        from harness.parallel import arrange

        arrange(items, config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the case's row to its report, which also carries it from xdist's workers."""
    report = yield
    row = getattr(item, "row", None)
    if report.when == "call" and row is not None:
        entry = _entry(item.config.stash[_BENCH], row)
        entry |= {name: getattr(item, name) for name in ("name", "unchecked", "counter")}
        vars(report)["hil"] = entry
    return report


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Let go of the boards and write the tables, also after Ctrl-C; then publish and judge the run.

    As the innermost wrapper it goes on after pytest-xdist's workers have ended, and before the summary is printed.
    """
    bench = session.config.stash.get(_BENCH, None)
    if bench is None:
        return (yield)
    from harness.errors import StoreError

    controller = session.config.stash.get(_CONTROLLER, None)
    try:
        bench.close()
        yield
        if controller is not None:
            controller.finish()
    except StoreError as error:
        pytest.exit(str(error), returncode=1)
    judge = session.config.stash.get(_JUDGE, None)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.stash[_STOPPED].is_set():
        return None
    from harness.store.publish import publish_finished

    folders = _folders(_found(reporter, bench))
    published = [done for folder in folders if (done := publish_finished(Path(folder), bench.lab)) is not None]
    session.config.stash[_PUBLISHED] = published
    if judge is not None:
        judge.compare(folders)
    bad = (judge is not None and judge.regressed) or any(done.failed for done in published)
    if bad and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables."""
    write = terminalreporter.write_line
    for path in config.stash[_UNASKED]:
        write(f"{path} was not run: say which board, for example --device nano33")
    bench = config.stash.get(_BENCH, None)
    if bench is None:
        return
    found = _found(terminalreporter, bench)
    if not found:
        return
    from harness.summary import render

    writer = terminalreporter._tw  # noqa: SLF001 (pytest gives no other way to its width)
    terminalreporter.write_sep("=", "benchmark")
    write(render([entry["row"] for entry in found], width=writer.fullwidth, color=writer.hasmarkup))
    for entry in found:
        for sentence in entry["unchecked"]:
            write(f"Not checked for {entry['name']}: {sentence}")
    for counter in dict.fromkeys(entry["counter"] for entry in found if entry["counter"]):
        write(f"Instructions were counted by the {counter}.")
    for folder in _folders(found):
        write(f"Results: {folder}")
    for done in config.stash.get(_PUBLISHED, ()):
        write(done.line, red=done.failed)
    _write_judgement(terminalreporter, config.stash.get(_JUDGE, None))
    if config.stash[_STOPPED].is_set():
        write("The run was interrupted. The boards are released; what had finished is in the results.")


def _write_judgement(reporter: pytest.TerminalReporter, judge: Judge | None) -> None:
    if judge is not None:
        writer = reporter._tw  # noqa: SLF001 (as above)
        for title, text, markup in judge.sections(width=writer.fullwidth, color=writer.hasmarkup):
            reporter.write_sep("=", title, **markup)
            reporter.write_line(text)


def _folders(found: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(entry["folder"] for entry in found if entry["folder"]))


def _found(reporter: pytest.TerminalReporter, bench: Bench) -> list[dict[str, Any]]:
    """Return the entries of all reports, and of the case that an interruption left without one."""
    reports = [report for group in reporter.stats.values() for report in group]
    entries = {
        (entry["row"]["run"], entry["row"]["case"]): entry
        for entry in (getattr(report, "hil", None) for report in reports)
        if entry is not None
    }
    for row in bench.run.rows if bench.run else ():
        entries.setdefault((row["run"], row["case"]), _entry(bench, row))
    return [entries[key] for key in sorted(entries)]


def _entry(bench: Bench, row: dict[str, Any]) -> dict[str, Any]:
    """Put what the summary needs into plain types, which xdist can send."""
    folder = str(bench.run.path) if bench.run else None
    plain = {**row, "started_utc": str(row["started_utc"])}
    return {"row": plain, "folder": folder, "name": row["variant"], "unchecked": (), "counter": None}


def _refuse_suites_without_device(config: pytest.Config) -> None:
    """A suite that was named needs a board; one that merely lies in a folder is mentioned at the end."""
    for argument in config.args:
        path = config.invocation_params.dir / argument.split("::")[0]
        if path.suffix in _YAML and _is_suite(path):
            from harness.config import Lab, find_lab
            from harness.errors import HilError

            folders = [config.invocation_params.dir, config.rootpath]
            try:
                known = Lab.load(find_lab(config.option.lab, folders)).known()
            except HilError as error:
                known = str(error)
            raise pytest.UsageError(f"{argument}: say which board: --device nano33\n{known}")


def _is_suite(path: Path) -> bool:
    """Tell a suite from any other YAML file without parsing it: it has the keys task and variants."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return all(re.search(key, content, re.MULTILINE) for key in (rb"^task\s*:", rb"^variants\s*:"))


def _catch_signals(config: pytest.Config) -> None:
    """End the session at SIGINT and SIGTERM alike: boards released, tables written, exit code 2.

    The event is for a signal that comes while an emulator's callback runs, where an exception would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    stopped = config.stash[_STOPPED]

    def stop(_number: int, _frame: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    config.stash[_SIGNALS] = before


def _patience(config: pytest.Config) -> Patience:
    """Return what `--wait` and `--wait-timeout` mean; a limit alone says that waiting is wanted."""
    from harness.farm.lease import NOW, Patience
    from harness.progress import line_writer

    if not config.option.wait and config.option.wait_timeout is None:
        return NOW
    return Patience(config.option.wait_timeout, line_writer(config))


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
