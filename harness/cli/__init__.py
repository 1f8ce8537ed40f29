"""The `hil` command. A command imports what it needs when it runs, so that `hil --help` is quick."""

from __future__ import annotations

import traceback
from typing import Any

import click

from harness.cli import boards, farm, models
from harness.cli import results as outcomes
from harness.cli.nightly import nightly
from harness.cli.worker import worker
from harness.errors import HilError
from harness.text.terminal import INTERNAL_ERROR, harmless_output

_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended


class _Group(click.Group):
    """Turns what the harness reports into one message; the traceback comes with -v."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with harmless_output():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HilError as error:
            if ctx.params["verbose"]:
                click.echo(traceback.format_exc(), err=True, nl=False)
            else:
                click.echo(f"hil: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("hil: interrupted", err=True)
            ctx.exit(_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is no outcome of the command)
            click.echo(traceback.format_exc(), err=True, nl=False)
            click.echo(f"hil: internal error: {type(error).__name__}: {error}", err=True)
            ctx.exit(INTERNAL_ERROR)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="tinyml-hil", prog_name="hil")
def main(verbose: bool) -> None:  # noqa: FBT001 (click passes it)
    """Benchmark optimized TinyML models on real and emulated boards.

    The main job is a pytest run: pytest suites/ --device nano33

    A command ends with 0 if all is well, 1 if not and it says why, 2 if the command line is wrong, 3 for an internal
    error or if its output can't be written, 130 if it was interrupted. What else some end with is in their --help.
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
    farm.farm,
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
    nightly,
    worker,
):
    main.add_command(_command)
