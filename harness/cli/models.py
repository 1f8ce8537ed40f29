"""What is about models: `hil build`, `profile` and `search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import BACKEND, DEVICE, IMAGE, LAB, TIMEOUT, WAIT, load_lab, patience_of


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


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.tflite")
@click.argument("suite", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.npz", help="Where the outputs go."
)
@click.option(
    "--variant", metavar="NAME", help="Bring the inputs to the model's size as this variant's `resize:` says."
)
@click.option(
    "--interpreter",
    type=click.Choice(["auto", "tflite-micro", "litert"]),
    default="auto",
    show_default=True,
    help="auto: tflite-micro for integers, LiteRT for float32, the other if only that is there.",
)
def reference(model: Path, suite: Path, output: Path, variant: str | None, interpreter: Any) -> None:
    """Save what MODEL.tflite gives on all inputs of SUITE, to hold boards against it.

    \b
    hil reference model.tflite suite.yaml -o reference.npz
    then in the suite: reference: {file: reference.npz, array: outputs}

    An interpreter on this computer runs the model with TensorFlow Lite's reference kernels; inputs are scaled, resized
    and quantized as for a board. That finds faults of firmware and link. Outputs that you save where the model was
    trained, in the same form, also find inputs of another order or scale. Needs pip install --pre tflite-micro, or
    ai-edge-litert, and "tinyml-hil[build]".
    """  # noqa: D301 (click reads the \b)
    from harness.commands.reference import make_reference

    make_reference(model, suite, variant, None if interpreter == "auto" else interpreter, output)


@click.command()
@IMAGE
@DEVICE
@BACKEND
@click.option("--suite", type=click.Path(path_type=Path), metavar="FILE", help="Run on a sample of this suite.")
@click.option("--sample", type=click.IntRange(min=0), metavar="N", help="With --suite: which sample (default: 0).")
@click.option(
    "--input", "file", type=click.Path(path_type=Path), metavar="FILE", help="Run on this .npy file, floats or raw."
)
@click.option("--functions", is_flag=True, help="By C function instead (virtual board only).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@LAB
@WAIT
@TIMEOUT
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
    chosen = single_device(load_lab(lab), device)
    show(
        image,
        chosen,
        options["backend"],
        suite=suite,
        sample=sample or 0,
        file=file,
        as_json=options["as_json"],
        patience=patience_of(options["wait"], options["timeout"]),
    )


@click.command()
@click.argument("space", type=click.Path(path_type=Path))
@DEVICE
@BACKEND
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where models and verdicts go.")
@click.option("--candidates", type=click.IntRange(1), default=32, show_default=True, help="Try at most so many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses them, if there are more.")
@click.option("--train", type=click.IntRange(1), metavar="N", help="Train at most the N largest within the limits.")
@click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="Use N validation inputs, of each class its share."
)
@click.option("--limit", "limits", multiple=True, metavar="COLUMN=N", help="A budget, like ram_peak_bytes=20000.")
@click.option("--python", metavar="PATH", help="Interpreter that {python} in `make` stands for (default: this one).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@LAB
@WAIT
@TIMEOUT
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
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
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
    patience = patience_of(wait, timeout)
    wish = Wish(device, backend, folder, candidates, seed, train, samples, limits, python, as_json, patience)
    run(space, load_lab(lab), find_lab(lab, [Path()]), wish)
