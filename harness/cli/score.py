"""`hil score`: a metric computed anew from a run's outputs, without the board."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import AS_JSON, FILE, READ_RESULTS, locate
from harness.cli.tables import print_table, styled_width
from harness.errors import StoreError
from harness.text.terminal import echo_styled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.report.pairing import Side

#: The columns that `--json` has of a case.
_SHOWN = (
    *("suite", "variant", "device", "metric", "samples"),
    *(f"{name}{end}" for name in ("score", "accuracy") for end in ("", "_low", "_high")),
    "score_words",
)


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--metric", "name", required=True, metavar="NAME", help="A metric of docs/metrics.md, or module:function."
)
@click.option("--set", "parameters", multiple=True, metavar="KEY=VALUE", help="A parameter, like k=3.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option("--suite", type=FILE, metavar="FILE", help="Where the suite is now, if its file was moved.")
@AS_JSON
@READ_RESULTS
def score(
    run: str,
    name: str,
    parameters: tuple[str, ...],
    variants: tuple[str, ...],
    suite: Path | None,
    as_json: bool,  # noqa: FBT001 (click passes it)
    results_dir: Path,
) -> None:
    """Score the outputs of RUN (default: latest) by another metric, and compare variants with their baselines.

    \b
    hil score --metric topk --set k=3
    hil score RUN --metric binary --set 'threshold={choose: youden, first: 200}'
    hil score RUN --metric mymetrics:loss

    Labels are those in the results. A metric that looks at inputs or at a reference reads them from the suite's file,
    and refuses them if they are not those of the run. A function of your own is run: results alone never make that
    happen. Ends with 0 if at least one case was scored.
    """  # noqa: D301 (click reads the \b)
    from harness.config.metric import MetricChoice
    from harness.report.rescore import rescore
    from harness.report.text import plain_comparison, render_comparison
    from harness.store import find_run, load_results

    choice = MetricChoice(name=name, parameters=dict(map(_parameter, parameters)))
    results = load_results(find_run(locate(run, results_dir)), variant=variants or None)
    found = rescore(results, choice, suite)
    for problem in dict.fromkeys(found.problems):
        click.echo(problem, err=True)
    if not found.sides:
        raise StoreError(f"{run}: no case could be scored by {choice}")
    if as_json:
        cases = [{key: side.row[key] for key in _SHOWN if side.row[key] is not None} for side in found.sides]
        click.echo(json.dumps({"cases": cases, "comparison": plain_comparison(found.comparison)}, indent=2))
        return
    _show(found.sides)
    if found.comparison.rows:
        width, color = styled_width()
        echo_styled(render_comparison(found.comparison, width=width, color=color))


def _parameter(text: str) -> tuple[str, Any]:
    """Return the name and the value of KEY=VALUE, which is YAML."""
    import yaml

    key, equals, value = text.partition("=")
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        equals = ""
    if not equals:
        raise click.UsageError(f"--set {text}: write a name and a value, like k=3")
    return key, found


def _show(sides: Sequence[Side]) -> None:
    from harness.report import numbers
    from harness.report.metrics import metric_of, scored_by
    from harness.store.place import place_of

    row = sides[0].row
    about = metric_of(scored_by(row["metric"]), row["metric"])
    lines = []
    for row in (side.row for side in sides):
        value, low, high = (row[f"{about.column}{end}"] for end in ("", "_low", "_high"))
        ends = None if low is None else numbers.scores(low, high, about.unit, row["samples"])
        shown = numbers.score(value, about.unit, row["samples"])
        lines.append([row["suite"], place_of(row), row["variant"], shown, ends, row["score_words"]])
    title = f"{about.called or about.name} of run {row['run']}, from its outputs"
    print_table(title, ("suite", "place", "variant", "value", "95 % interval", "in words"), lines, ("value",))
