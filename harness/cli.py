"""The `hil` command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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


_LAB = click.option("--lab", metavar="FILE", help="The lab's boards (default: devices.yaml, if there is one).")
_DEVICE = click.option("--device", required=True, metavar="NAME", help="A device of the lab, or a kind of board.")
_BACKEND = click.option(
    "--backend", type=click.Choice(["auto", "hardware", "renode", "virtual"]), default="auto", show_default=True
)
_IMAGE = click.argument("image", type=click.Path(path_type=Path))
_RESULTS = click.option(
    "--results-dir", type=click.Path(path_type=Path), default=Path("results"), show_default=True, metavar="DIR"
)


def _load_lab(lab: str | None) -> Any:
    from harness.config import Lab, find_lab

    return Lab.load(find_lab(lab, [Path()]))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="tinyml-hil", prog_name="hil")
def main(verbose: bool) -> None:  # noqa: FBT001 (click passes it)
    """Benchmark optimized TinyML models on real and emulated boards.

    The main job is a pytest run: pytest suites/ --device nano33
    """


@main.command()
@click.option(
    "--add", is_flag=False, flag_value="", metavar="[NAME]", help="Write what is attached and new into devices.yaml."
)
@click.option("--kind", metavar="KIND", help="With --add: which kind of board it is.")
@click.option("--probe", metavar="ID", help="With --add: the board behind this probe.")
@click.option("--port", metavar="PORT", help="With --add: the board's port (path, serial number or location).")
@_LAB
def devices(add: str | None, kind: str | None, probe: str | None, port: str | None, lab: str | None) -> None:
    """List the configured devices, the kinds of boards, and what is attached; or add what is new."""
    from harness.commands.adding import Wish, add_attached
    from harness.commands.devices import show_devices

    if add is not None:
        add_attached(_load_lab(lab), Wish(add or None, kind, probe, port))
    elif kind or probe or port:
        raise click.UsageError("--kind, --probe and --port go with --add")
    else:
        show_devices(_load_lab(lab))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
def init(folder: Path) -> None:
    """Start a lab of your own in DIR (default: here): devices.yaml, a first suite, .gitignore."""
    from harness.commands.init import start_lab

    start_lab(folder)


@main.command()
@_IMAGE
@_DEVICE
@_BACKEND
@_LAB
@click.option("--force", is_flag=True, help="Flash even if the board already runs IMAGE.")
@click.option("--allow-mass-erase", is_flag=True, help="Unlock a locked part, which erases all of it.")
def flash(
    image: Path,
    device: str,
    backend: Any,
    lab: str | None,
    force: bool,  # noqa: FBT001 (click passes it)
    allow_mass_erase: bool,  # noqa: FBT001 (click passes it)
) -> None:
    """Flash IMAGE (an ELF file), check it, and say what runs."""
    from harness.commands.flash import flash_image, single_device

    chosen = single_device(_load_lab(lab), device)
    flash_image(image, chosen, backend, force=force, allow_mass_erase=allow_mass_erase)


@main.command()
@click.argument("model", type=click.Path(path_type=Path), required=False, metavar="[MODEL.tflite]")
@click.option("--board", required=True, metavar="KIND", help="The kind of board; `hil devices` lists them.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="The image (default: NAME.elf).")
@click.option("--name", help="The model's name in the image and in results (default: the file's).")
@click.option("--emit-c", type=click.Path(path_type=Path), metavar="DIR", help="Only write the model as C into DIR.")
@click.option("--plain", is_flag=True, help="Plain C kernels instead of those with DSP instructions.")
@click.option(
    "--engine-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Instead of a model: C or C++ sources and .a libraries of your own that implement hil_model.h.",
)
@click.option(
    "-I", "--include", type=click.Path(path_type=Path), multiple=True, metavar="DIR", help="Headers of the engine."
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Sources of the engine to leave out, like 'tests/*' or '*_f16.c'.",
)
@click.option("-D", "--define", multiple=True, metavar="NAME[=VALUE]", help="A macro for the engine's sources.")
@click.option(
    "--heap", type=click.IntRange(min=0), default=0, metavar="BYTES", help="A heap for an engine that calls malloc()."
)
@click.option(
    "--objects", type=click.Path(path_type=Path), metavar="DIR", help="Keep what images share compiled in DIR."
)
@click.option("--cross", default="arm-none-eabi-", show_default=True, metavar="PREFIX", help="Which compiler.")
@click.option("--werror", is_flag=True, help="Warnings in our own C are errors.")
@click.option(
    "--patches",
    metavar="auto|RxC[@LAYERS]",
    help="Run the first layers in R x C patches, which takes less RAM; auto: those that take the least.",
)
@click.option("--keep-overlap", is_flag=True, help="With --patches: keep what rows of patches share (C is 1).")
@_LAB
def build(
    model: Path | None,
    board: str,
    output: Path | None,
    name: str | None,
    emit_c: Path | None,
    plain: bool,  # noqa: FBT001 (click passes it)
    engine_dir: Path | None,
    include: tuple[Path, ...],
    exclude: tuple[str, ...],
    define: tuple[str, ...],
    heap: int,
    objects: Path | None,
    cross: str,
    werror: bool,  # noqa: FBT001 (click passes it)
    patches: str | None,
    keep_overlap: bool,  # noqa: FBT001 (click passes it)
    lab: str | None,
) -> None:
    """Make a firmware image of a model, and print what it takes of the board.

    \b
    hil build model.tflite --board nano33 -o model.elf
    hil profile model.elf --device nano33
    hil flash model.elf --device nano33

    The model is float32 or full int8. Needs arm-none-eabi-gcc, and pip install "tinyml-hil[build]".
    """  # noqa: D301 (click reads the \b)
    from harness.build.own_engine import OwnEngine
    from harness.commands.build import Wish, build_engine, build_model

    if (model is None) == (engine_dir is None):
        raise click.UsageError("give a model or --engine-dir, one of them")
    if keep_overlap and patches is None:
        raise click.UsageError("--keep-overlap goes with --patches")
    wish = Wish(board, output, name, emit_c, plain, werror, objects, cross, patches, keep_overlap)
    if model is not None:
        if include or exclude or define or heap:
            raise click.UsageError("--include, --exclude, --define and --heap go with --engine-dir")
        build_model(model, _load_lab(lab), wish)
    elif engine_dir is not None:
        if emit_c or plain or patches:
            raise click.UsageError("--emit-c, --plain and --patches go with a model")
        build_engine(OwnEngine(engine_dir, include, define, heap, exclude), _load_lab(lab), wish)


@main.command()
@click.option("--device", metavar="NAME", help="Check this device too: probe, flash, link.")
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="With a real --device: flash this image (it replaces what is there).",
)
@_BACKEND
@_LAB
def doctor(device: str | None, image: Path | None, backend: Any, lab: str | None) -> None:
    """Check everything that the harness needs, a line each, with the remedy."""
    from harness.commands.doctor import examine

    if not examine(lambda: _load_lab(lab), device, image, backend):
        raise SystemExit(1)


@main.command()
@_IMAGE
@_DEVICE
@_BACKEND
@click.option("--suite", type=click.Path(path_type=Path), metavar="FILE", help="Run on a sample of this suite.")
@click.option("--sample", type=click.IntRange(min=0), metavar="N", help="With --suite: which sample (default: 0).")
@click.option(
    "--input", "file", type=click.Path(path_type=Path), metavar="FILE", help="Run on this .npy file, floats or raw."
)
@click.option("--functions", is_flag=True, help="By C function instead (virtual board only).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_LAB
def profile(image: Path, device: str, lab: str | None, functions: bool, **options: Any) -> None:  # noqa: FBT001
    """Show which layers of IMAGE an inference spends its cycles or instructions in.

    The input is random unless --suite or --input name one. A board that runs IMAGE already is not flashed.
    """
    from harness.commands.flash import single_device
    from harness.commands.profile import show_functions, show_layers

    suite, sample, file = options["suite"], options["sample"], options["file"]
    if suite and file:
        raise click.UsageError("--suite and --input exclude each other")
    if sample is not None and not suite:
        raise click.UsageError("--sample goes with --suite")
    show = show_functions if functions else show_layers
    chosen = single_device(_load_lab(lab), device)
    show(image, chosen, options["backend"], suite=suite, sample=sample or 0, file=file, as_json=options["as_json"])


@main.command()
@click.argument("space", type=click.Path(path_type=Path))
@_DEVICE
@_BACKEND
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where models and verdicts go.")
@click.option("--candidates", type=click.IntRange(1), default=32, show_default=True, help="Try at most so many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses them, if there are more.")
@click.option("--train", type=click.IntRange(1), metavar="N", help="Train at most the N largest within the limits.")
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Use the first N validation inputs.")
@click.option("--limit", "limits", multiple=True, metavar="COLUMN=N", help="A budget, like ram_peak_bytes=20000.")
@click.option("--python", metavar="PATH", help="Interpreter that {python} in `make` stands for (default: this one).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_LAB
def search(
    space: Path,
    device: str,
    backend: Any,
    out: Path | None,
    candidates: int,
    seed: int,
    train: int | None,
    samples: int | None,
    limits: tuple[str, ...],
    python: str | None,
    as_json: bool,  # noqa: FBT001 (click passes it)
    lab: str | None,
) -> None:
    """Search the architectures that SPACE (a YAML file) lists, with the board in the loop.

    \b
    hil search search.yaml --device nano33 --limit ram_peak_bytes=20000 --limit ticks_median=1500000

    The cost of every candidate is measured on the board before it is trained; only those within the limits are. What no
    other candidate beats in accuracy, ticks, RAM and flash is the front. See docs/search.md.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.search import Wish
    from harness.commands.search import search as run
    from harness.config import find_lab

    folder = out or Path("results") / f"search-{space.stem}"
    wish = Wish(device, backend, folder, candidates, seed, train, samples, limits, python, as_json)
    run(space, _load_lab(lab), find_lab(lab, [Path()]), wish)


@main.command()
@click.argument("runs", nargs=-1, metavar="[RUN_A] [RUN_B]")
@click.option("--baseline", metavar="WHAT", help="Tag, run, git revision, latest, or history:N (the last N nights).")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Given twice: compare these two boards.")
@click.option("--fail-on", metavar="LIMITS", help='Like "latency>2%,peak_ram>0,accuracy<-0.5%".')
@click.option("--margin", "margins", metavar="LEAST", help='Least differences that matter, like "ticks=0.5%".')
@click.option("--across-engines", is_flag=True, help="Compare cases of different inference engines, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_RESULTS
def compare(
    runs: tuple[str, ...],
    baseline: str | None,
    devices: tuple[str, ...],
    fail_on: str | None,
    margins: str | None,
    across_engines: bool,  # noqa: FBT001 (click passes it)
    as_json: bool,  # noqa: FBT001 (click passes it)
    results_dir: Path,
) -> None:
    """Say what differs, by how much, and whether it is real.

    \b
    hil compare                        each variant of the latest run with its baseline
    hil compare RUN_A RUN_B            the cases of RUN_B with those of RUN_A
    hil compare --baseline main        the latest run with the one tagged main, or of that git revision
    hil compare --device a --device b  the latest run's board b with its board a

    Ends with 0 if no limit is exceeded, 1 for a regression, 5 if there is nothing to compare, 6 if it can't be told.
    See docs/comparing.md.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.compare import Wish
    from harness.commands.compare import compare as run
    from harness.errors import ConfigError

    if len(runs) > 2:
        raise click.UsageError("two runs at most can be compared")
    wish = Wish(runs, baseline, devices, fail_on, margins, across_engines, as_json, results_dir)
    try:
        code = run(wish)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    raise SystemExit(code)


@main.command()
@click.argument("run", type=click.Path(path_type=Path), default=Path("results/latest"))
@click.option("--capacity", type=float, required=True, metavar="MAH", help="Capacity of the battery, mAh.")
@click.option("--every", type=float, required=True, metavar="S", help="One inference each S seconds.")
@click.option("--sleep", type=float, required=True, metavar="UA", help="What the product draws in between, uA.")
@click.option("--usable", type=float, default=0.85, show_default=True, help="Share of the capacity that can be used.")
@click.option("--self-discharge", type=float, default=0.02, show_default=True, help="Share lost in a year by itself.")
def battery(run: Path, capacity: float, every: float, sleep: float, usable: float, self_discharge: float) -> None:
    """Estimate how long a battery lasts with each variant of RUN (default: results/latest)."""
    from harness.commands.battery import show_life
    from harness.power.battery import Duty

    show_life(run, Duty(capacity, every, sleep, usable, self_discharge))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--inferences", type=click.IntRange(min=1), required=True, metavar="N", help="How many are in it.")
@click.option("--voltage", type=float, metavar="V", help="Supply, if the file doesn't say it.")
@click.option("--idle", type=float, default=0.5, show_default=True, metavar="S", help="Idle time at both ends.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it (PNG, SVG or PDF).")
def trace(file: Path, inferences: int, voltage: float | None, idle: float, plot: Path | None) -> None:
    """Compute energy from FILE: a CSV trace taken elsewhere, or a window in the power folder of a run."""
    from harness.commands.trace import show_trace

    show_trace(file, inferences, voltage, idle, plot)


@main.command()
@click.argument("runs", nargs=-1, metavar="[RUN ...]")
@click.option("--html", type=click.Path(path_type=Path), metavar="DIR|FILE", help="The page; index.html in a folder.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE|-", help="A summary for a job's page.")
@click.option("--baseline", metavar="NAME", help="Hold the newest run against this, as `hil compare --baseline` does.")
@_RESULTS
def report(
    runs: tuple[str, ...], html: Path | None, markdown: Path | None, baseline: str | None, results_dir: Path
) -> None:
    r"""Make a page of what RUN (default: latest) says: who wins, by how much, how sure that is.

    \b
    hil report                               report.html in the latest run's folder
    hil report results --html out/           the newest run of each suite, and its history over all runs
    hil report --markdown - --baseline main >> "$GITHUB_STEP_SUMMARY"

    The page is one file that needs no network. See docs/report.md.
    """
    from harness.commands.report import Wish
    from harness.commands.report import report as write

    write(Wish(runs, html, markdown, baseline, results_dir))


@main.group(invoke_without_command=True)
@_RESULTS
@click.pass_context
def results(ctx: click.Context, results_dir: Path) -> None:
    """List the runs in a results folder; show, recover, tag or export one."""
    ctx.obj = results_dir
    if ctx.invoked_subcommand is None:
        from harness.commands.results import show_runs

        show_runs(results_dir)


@results.command()
@click.argument("run", default="latest")
@click.pass_obj
def show(results_dir: Path, run: str) -> None:
    """Show the tables of RUN (default: latest)."""
    from harness.commands.results import locate, show_run

    show_run(locate(run, results_dir))


@results.command()
@click.argument("run", default="latest")
@click.pass_obj
def recover(results_dir: Path, run: str) -> None:
    """Finish RUN, which was killed: write its tables from its journal."""
    from harness.commands.results import locate, recover_run

    recover_run(locate(run, results_dir))


@results.command()
@click.argument("run")
@click.argument("name")
@click.pass_obj
def tag(results_dir: Path, run: str, name: str) -> None:
    """Call RUN by NAME, for `--baseline NAME`. A tag moves if it was another run's."""
    from harness.commands.results import locate, name_run

    name_run(results_dir, locate(run, results_dir), name)


@results.command()
@click.argument("run", default="latest")
@click.option("--csv", "form", flag_value="csv", help="A table as CSV.")
@click.option("--json", "form", flag_value="json", help="Cases and provenance as JSON.")
@click.option("--junit", "form", flag_value="junit", help="Cases as JUnit XML.")
@click.option(
    "--table",
    type=click.Choice(["cases", "samples", "layers", "windows"]),
    default="cases",
    show_default=True,
    help="With --csv or --json: which table.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to (default: print it).")
@click.pass_obj
def export(results_dir: Path, run: str, form: str | None, table: str, output: Path | None) -> None:
    """Write RUN (default: latest) for other tools."""
    from harness.commands.export import export_run
    from harness.commands.results import locate

    if form is None:
        raise click.UsageError("say how: --csv, --json or --junit")
    if form == "junit" and table != "cases":
        raise click.UsageError("--junit is about cases; --table goes with --csv and --json")
    export_run(locate(run, results_dir), form, table, output)
