"""`hil build`: a .tflite model, or an engine of the user's own, to a firmware image."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, load_lab


@click.command()
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
@click.option(
    "--check/--no-check",
    default=None,
    help="Run the image on the virtual board and compare its outputs with tflite-micro's or LiteRT's "
    "(default: if one of them is installed).",
)
@LAB
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
    check: bool | None,  # noqa: FBT001 (click passes it)
    lab: str | None,
) -> None:
    """Make a firmware image of a model, and print what it takes of the board.

    \b
    hil build model.tflite --board nano33 -o model.elf
    hil profile model.elf --device nano33
    hil flash model.elf --device nano33

    The model is float32 or full int8. An image that computes something else than an interpreter on the host is not
    written. Needs arm-none-eabi-gcc, and pip install "tinyml-hil[build]".
    """  # noqa: D301 (click reads the \b)
    from harness.build.own_engine import OwnEngine
    from harness.commands.build import Wish, build_engine, build_model

    if (model is None) == (engine_dir is None):
        raise click.UsageError("give a model or --engine-dir, one of them")
    if keep_overlap and patches is None:
        raise click.UsageError("--keep-overlap goes with --patches")
    wish = Wish(board, output, name, emit_c, plain, werror, objects, cross, patches, keep_overlap, check)
    if model is not None:
        if include or exclude or define or heap:
            raise click.UsageError("--include, --exclude, --define and --heap go with --engine-dir")
        build_model(model, load_lab(lab), wish)
    elif engine_dir is not None:
        if emit_c or plain or patches or check:
            raise click.UsageError("--emit-c, --plain, --patches and --check go with a model")
        build_engine(OwnEngine(engine_dir, include, define, heap, exclude), load_lab(lab), wish)
