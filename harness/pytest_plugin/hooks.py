"""The pytest plugin: `pytest suites/ --device nano33`.

pytest loads it in every run on a machine that has the package, so nothing slow is imported before
`--device` asks for it.
"""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.options import add_options, chosen_options, clashes, value_of, without_options
from harness.run.signals import on_stop
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.boards.base import Board
    from harness.pytest_plugin.gate import Judge
    from harness.pytest_plugin.options import Flags
    from harness.pytest_plugin.xdist import Controller
    from harness.run.session import Session
    from harness.store.publish import Published

_SESSION = pytest.StashKey["Session"]()
_UNASKED = pytest.StashKey[list[Path]]()
_SIGNALS = pytest.StashKey[dict[int, Any]]()
_JUDGE: pytest.StashKey[Judge] = pytest.StashKey()
_CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()
_PUBLISHED: pytest.StashKey[list[Published]] = pytest.StashKey()
_STOPPED = pytest.StashKey[threading.Event]()
_ENDING = pytest.StashKey[bool]()
_FLAGS: pytest.StashKey[Flags] = pytest.StashKey()
_YAML = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options of the harness, where a conftest.py loads this plugin."""
    if pluginmanager._conftest_plugins:  # noqa: SLF001 (pytest has no other way to ask)
        config: Any = pluginmanager.get_plugin("pytestconfig")
        config.stash[_FLAGS] = add_options(parser)


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
        early_config.stash[_FLAGS] = add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Find the boards, or say which suites lack one."""
    config.stash[_UNASKED], config.stash[_STOPPED] = [], threading.Event()
    if not value_of(config, "--device"):
        _refuse_suites_without_device(config)
        return
    from harness.errors import HilError

    try:
        hil_session = _hil_session(config)
        baseline, limits = value_of(config, "--hil-baseline"), value_of(config, "--hil-fail-on")
        if baseline is not None or limits is not None:
            from harness.pytest_plugin.gate import Judge

            config.stash[_JUDGE] = Judge.build(baseline, limits, hil_session.options.results_dir)
    except HilError as error:
        raise pytest.UsageError(printable(str(error))) from error
    if _in_parallel(config):
        from harness.pytest_plugin import xdist as parallel

        parallel.limit_workers(config, hil_session)
        config.stash[_CONTROLLER] = parallel.Controller(hil_session)
        config.pluginmanager.register(config.stash[_CONTROLLER])
    _catch_signals(config)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Say how many processes `-n auto` means: one for each board."""
    if not value_of(config, "--device"):
        return None
    from harness.errors import HilError
    from harness.pytest_plugin.xdist import how_many

    try:
        return how_many(_hil_session(config))
    except HilError as error:
        raise pytest.UsageError(printable(str(error))) from error


def _in_parallel(config: pytest.Config) -> bool:
    """Whether this process only hands out the cases, to workers of pytest-xdist."""
    return getattr(config.option, "dist", "no") != "no" and not config.option.collectonly


def _hil_session(config: pytest.Config) -> Session:
    """Return the session with the boards of `--device`; pytest's own is called `session`."""
    if _SESSION not in config.stash:
        from harness.farm.lab_access import LabAccess
        from harness.run.session import Session

        options = chosen_options(config)
        config.stash[_SESSION] = Session.build(options, LabAccess.of(options))
    return config.stash[_SESSION]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the signals back."""
    for number, handler in config.stash.get(_SIGNALS, {}).items():
        signal.signal(number, handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which boards are used, and that an emulator is one."""
    hil_session = config.stash.get(_SESSION, None)
    lines = [*hil_session.header(), *(f"hil: {text}" for text in clashes(config.stash[_FLAGS]))] if hil_session else []
    return [printable(line) for line in lines]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect suites."""
    if file_path.suffix not in _YAML:
        return None
    named = parent.session.isinitpath(file_path)
    hil_session = parent.config.stash.get(_SESSION, None)
    if not _is_suite(file_path) and not (named and hil_session):
        return None
    if hil_session is None:
        from harness.pytest_plugin.items import shortest

        parent.config.stash[_UNASKED].append(shortest(file_path))
        return None
    from harness.pytest_plugin.items import SuiteFile
    from harness.pytest_plugin.progress import watch_terminal

    config = parent.config
    stopped = config.stash[_STOPPED]
    return SuiteFile.build(parent, file_path, hil_session, lambda name: watch_terminal(config, name, stopped))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `board` once for each target, if there are several."""
    hil_session = metafunc.config.stash.get(_SESSION, None)
    if hil_session and len(hil_session.targets) > 1 and "board" in metafunc.fixturenames:
        ids = [target.name for target in hil_session.targets]
        metafunc.parametrize("board", hil_session.targets, indirect=True, ids=ids, scope="session")


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest) -> Board:
    """The open board of `--device`: flash(image), reset(), link(), read_memory(address, size)."""
    hil_session = request.config.stash.get(_SESSION, None)
    if hil_session is None:
        pytest.skip("needs a board: say which, for example --device nano33")
    return hil_session.boards.any_board(getattr(request, "param", hil_session.targets[0]))


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Keep the suites' items of one device together; everything else stays where it was."""
    hil_session = config.stash.get(_SESSION, None)
    if hil_session is None:
        return
    from harness.pytest_plugin.items import in_order

    in_order(items, hil_session)
    if hasattr(config, "workerinput"):
        from harness.pytest_plugin.xdist import arrange

        arrange(items, config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the case's row to its report, which also carries it from xdist's workers."""
    report = yield
    row = getattr(item, "row", None)
    if report.when == "call" and row is not None:
        from harness.pytest_plugin.summary import entry_of

        entry = entry_of(item.config.stash[_SESSION], row)
        entry |= {name: getattr(item, name) for name in ("name", "unchecked", "counter")}
        vars(report)["hil"] = entry
    return report


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Let go of the boards and write the tables, also after Ctrl-C; then hold the run against its baseline.

    As the innermost wrapper it goes on after pytest-xdist's workers have ended, and before the summary is printed.
    """
    hil_session = session.config.stash.get(_SESSION, None)
    if hil_session is None:
        return (yield)
    from harness.errors import StoreError
    from harness.pytest_plugin.summary import folders_of, found_cases
    from harness.store.publish import publish_to

    config, controller = session.config, session.config.stash.get(_CONTROLLER, None)
    config.stash[_ENDING] = True
    try:
        hil_session.close()
        yield
        if controller is not None:
            controller.finish()
    except StoreError as error:
        pytest.exit(printable(str(error)), returncode=1)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return None
    found = found_cases(reporter, hil_session, _interrupted(config))
    folders = [Path(folder) for folder in folders_of(found) if not config.stash[_STOPPED].is_set()]
    judge = config.stash.get(_JUDGE, None)
    if judge is not None:  # before it is published: a run in the store never changes
        try:
            judge.compare(list(map(str, folders)))
        except StoreError as error:
            pytest.exit(printable(str(error)), returncode=1)
    config.stash[_PUBLISHED] = [
        done for folder in folders if (done := publish_to(folder, hil_session.lab.farm.store)) is not None
    ]
    nothing = bool(found) and all(entry["row"]["status"] == "skipped" for entry in found)
    unpublished = any(done.failed for done in config.stash[_PUBLISHED])
    if session.exitstatus == pytest.ExitCode.OK and (nothing or unpublished or (judge is not None and judge.regressed)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if session.exitstatus == pytest.ExitCode.OK and config.stash[_STOPPED].is_set():
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables."""
    write = terminalreporter.write_line
    for path in config.stash[_UNASKED]:
        write(f"{path} was not run: say which board, for example {_device_flag(config)} nano33")
    hil_session = config.stash.get(_SESSION, None)
    if hil_session is None:
        return
    from harness.pytest_plugin.summary import found_cases, write_judgement, write_summary

    found = found_cases(terminalreporter, hil_session, _interrupted(config))
    if not found:
        return
    write_summary(terminalreporter, found)
    for done in config.stash.get(_PUBLISHED, ()):
        write(printable(done.line))
    if all(entry["row"]["status"] == "skipped" for entry in found):
        write("Nothing was measured: every board is in quarantine.")
    write_judgement(terminalreporter, config.stash.get(_JUDGE, None))
    if config.stash[_STOPPED].is_set():
        write("The run was interrupted. The boards are released; what had finished is in the results.")


def _interrupted(config: pytest.Config) -> Controller | None:
    """Return the controller of workers that went on for a moment after it had stopped listening to them."""
    return config.stash.get(_CONTROLLER, None) if config.stash[_STOPPED].is_set() else None


def _refuse_suites_without_device(config: pytest.Config) -> None:
    """A suite that was named needs a board; one that merely lies in a folder is mentioned at the end."""
    for argument in config.args:
        path = config.invocation_params.dir / argument.split("::")[0]
        if path.suffix in _YAML and _is_suite(path):
            from harness.config import Lab, find_lab
            from harness.errors import HilError

            folders = [config.invocation_params.dir, config.rootpath]
            try:
                known = Lab.load(find_lab(value_of(config, "--lab"), folders)).known()
            except HilError as error:
                known = str(error)
            words = [
                f"{argument}: say which board: {_device_flag(config)} nano33",
                *clashes(config.stash[_FLAGS]),
                known,
            ]
            raise pytest.UsageError(printable("\n".join(words)))


def _device_flag(config: pytest.Config) -> str:
    """Return what `--device` is called here."""
    return config.stash[_FLAGS]["--device"] or "--device"


def _is_suite(path: Path) -> bool:
    """Tell a suite from any other YAML file without parsing it: it has the keys task and variants."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return all(re.search(key, content, re.MULTILINE) for key in (rb"^task\s*:", rb"^variants\s*:"))


def _catch_signals(config: pytest.Config) -> None:
    """End the session at SIGINT, SIGTERM and SIGHUP alike: boards released, tables written, exit code 2.

    The event is for a signal that comes while an emulator's callback runs, where an exception would be lost, or while
    the session ends anyway, which only a second one breaks off.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    stopped = config.stash[_STOPPED]

    def stop(_number: int, _frame: object) -> None:
        again = stopped.is_set()
        stopped.set()
        if again or not config.stash.get(_ENDING, False):
            raise KeyboardInterrupt

    config.stash[_SIGNALS] = on_stop(stop)
