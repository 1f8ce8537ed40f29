"""Suite files as pytest sees them: a file that holds one item per variant and device."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.config import load_suite
from harness.errors import HilError, NoImageError, QuarantinedError, StoreError
from harness.schema import CASE_COLUMNS
from harness.text.escape import printable, xml_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.config import Suite, Variant
    from harness.run.progress import Watch
    from harness.run.session import Session
    from harness.run.targets import Target

#: pytest's "tests failed"; what a run that can't write its results ends with.
_STORE_EXIT_CODE = 1


class SuiteFile(pytest.File):
    """A suite. Its items are ordered by target, so that one board flashes its variants one after another."""

    hil_session: Session
    watch: Callable[[str], Watch]

    def collect(self) -> Iterator[VariantItem]:
        """Yield an item for each target and variant.

        Raises:
            ConfigError: the suite file is wrong, or the command line names a variant that it doesn't have.
        """
        suite = load_suite(shortest(self.path))
        for argument in self.config.args:
            file, _, named = argument.partition("::")
            if named and (self.config.invocation_params.dir / file).resolve() == self.path.resolve():
                suite.variant(named.partition("[")[0])
        self.hil_session.suites[suite.path] = suite
        several = len(self.hil_session.targets) > 1
        for target in self.hil_session.targets:
            for variant in suite.variants:
                name = f"{variant.name}[{target.name}]" if several else variant.name
                item: VariantItem = VariantItem.from_parent(self, name=name)
                item.suite, item.variant, item.target = suite, variant, target
                item.hil_session, item.watch = self.hil_session, self.watch
                yield item

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002 (pytest's)
        """Show a mistake in the file as a message, without a traceback."""
        return _message(self, excinfo) or super().repr_failure(excinfo)


class VariantItem(pytest.Item):
    """One variant of a suite on one board, or on any board of a pool: one case of the results.

    Attributes:
        number: of the case in a run that several processes write; None in any other.
        unbuilt: whether it was skipped as no image has been built for its kind of board.
    """

    suite: Suite
    variant: Variant
    target: Target
    hil_session: Session
    watch: Callable[[str], Watch]
    number: int | None = None
    row: dict[str, Any] | None = None
    unchecked: tuple[str, ...] = ()
    counter: str | None = None
    unbuilt: bool = False

    def runtest(self) -> None:
        """Measure the case. A failed measurement and an exceeded limit fail the item; a full disk ends the session.

        It is skipped if its boards are in quarantine, or there is no image for their kind.
        """
        hil_session, before = self.hil_session, self.hil_session.record
        self.row, self.unchecked, self.counter = None, (), None  # pytest-rerunfailures runs an item again
        self.unbuilt = False
        watch = self.watch(self.name)
        try:
            self.row, limits = hil_session.measure(self.target, self.suite, self.variant, watch, self.number)
        except StoreError as error:
            pytest.exit(printable(str(error)), returncode=_STORE_EXIT_CODE)
        except (QuarantinedError, NoImageError) as error:
            self.unbuilt = isinstance(error, NoImageError) and not error.built
            pytest.skip(printable(str(error)))
        finally:
            watch.clear()
            if self.row is None and hil_session.record is not None and hil_session.record is not before:
                self.row = hil_session.record.row
            if self.row is not None:
                self.user_properties = properties(self.row)
            self.counter = hil_session.boards.counter_in_use(self.row["device"]) if self.row else None
        self.unchecked = limits.unchecked
        if limits.exceeded:
            pytest.fail("\n".join(limits.exceeded), pytrace=False)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what the harness reports as a message; the traceback comes with -v."""
        if isinstance(excinfo.value, HilError):  # its words can be a board's
            return _message(self, excinfo) or printable(str(super().repr_failure(excinfo, style)))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Point at the variant's line in the suite file."""
        return self.path, self.variant.line - 1, self.name


def properties(row: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Return what is known of a case, by column, as pytest's `--junitxml` takes it; what is missing has no property.

    Args:
        row: of the case.
    """
    known = [(name, value) for name in CASE_COLUMNS if (value := row.get(name)) is not None]
    return [("emulated", row["backend"] != "hardware"), *((name, _simple(value)) for name, value in known)]


def _simple(value: object) -> object:
    """Return a value as pytest-xdist can send it."""
    return value if type(value) in (bool, int, float) else xml_text(str(value))


def in_order(items: list[pytest.Item], hil_session: Session) -> None:
    """Keep the suites' items of one target together; everything else stays where it was."""
    rank = {target.name: number for number, target in enumerate(hil_session.targets)}
    places = [place for place, item in enumerate(items) if isinstance(item, VariantItem)]
    cases = sorted((item for item in items if isinstance(item, VariantItem)), key=lambda item: rank[item.target.name])
    for place, item in zip(places, cases, strict=True):
        items[place] = item


def without_images(items: list[pytest.Item]) -> list[str]:
    """Return a line for each kind of board that no image has been built for, with the command that builds them."""
    counts: Counter[str] = Counter()
    for item in items:
        if isinstance(item, VariantItem):
            try:
                item.suite.image_path(item.variant, item.target.devices[0].kind)
            except NoImageError as error:
                counts[str(error)] += not error.built
            except HilError:  # what else is wrong with it the case says
                continue
    return [f"{count} case{'s' * (count > 1)} will be skipped: {why}" for why, count in counts.items() if count]


def shortest(path: Path) -> Path:
    """Return a path as short as it can be said from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _message(node: pytest.Collector | pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> str | None:
    if isinstance(excinfo.value, HilError) and node.config.option.verbose < 1:
        return printable(str(excinfo.value))
    return None


def entry_of(hil_session: Session, row: dict[str, Any]) -> dict[str, Any]:
    """Put what the summary needs into plain types, which xdist can send."""
    folder = str(hil_session.run.path) if hil_session.run else None
    plain = {**row, "started_utc": str(row["started_utc"])}
    return {
        "row": plain,
        "folder": folder,
        "name": row["variant"],
        "unchecked": (),
        "counter": None,
        "unbuilt": False,
    }
