"""The `hil` command: a table of its commands, each of which is a module here that is imported when it is called."""

from __future__ import annotations

import traceback
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final

import click

from harness.errors import HilError
from harness.text.terminal import INTERNAL_ERROR, harmless_output

#: The commands, with what `hil --help` says of each: it imports none of them, which would take a second. `hil NAME` is
#: the click command `NAME` in `harness/cli/NAME.py` (`try_` for the keyword), whose docstring begins with the same
#: sentence.
COMMANDS: Final = {
    "battery": "Estimate how long a battery lasts with each variant of RUN (default: results/latest).",
    "build": "Make a firmware image of a model, and print what it takes of the board.",
    "calibrate": "Say by how much the costs that estimates of cycles count are off on DEVICE.",
    "compare": "Say what differs, by how much, and whether it is real.",
    "crosscheck": "Run suites of DEVICE on two backends, and compare predictions, outputs, instructions and RAM.",
    "devices": "List the configured devices, the kinds of boards, and what is attached; or add what is new.",
    "doctor": "Check everything that the harness needs, a line each, with the remedy.",
    "farm": "Set up a farm of several computers (docs/farm.md).",
    "flash": "Flash IMAGE (an ELF file), check it, and say what runs.",
    "health": "Show how well the boards work, and why some are not used.",
    "init": "Start a lab of your own in DIR (default: here): devices.yaml, a first suite, .gitignore.",
    "leases": "Show who uses which board of this computer, since when, and which are free.",
    "nightly": "Run what FILE (default: nightly.yaml) says on the farm, within its budget, and report.",
    "profile": "Show which layers of IMAGE an inference spends its cycles or instructions in.",
    "quarantine": "Take DEVICE out of use until somebody releases it.",
    "reference": "Save what MODEL.tflite gives on all inputs of SUITE, to hold boards against it.",
    "release": "Take DEVICE back into use.",
    "renode": "Renode, the emulator behind `--backend renode`.",
    "report": "Make a page of what RUN (default: latest) says: which variant to ship, why, and how sure that is.",
    "reserve": "Reserve boards that match every SELECTOR (device, kind or tag) for a span of time.",
    "results": "List the runs in a results folder; show, recover, tag or export one.",
    "score": "Score the outputs of RUN (default: latest) by another metric, and compare variants with their baselines.",
    "search": "Search the architectures that SPACE (a YAML file) lists, with the board in the loop.",
    "site": "Write web pages about boards, who has them, health, reservations, nights and runs into DIR.",
    "try": "Build MODEL.tflite, flash it, and measure it on random inputs: flash, RAM, time, layers.",
    "trace": "Compute energy from FILE: a CSV trace taken elsewhere, or a window in the power folder of a run.",
    "worker": "Offer the boards of this computer to the scheduler at ADDRESS, like tls://lab:8786.",
}
#: What commands end with when an error keeps them from a verdict, if 1 is a verdict of theirs. Others end with 1.
_NO_VERDICT: Final = {"crosscheck": 6}
_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended


class _Group(click.Group):
    """Imports a command when it is called, and turns what it reports into one message; the traceback comes with -v."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's, as below)
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"harness.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = formatter.width - 6 - max(map(len, COMMANDS))
        rows = [(name, click.Command(name, help=COMMANDS[name]).get_short_help_str(width)) for name in sorted(COMMANDS)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

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
            ctx.exit(_NO_VERDICT.get(ctx.invoked_subcommand or "", 1))
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
