"""What many tests need: the committed images, the suite that goes with them, and a board."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.attached import AttachedTwin
from harness.boards.opening import open_board
from harness.build.toolchain import find_toolchain
from harness.config import Lab, load_suite
from harness.errors import ConfigError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from skipped import pytest_terminal_summary  # noqa: F401 (the last section of what is said)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
#: Modules whose tests share what is slow to make: one process of pytest-xdist runs them all, and begins with them.
TOGETHER = {
    "tests/engine/test_engine_speed.py",
    "tests/report/test_browser.py",
    "tests/report/test_page.py",
    "tests/run/test_fault_table.py",
}
NO_HYPOTHESIS = "-p no:hypothesispytest"
#: What the user says of Renode, for the tests that run on it.
HIL_RENODE = pytest.StashKey[str | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the surroundings of every test the same on every computer, and in every process of pytest-xdist.

    An installed Renode is hidden, for the sake of `--backend auto`. What a test starts is not told that it was started
    by a worker, or that coverage is measured, which would make it slower. Nor does a pytest that it starts load the
    plugin of Hypothesis, should that be installed: it takes seconds, and no test of ours uses it.
    """
    # Children would ignore, too, what a shell's background job or `nohup` ignores.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    config.stash[HIL_RENODE] = os.environ.get("HIL_RENODE")
    os.environ["HIL_RENODE"] = "off"
    os.environ["PYTEST_ADDOPTS"] = f"{os.environ.get('PYTEST_ADDOPTS', '')} {NO_HYPOTHESIS}"
    if config.getoption("dist", "no") == "no":  # runs tests itself, and starts no workers
        _hide("PYTEST_XDIST_", "COVERAGE_PROCESS_")


def _hide(*beginnings: str) -> None:
    for name in [name for name in os.environ if name.startswith(beginnings)]:
        del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hand out tests one by one, but for those that belong together.

    --dist=loadgroup would, but with pytest 9.2 it silently groups nothing (pytest-xdist issue 1386).
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return module if module in TOGETHER else nodeid

    return OneByOne(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Leave slow tests out of the coverage, which would nearly double the time that they take."""
    measuring = sys.modules["coverage"].Coverage.current() if "coverage" in sys.modules else None
    if measuring is None or item.get_closest_marker("slow") is None:
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()
        _hide("COVERAGE_PROCESS_")  # which that has set again


@pytest.fixture
def users_renode(pytestconfig, monkeypatch):
    """Let Renode be found as outside of the tests."""
    said = pytestconfig.stash[HIL_RENODE]
    if said is None:
        monkeypatch.delenv("HIL_RENODE")
    else:
        monkeypatch.setenv("HIL_RENODE", said)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def prebuilt() -> Path:
    return ROOT / "firmware" / "prebuilt" / "nano33"


@pytest.fixture(scope="session")
def suite():
    return load_suite(ROOT / "suites" / "fashion_mnist.yaml")


@pytest.fixture(scope="session")
def nano33():
    return Lab.load(None).select(["nano33"])[0]


@pytest.fixture(scope="session")
def toolchain():
    """The cross compiler; without one the test is skipped, and says how to install it."""
    try:
        return find_toolchain()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kept_objects(tmp_path_factory, pytestconfig):
    """A folder of compiled kernels that all tests of a run share, in every process: most of the time of a build."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if hasattr(pytestconfig, "workerinput") else folder) / "kept-objects"


@pytest.fixture(autouse=True)
def own_leases(tmp_path_factory, monkeypatch):
    """Runs of other users of this computer must not hold the boards that a test makes up."""
    monkeypatch.setenv("HIL_LEASES", str(tmp_path_factory.getbasetemp() / "leases"))


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory, monkeypatch):
    """What happens to boards in a test is no business of the user's own farm."""
    monkeypatch.setenv("HIL_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def image(prebuilt):
    return load_image(prebuilt / "fashion_mnist_int8.elf")


@pytest.fixture
def board(nano33):
    with open_board(nano33, "virtual") as opened:
        yield opened


@pytest.fixture
def patient(monkeypatch):
    """Wait longer for what runs already: a busy computer is late, and a board that says nothing is flashed again."""
    monkeypatch.setattr(Link.ask, "__defaults__", (60.0,))


@pytest.fixture
def patient_check(monkeypatch):
    """Let a health check ask nothing a second time only because this computer is busy."""
    monkeypatch.setattr("harness.health.check.Timing", partial(Timing, boot=60.0, reply=60.0))


@pytest.fixture
def attached(monkeypatch, tmp_path):
    """Return a virtual board that passes for a real one, behind a probe and a USB port."""
    made = AttachedTwin(monkeypatch, tmp_path)
    with made.twin:
        yield made
