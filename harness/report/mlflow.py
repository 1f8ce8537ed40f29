"""Cases as runs of MLflow, once each: an experiment for each suite, a parent for each run with its report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.errors import ConfigError, StoreError
from harness.report.content import compose
from harness.report.page import render_page
from harness.schema import CASES, SIMULATED
from harness.store.place import place_of
from harness.store.results import plain_rows
from harness.store.runs import read_run_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.column import Column
    from harness.store.results import Results

#: What finds a case again: the name of its run and its number there, or its run and suite for the parent.
_KEY: Final = "hil.case"
_STATUS: Final = {"complete": "FINISHED", "failed": "FAILED", "skipped": "KILLED"}
_TAGS: Final = ("run", "status", "reason", "verdict", "verdict_reason", "started_utc", "duration_s")
#: MLflow takes no more of a value.
_LONGEST: Final = 500


@dataclass(frozen=True)
class Logged:
    """How many cases were logged, and how many were there already."""

    new: int
    there: int


def log_cases(results: Results, uri: str, say: Callable[[str], None] = lambda _text: None) -> Logged:
    """Log cases as runs of MLflow; what is there already isn't logged again.

    Parameters are what a case was measured with, images' hashes among them; metrics what was measured. Ticks are called
    after what they count, and simulated energy simulated, since MLflow charts by name alone.

    Args:
        results: one run or several.
        uri: of MLflow's tracking server or store.
        say: told what is being logged.

    Raises:
        ConfigError: MLflow isn't installed.
        StoreError: the store can't be reached, or refuses.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # of the user's code MLflow needs to know nothing
    try:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 (an extra, and seconds to import)
        from mlflow.tracking import MlflowClient  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("--mlflow needs the extra `mlflow`: pip install 'tinyml-hil[mlflow]'") from error
    try:
        return _log(results, MlflowClient(tracking_uri=uri), say)
    except (MlflowException, OSError) as error:
        raise StoreError(f"MLflow at {uri}: {error}") from error


def _log(results: Results, client: Any, say: Callable[[str], None]) -> Logged:
    new = there = 0
    for stored in results.stored:
        mine = results.of_run(stored.path.name)
        rows = plain_rows(mine.cases)
        page: str | None = None
        for suite in dict.fromkeys(row["suite"] for row in rows):
            say(f"{stored.path.name}: {suite}")
            experiment = _experiment(client, f"tinyml-hil/{suite}")
            parent = _known(client, experiment, f"{stored.path.name}/{suite}")
            if parent is None:
                page = render_page(compose(mine)) if page is None else page
                parent = _parent(client, experiment, stored.path.name, suite, page, read_run_file(stored.path))
            for row in (row for row in rows if row["suite"] == suite):
                key = f"{stored.path.name}/{row['case']}"
                if _known(client, experiment, key) is None:
                    _case(client, experiment, parent, key, row)
                    new += 1
                else:
                    there += 1
    return Logged(new, there)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _known(client: Any, experiment: str, key: str) -> str | None:
    """Return the id of the run with this key, if it was logged to its end; what wasn't is removed."""
    found = None
    for run in client.search_runs([experiment], f"tags.`{_KEY}` = '{key}'"):
        if run.info.status == "RUNNING":
            client.delete_run(run.info.run_id)
        else:
            found = str(run.info.run_id)
    return found


def _parent(client: Any, experiment: str, name: str, suite: str, page: str, about: dict[str, Any]) -> str:
    run = client.create_run(experiment, run_name=name, tags={_KEY: f"{name}/{suite}"}).info.run_id
    for key in ("harness_version", "git_revision", "config_sha256", "python", "platform"):
        if about.get(key) is not None:
            client.log_param(run, key, str(about[key])[:_LONGEST])
    client.log_text(run, page, "report.html")
    client.log_dict(run, about, "run.json")
    client.set_terminated(run)
    return str(run)


def _case(client: Any, experiment: str, parent: str, key: str, row: dict[str, Any]) -> None:
    from mlflow.entities import Metric, Param  # noqa: PLC0415 (as above)

    began = int(row["started_utc"].timestamp() * 1000)
    known = {column: row[column.name] for column in CASES if row[column.name] is not None}
    tags, metrics, params = {}, [], []
    for column, value in known.items():
        if column.name in _TAGS:
            tags[f"hil.{column.name}"] = str(value)[:_LONGEST]
        elif column.numeric and (column.score or column.name.startswith(("flash_", "ram_"))):
            metrics.append(Metric(_called(column, row), float(value), began, 0))
        else:
            params.append(Param(column.name, str(value)[:_LONGEST]))
    name = f"{row['variant']} on {place_of(row)} ({row['backend']})"
    about = {_KEY: key, "mlflow.parentRunId": parent, **tags}
    run = client.create_run(experiment, start_time=began, run_name=name, tags=about).info.run_id
    client.log_batch(run, metrics=metrics, params=params)
    client.set_terminated(run, _STATUS[row["status"]], began + int(1000 * (row["duration_s"] or 0)))


def _called(column: Column, row: dict[str, Any]) -> str:
    """Return a metric's name, which no other kind of figure has."""
    if column.unit == "ticks":
        return column.name.replace("ticks", row["counter"].replace(" ", "_"))
    simulated = column.unit in ("uJ", "1/J", "uA") and row["power_source"] == SIMULATED
    return f"simulated_{column.name}" if simulated else column.name
