"""The pytest plugin: `pytest suites/ --device nano33`.

pytest loads it in every run on a machine that has the package, so nothing slow is imported before
`--device` asks for it.
"""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.options import add_options, chosen_options, clashes, value_of, without_options
from harness.pytest_plugin.without_device import device_flag, is_suite, is_yaml, refuse_suites
from harness.run.signals import on_stop
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.boards.base import Board
    from harness.config.pick import Wish
    from harness.pytest_plugin.gate import Judge
    from harness.pytest_plugin.options import Flags
    from harness.pytest_plugin.xdist import Controller
    from harness.run.session import Session
    from harness.store.publish import Published


@dataclass
class _State:
    """What the plugin knows in one run of pytest; its session is that with the boards of `--device`."""

    flags: Flags
    session: Session | None = None
    judge: Judge | None = None
    wish: Wish | None = None
    controller: Controller | None = None
    unasked: list[Path] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    picked: list[str] = field(default_factory=list)
    across: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    ending: bool = False
    signal_handlers: dict[int, Any] = field(default_factory=dict)


_STATE = pytest.StashKey[_State]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options of the harness, where a conftest.py loads this plugin."""
    if pluginmanager._conftest_plugins:  # noqa: SLF001 (pytest has no other way to ask)
        config: Any = pluginmanager.get_plugin("pytestconfig")
        config.stash[_STATE] = _State(add_options(parser))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Add the options of the harness last, so that any of their names may be somebody else's.

    What pytest has read of the command line so far took their values for files, in which it looks for a conftest.py.
    """
    known = early_config.known_args_namespace
    known.file_or_dir = parser.parse_known_args(without_options(args)).file_or_dir
    try:
        yield
    finally:
        early_config.stash[_STATE] = _State(add_options(parser))


def pytest_configure(config: pytest.Config) -> None:
    """Find the boards, or say which suites lack one."""
    config.stash.setdefault(_STATE, _State({}))  # of a plugin that another one loads, options are never asked for
    if not value_of(config, "--device"):
        refuse_suites(config, config.stash[_STATE].flags)
        return
    hil_session = _open(config)
    if _in_parallel(config):
        from harness.pytest_plugin import xdist as parallel

        parallel.limit_workers(config, hil_session)
        controller = config.stash[_STATE].controller = parallel.Controller(hil_session)
        config.pluginmanager.register(controller)
    _catch_signals(config.stash[_STATE])


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Say how many processes `-n auto` means: one for each board."""
    if not value_of(config, "--device"):
        return None
    from harness.pytest_plugin.xdist import how_many

    return how_many(_open(config))


def _in_parallel(config: pytest.Config) -> bool:
    """Whether this process only hands out the cases, to workers of pytest-xdist."""
    return getattr(config.option, "dist", "no") != "no" and not config.option.collectonly


def _open(config: pytest.Config) -> Session:
    """Find the boards of `--device` and the baseline, once."""
    state = config.stash[_STATE]
    if state.session is not None:
        return state.session
    from harness.config.pick import Wish
    from harness.errors import HilError
    from harness.farm.lab_access import LabAccess
    from harness.run.session import Session

    try:
        options = chosen_options(config)
        axis, tolerance, budget = (value_of(config, f"--hil-{name}") for name in ("axis", "tolerance", "budget"))
        state.wish = Wish.read(axis, tolerance, budget)
        state.session = Session.build(options, LabAccess.of(options))
        baseline, limits = value_of(config, "--hil-baseline"), value_of(config, "--hil-fail-on")
        if baseline is not None or limits is not None:
            from harness.pytest_plugin.gate import Judge

            state.judge = Judge.build(baseline, limits, options.results_dir)
    except HilError as error:
        raise pytest.UsageError(printable(str(error))) from error
    return state.session


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the signals back."""
    for number, handler in config.stash[_STATE].signal_handlers.items():
        signal.signal(number, handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which boards are used, and that an emulator is one."""
    state = config.stash[_STATE]
    if state.session is None:
        return []
    return [printable(line) for line in (*state.session.header(), *(f"hil: {text}" for text in clashes(state.flags)))]


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Say which boards there are no images for, before the others take their time."""
    if config.stash[_STATE].session is None:
        return []
    from harness.pytest_plugin.items import without_images

    return [printable(f"hil: {line}") for line in without_images(items)]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect suites."""
    if not is_yaml(file_path):
        return None
    config, state = parent.config, parent.config.stash[_STATE]
    if not is_suite(file_path) and not (parent.session.isinitpath(file_path) and state.session):
        return None
    from harness.pytest_plugin.items import SuiteFile, shortest

    if state.session is None:
        state.unasked.append(shortest(file_path))
        return None
    from harness.pytest_plugin.progress import watch_terminal

    file: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
    file.hil_session, file.watch = state.session, lambda name: watch_terminal(config, name, state.stopped)
    return file


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `board` once for each target, if there are several."""
    hil_session = metafunc.config.stash[_STATE].session
    if hil_session and len(hil_session.targets) > 1 and "board" in metafunc.fixturenames:
        ids = [target.name for target in hil_session.targets]
        metafunc.parametrize("board", hil_session.targets, indirect=True, ids=ids, scope="session")


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest) -> Board:
    """The open board of `--device`: flash(image), reset(), link(), read_memory(address, size)."""
    hil_session = request.config.stash[_STATE].session
    if hil_session is None:
        pytest.skip("needs a board: say which, for example --device nano33")
    return hil_session.boards.any_board(getattr(request, "param", hil_session.targets[0]))


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Keep the suites' items of one device together; everything else stays where it was."""
    hil_session = config.stash[_STATE].session
    if hil_session is None:
        return
    from harness.pytest_plugin.items import in_order

    in_order(items, hil_session)
    if hasattr(config, "workerinput"):
        from harness.pytest_plugin.xdist import arrange

        arrange(items, config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the case's row to its report, which also carries it from xdist's workers."""
    report = yield
    row: Any = getattr(item, "row", None)
    if report.when == "call" and row is not None:
        from harness.pytest_plugin.items import entry_of

        entry = entry_of(item.hil_session, row)
        entry |= {name: getattr(item, name) for name in ("name", "unchecked", "counter", "unbuilt")}
        vars(report)["hil"] = entry
    return report


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Let go of the boards and write the tables, also after Ctrl-C; then hold the run against its baseline.

    As the innermost wrapper it goes on after pytest-xdist's workers have ended, and before the summary is printed.
    """
    config, state = session.config, session.config.stash[_STATE]
    if state.session is None:
        return (yield)
    from harness.errors import StoreError

    state.ending = True
    try:
        state.session.close()
        yield
        if state.controller is not None:
            state.controller.finish()
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and not hasattr(config, "workerinput"):
            failed = _finish(reporter, state, state.session)
            if session.exitstatus == pytest.ExitCode.OK and failed:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if session.exitstatus == pytest.ExitCode.OK and state.stopped.is_set():
                session.exitstatus = pytest.ExitCode.INTERRUPTED
    except StoreError as error:
        pytest.exit(printable(str(error)), returncode=1)
    return None


def _finish(reporter: pytest.TerminalReporter, state: _State, hil_session: Session) -> bool:
    """Hold what was measured against the baseline and publish it; return whether that makes the run fail.

    Raises:
        StoreError: what came of the limits can't be written down.
    """
    from harness.pytest_plugin.summary import across, all_skipped, folders_of, found_cases, picked
    from harness.store.publish import publish_to

    # Workers that were interrupted went on for a moment after the controller had stopped listening to them.
    found = found_cases(reporter, hil_session, state.controller if state.stopped.is_set() else None)
    state.found = found
    folders = [] if state.stopped.is_set() else [Path(folder) for folder in folders_of(found)]
    if state.judge is not None:  # before it is published: a run in the store never changes
        state.judge.compare(folders)
    state.across = [line for folder in folders for line in across(folder)]
    state.picked = [line for folder in folders for line in picked(folder, state.wish)]
    store = hil_session.lab.farm.store
    state.published = [done for folder in folders if (done := publish_to(folder, store)) is not None]
    regressed = state.judge is not None and state.judge.regressed
    incomplete = all_skipped(found) or any(entry["unbuilt"] for entry in found)
    return incomplete or regressed or any(done.failed for done in state.published)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables."""
    write, state = terminalreporter.write_line, config.stash[_STATE]
    for path in state.unasked:
        write(f"{path} was not run: say which board, for example {device_flag(state.flags)} nano33")
    if state.found:
        from harness.pytest_plugin.summary import write_summary

        asked = value_of(config, "--show-estimated-time")
        said = state.published, state.judge, state.picked, state.across
        write_summary(terminalreporter, state.found, *said, estimated_time=asked)
        if state.stopped.is_set():
            write("The run was interrupted. The boards are released; what had finished is in the results.")


def _catch_signals(state: _State) -> None:
    """End the session at SIGINT, SIGTERM and SIGHUP alike: boards released, tables written, exit code 2.

    The event is for a signal that comes while an emulator's callback runs, where an exception would be lost, or while
    the session ends anyway, which only a second one breaks off.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(_number: int, _frame: object) -> None:
        again = state.stopped.is_set()
        state.stopped.set()
        if again or not state.ending:
            raise KeyboardInterrupt

    state.signal_handlers = on_stop(stop)
