"""`hil build`: a .tflite model, or an engine of the user's own, to a firmware image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.made import print_layers, print_made
from harness.cli.options import FILE, LAB, load_lab
from harness.errors import ConfigError
from harness.files.starter import firmware_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.build.graph import Graph
    from harness.build.making import Making
    from harness.build.own_engine import OwnEngine
    from harness.build.plan import Plan
    from harness.config import BoardKind

_PATCHES = re.compile(r"auto|(?P<rows>\d{1,3})x(?P<columns>\d{1,3})(@(?P<layers>\d{1,3}))?")
_PERCENT = re.compile(r"(\d{1,4}(?:\.\d+)?)%?")
_OF_PATCHES = ("max_overhead", "keep_overlap", "stream_input")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.command()
@click.argument("model", type=FILE, required=False, metavar="[MODEL.tflite]")
@click.option("--board", required=True, metavar="KIND", help="The kind of board; `hil devices` lists them.")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="The image (default: NAME.elf).")
@click.option("--name", help="The model's name in the image and in results (default: the file's).")
@click.option("--emit-c", type=FILE, metavar="DIR", help="Only write the model as C into DIR.")
@click.option("--plain", is_flag=True, help="Plain C kernels instead of those with DSP instructions.")
@click.option(
    "--engine-dir",
    type=FILE,
    metavar="DIR",
    help="Instead of a model: C or C++ sources and .a libraries of your own that implement hil_model.h.",
)
@click.option("-I", "--include", type=FILE, multiple=True, metavar="DIR", help="Headers of the engine.")
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
    "--objects",
    type=FILE,
    metavar="DIR",
    help="Keep what is compiled in DIR (of an engine: by default ~/.cache/tinyml-hil).",
)
@click.option(
    "--code-in",
    type=click.Choice(["flash", "ram"]),
    default="flash",
    show_default=True,
    help="Where code and constants are; in RAM, a flash behind a cache rules no latency (pico).",
)
@click.option("--cross", metavar="PREFIX", help="Which compiler (default: that of the kind of board).")
@click.option("--werror", is_flag=True, help="Warnings in our own C are errors.")
@click.option(
    "--patches",
    metavar="auto|RxC[@LAYERS]",
    help="Run the first layers in R x C patches, which takes less RAM; auto: those that take the least.",
)
@click.option(
    "--max-overhead",
    metavar="PERCENT",
    help="With --patches auto: at most so many more MACs than the whole model takes.  [default: 15%]",
)
@click.option(
    "--keep-overlap/--repeat-overlap",
    default=None,
    help="With --patches: keep what rows of patches share (C is 1), or compute it again (default of auto: the better).",
)
@click.option("--stream-input", is_flag=True, help="With --patches: send the input a row of patches at a time.")
@click.option(
    "--check/--no-check",
    default=None,
    help="Run the image on the virtual board and compare its outputs with tflite-micro's or LiteRT's "
    "(default: if one of them is installed).",
)
@LAB
def build(
    *,
    model: Path | None,
    engine_dir: Path | None,
    include: tuple[Path, ...],
    exclude: tuple[str, ...],
    define: tuple[str, ...],
    heap: int,
    lab: str | None,
    board: str,
    output: Path | None,
    name: str | None,
    code_in: str,
    cross: str | None,
    plain: bool,
    werror: bool,
    objects: Path | None,
    **of_models: Any,
) -> None:
    """Make a firmware image of a model, and print what it takes of the board.

    \b
    hil build model.tflite --board nano33 -o model.elf
    hil profile model.elf --device nano33
    hil flash model.elf --device nano33

    The model is float32 or full int8; a source in C that has it as an array (model.cc) will do, too. An image that
    computes something else than an interpreter on the host is not written. Needs a cross compiler: arm-none-eabi-gcc,
    for an Arduino Uno avr-gcc.
    """  # noqa: D301 (click reads the \b)
    from harness.build.kept import objects_cache
    from harness.build.making import Making
    from harness.build.own_engine import OwnEngine
    from harness.build.sources import target_for
    from harness.build.toolchain import find_toolchain

    if (model is None) == (engine_dir is None):
        raise click.UsageError("give a model or --engine-dir, one of them")
    if of_models["patches"] is None and any(of_models[name] not in (None, False) for name in _OF_PATCHES):
        raise click.UsageError("--max-overhead, --keep-overlap and --stream-input go with --patches")
    if of_models["max_overhead"] is not None and of_models["patches"] != "auto":
        raise click.UsageError("--max-overhead goes with --patches auto")
    if model is not None and (include or exclude or define or heap):
        raise click.UsageError("--include, --exclude, --define and --heap go with --engine-dir")
    if engine_dir is not None and (plain or any(of_models.values())):
        raise click.UsageError("--emit-c, --plain, --patches and --check go with a model")
    loaded = load_lab(lab)
    kind = loaded.kind(board)

    def making() -> Making:
        target = target_for(kind, loaded.kinds, firmware_root().resolve(), code_in_ram=code_in == "ram")
        kept = None if objects is None else objects.resolve()
        kept = kept if model is not None else kept or objects_cache()
        return Making(target, find_toolchain(cross or target.cross), plain, werror, kept)

    if model is not None:
        of_models["code_in_ram"] = code_in == "ram"
        _build_model(model, kind, model_name(name, model.stem), output, making, plain=plain, **of_models)
    elif engine_dir is not None:
        out = _output(output, model_name(name, engine_dir.resolve().name))
        _build_engine(OwnEngine(engine_dir, include, define, heap, exclude), making(), out)


def _build_model(
    path: Path,
    kind: BoardKind,
    name: str,
    output: Path | None,
    making: Callable[[], Making],
    *,
    plain: bool,
    code_in_ram: bool,
    emit_c: Path | None,
    check: bool | None,
    patches: str | None,
    max_overhead: str | None,
    keep_overlap: bool | None,
    stream_input: bool,
) -> None:
    """Compile a .tflite file, and print what it takes.

    Raises:
        ConfigError: the file, the compiler or the output is wrong, the model doesn't fit, or the image computes
            something else.
    """
    from harness.build.check import missing_check
    from harness.build.making import make_model_image, write_model
    from harness.build.sizes import layer_sizes
    from harness.build.tflite_file import parse_tflite

    graph = parse_tflite(path)
    only_plain = kind.build is not None and kind.build.kernels is not None
    plan = _plan(
        graph,
        patches,
        max_overhead,
        keep_overlap=keep_overlap,
        stream_input=stream_input,
        only_plain=only_plain,
    )
    layers = layer_sizes(graph, plan, plain=plain or only_plain)
    print_layers(name, layers, plan)
    if emit_c is not None:
        write_model(graph, plan, emit_c, kind=kind, name=name, code_in_ram=code_in_ram)
        click.echo(f"Written: {emit_c / 'model.c'} and model_config.h; compiled nothing.")
        return
    out = _output(output, name)
    made_with = making()
    unchecked = "not compared with an interpreter (--no-check)" if check is False else missing_check(kind)
    if check and unchecked is not None:
        raise ConfigError(f"--check: {unchecked}")
    made = make_model_image(graph, plan, made_with, out, name, model=path if unchecked is None else None)
    print_made(made, made_with, layers)
    click.echo(f"{out}: {unchecked}." if unchecked is not None else made.checked)


def _build_engine(engine: OwnEngine, making: Making, out: Path) -> None:
    """Compile an engine of the user's own, and print what it takes.

    Raises:
        ConfigError: the folder, the compiler or the output is wrong, or the image doesn't fit.
    """
    from harness.build.own_engine import make_engine_image

    made = make_engine_image(engine, making, out)
    if made.warnings:
        click.echo(made.warnings.rstrip(), err=True)
    print_made(made, making, ())


def _plan(
    graph: Graph,
    asked: str | None,
    max_overhead: str | None,
    *,
    keep_overlap: bool | None,
    stream_input: bool,
    only_plain: bool,
) -> Plan:
    """Plan the whole model, or cut as the user wants it."""
    from harness.build.choose_patches import choose_patches, ram_bytes
    from harness.build.plan import plan_memory
    from harness.build.stage import Patches

    whole = plan_memory(graph, only_plain=only_plain)
    if asked is None:
        return whole
    match = _PATCHES.fullmatch(asked)
    if match is None:
        raise ConfigError(f"--patches {asked}: write auto, 3x3 (rows x columns), or 3x3@5 (through 5 layers)")
    limit = _PERCENT.fullmatch(max_overhead or "15%")
    if limit is None:
        raise ConfigError(f"--max-overhead {max_overhead}: write a percentage, like 15%")
    grid = (int(match["rows"]), int(match["columns"])) if match["rows"] else None
    if grid and match["layers"]:
        patches = Patches(*grid, int(match["layers"]), bool(keep_overlap), stream_input)
    else:
        share = None if grid else float(limit[1]) / 100
        cached = bool(keep_overlap) if grid else keep_overlap
        chosen = choose_patches(graph, grid=grid, cached=cached, streamed=stream_input, most_overhead=share)
        if chosen is None:
            within = "" if grid else f" with at most {limit[1]} % more MACs"
            raise ConfigError(
                f"{graph.source}: --patches {asked}: no such patches{within} take less than the whole model's arena of "
                f"{whole.arena_bytes:,} B, which the layers behind them need; build it without --patches"
            )
        patches = chosen
    plan = plan_memory(graph, patches, only_plain=only_plain)
    ram = [ram_bytes(graph, each) for each in (whole, plan)]
    where = f"{plan.arena_bytes:,} and {plan.input_bytes:,}" if plan.pieces else "the input waits outside of the arena"
    click.echo(
        f"{plan.patches}: arena and input {ram[1]:,} B ({where}) instead of {ram[0]:,} ({ram[1] / ram[0]:.2f}x), "
        f"{plan.macs:,} MACs instead of {whole.macs:,} ({plan.macs / whole.macs:.2f}x)."
    )
    return plan


def model_name(given: str | None, stem: str) -> str:
    """Return a model's name that can stand in a suite, on a command line and in C."""
    if given is not None:
        if not _NAME.fullmatch(given):
            raise ConfigError(
                f"--name {given!r}: at most 64 letters, digits, dots, dashes and underscores, and no dot, dash or "
                "underscore first; suites and results use the name"
            )
        return given
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).lstrip("._-")[:64] or "model"
    if name != stem:
        click.echo(
            f"The model is called {name}, because {stem!r} can't stand in a suite; --name chooses another.", err=True
        )
    return name


def _output(out: Path | None, name: str) -> Path:
    """Return the image's path; what can be known now about why it can't be written is said now."""
    from harness.build.making import make_folder

    path = Path(f"{name}.elf") if out is None else out / f"{name}.elf" if out.is_dir() else out
    part = path.with_name(f"{path.name}.part")
    try:
        make_folder(path.parent)
        part.touch()
        part.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from error
    return path
