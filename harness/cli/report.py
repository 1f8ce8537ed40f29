"""`hil report`: the page and the Markdown summary of one run or several."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import READ_RESULTS


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN ...]")
@click.option("--html", type=click.Path(path_type=Path), metavar="DIR|FILE", help="The page; index.html in a folder.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE|-", help="A summary for a job's page.")
@click.option("--baseline", metavar="NAME", help="Hold the newest run against this, as `hil compare --baseline` does.")
@READ_RESULTS
def report(
    runs: tuple[str, ...], html: Path | None, markdown: Path | None, baseline: str | None, results_dir: Path
) -> None:
    """Make a page of what RUN (default: latest) says: who wins, by how much, how sure that is.

    \b
    hil report                               report.html in the latest run's folder
    hil report results --html out/           the newest run of each suite, and its history over all runs
    hil report --markdown - --baseline main >> "$GITHUB_STEP_SUMMARY"

    The page is one file that needs no network. See docs/report.md.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.report import Wish
    from harness.commands.report import report as write

    write(Wish(runs, html, markdown, baseline, results_dir))
