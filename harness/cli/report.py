"""`hil report`: the page and the Markdown summary of one run or several."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import click

from harness.cli.options import FILE, READ_RESULTS, SHOW_ESTIMATED_TIME, locate, wishes
from harness.errors import StoreError
from harness.text.terminal import echo_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.config.pick import Wish
    from harness.report.frame import Comparison
    from harness.store import Results


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN ...]")
@click.option("--html", type=FILE, metavar="DIR|FILE", help="The page; index.html in a folder.")
@click.option("--markdown", type=FILE, metavar="FILE|-", help="A summary for a job's page.")
@click.option("--baseline", metavar="NAME", help="Hold the newest run against this, as `hil compare --baseline` does.")
@SHOW_ESTIMATED_TIME
@READ_RESULTS
@wishes
def report(
    runs: tuple[str, ...],
    html: Path | None,
    markdown: Path | None,
    baseline: str | None,
    results_dir: Path,
    wish: Wish,
    *,
    estimated_time: bool,
) -> None:
    """Make a page of what RUN (default: latest) says: which variant to ship, why, and how sure that is.

    \b
    hil report                               report.html in the latest run's folder
    hil report results --html out/           the newest run of each suite, and its history over all runs
    hil report --markdown - --baseline main >> "$GITHUB_STEP_SUMMARY"

    The page is one file that needs no network. See docs/report.md.
    """  # noqa: D301 (click reads the \b)
    from harness.report.content import compose
    from harness.report.page import render_markdown, render_page

    results, left_out = load_runs([locate(run, results_dir) for run in runs or ("latest",)])
    if results.cases.empty:
        raise StoreError("there is nothing to report: no case was recorded in these runs")
    results, comparison = _against(results, baseline, results_dir)
    page = compose(results, baseline=comparison, left_out=left_out, wish=wish, estimated_time=estimated_time)
    if html is None and markdown is None:
        html = _newest(results) / "report.html"
    if html is not None:
        file = html if html.suffix.lower() in (".html", ".htm") else html / "index.html"
        _write(file, render_page(page))
        click.echo(f"Report: {file}", err=str(markdown) == "-")
    if str(markdown) == "-":
        echo_data(render_markdown(page))
    elif markdown is not None:
        _write(markdown, render_markdown(page))
        click.echo(f"Summary: {markdown}")


def load_runs(folders: Sequence[Path]) -> tuple[Results, list[str]]:
    """Return the runs, and what is to be said of those that can't be read; that is said on standard error, too."""
    from harness.store import load_results

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = load_results(folders)
    left_out = []
    for warning in caught:
        text = str(warning.message)
        if text.startswith("left out: "):
            left_out.append(text.removeprefix("left out: "))
            click.echo(f"hil: {text}", err=True)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return results, left_out


def _against(results: Results, baseline: str | None, results_dir: Path) -> tuple[Results, Comparison | None]:
    """Hold the newest run against the baseline; a baseline of several nights also becomes its history."""
    from harness.report.baseline import find_baseline
    from harness.report.compare import compare_history, compare_runs
    from harness.store import load_results
    from harness.store.results import join_results

    if baseline is None:
        return results, None
    folder = _newest(results)
    current = load_results(folder)
    found = find_baseline(baseline, results_dir, folder)
    if found.nights is None:
        return results, compare_runs(found.results, current)
    return join_results(found.results, results), compare_history(found.results, current)[0]


def _newest(results: Results) -> Path:
    newest = results.cases.sort_values("started_utc")["run"].iloc[-1]
    return next(run.path for run in results.stored if run.path.name == newest)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{file} can't be written: {error.strerror}") from error
