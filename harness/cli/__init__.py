"""The `hil` command. A command imports what it needs when it runs, so that `hil --help` is quick."""

from __future__ import annotations

from typing import Any

import click

from harness.cli import boards, farm, models
from harness.cli import results as outcomes
from harness.errors import HilError

_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended


class _Group(click.Group):
    """Turns what the harness reports into one message; the traceback comes with -v."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HilError as error:
            if ctx.params["verbose"]:
                raise
            click.echo(f"hil: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("hil: interrupted", err=True)
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="tinyml-hil", prog_name="hil")
def main(verbose: bool) -> None:  # noqa: FBT001 (click passes it)
    """Benchmark optimized TinyML models on real and emulated boards.

    The main job is a pytest run: pytest suites/ --device nano33
    """


for _command in (
    boards.crosscheck,
    boards.devices,
    boards.doctor,
    boards.flash,
    boards.init,
    boards.renode,
    farm.health,
    farm.leases,
    farm.nightly,
    farm.quarantine,
    farm.release,
    farm.reserve,
    farm.serve,
    models.build,
    models.profile,
    models.reference,
    models.search,
    outcomes.battery,
    outcomes.compare,
    outcomes.report,
    outcomes.results,
    outcomes.trace,
):
    main.add_command(_command)
