"""Makes an image: compiles what it is made of, links it, and explains what went wrong."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.advice import advice
from harness.build.check import check_image, missing_check
from harness.build.emit import emit_c
from harness.build.kernels import check_kernels
from harness.build.linking import Parts, link_image
from harness.build.plan import plan_memory
from harness.build.sizes import TooLargeError, check_output, check_plan, explain, layer_sizes
from harness.build.sources import engine_of, firmware_units, model_unit
from harness.build.tflite_file import parse_tflite
from harness.build.toolchain import compile_units
from harness.errors import ConfigError
from harness.files.replacing import replacing
from harness.image.elf import load_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.build.graph import Graph
    from harness.build.plan import Plan
    from harness.build.sources import Target
    from harness.build.toolchain import Region, Toolchain
    from harness.config import BoardKind
    from harness.image.elf import Image


@dataclass(frozen=True)
class Making:
    """How images are made.

    Attributes:
        target: the kind of board.
        toolchain: the compiler and its options.
        plain: call the plain C kernels.
        strict: warnings in our own sources are errors.
        kept: folder for the objects that images share; None keeps nothing.
    """

    target: Target
    toolchain: Toolchain
    plain: bool = False
    strict: bool = False
    kept: Path | None = None

    @property
    def only_plain(self) -> bool:
        """Whether plain C kernels are called: because that was asked, or because there are no others."""
        return self.plain or self.target.kernels is not None


@dataclass(frozen=True)
class Made:
    """An image, how full the regions of its linker script are, what the compiler warned of, how it was checked."""

    image: Image
    script: Path
    regions: tuple[Region, ...]
    warnings: str
    checked: str = ""


def write_model(graph: Graph, plan: Plan, folder: Path, *, kind: BoardKind, name: str, code_in_ram: bool) -> Path:
    """Write model.c and model_config.h into a folder; return the path of the former.

    Raises:
        ConfigError: the folder can't be written.
    """
    named = replace(graph, source=re.sub(r"[^A-Za-z0-9._ -]", "_", graph.source))  # it stands in a C comment
    try:
        make_folder(folder)
        engine = engine_of(kind, code_in_ram=code_in_ram)
        for file, text in emit_c(named, plan, board=kind.name, name=name, engine=engine).items():
            with replacing(folder / file) as draft:
                draft.write_text(text, encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{error.filename or folder}: can't be written: {error.strerror}") from error
    return folder / "model.c"


def compile_model(model: Path, making: Making, out: Path, name: str) -> Made:
    """Compile a .tflite file as it is, and compare the image with an interpreter if one is installed.

    Args:
        model: the .tflite file.
        making: how.
        out: the image.
        name: what results call the model.

    Raises:
        ConfigError: the file is wrong, the model doesn't compile or fit, or the image computes something else.
    """
    graph = parse_tflite(model)
    plan = plan_memory(graph, only_plain=making.target.kernels is not None)
    unchecked = missing_check(making.target.kind)
    made = make_model_image(graph, plan, making, out, name, model=model if unchecked is None else None)
    return made if unchecked is None else replace(made, checked=f"{unchecked[0].upper()}{unchecked[1:]}.")


def make_model_image(
    graph: Graph, plan: Plan, making: Making, out: Path, name: str, *, model: Path | None = None
) -> Made:
    """Compile a planned model, which results call `name`, into an image.

    Given its .tflite file as `model`, the image is checked against an interpreter before it is written.

    Raises:
        ConfigError: it doesn't compile, or computes something else.
        TooLargeError: it doesn't fit; the message says by how much, why, and what would.
    """
    try:
        return _make_model_image(graph, plan, making, out, name, model=model)
    except TooLargeError as error:
        with working_folder() as work:
            lines = advice(
                graph,
                plan,
                error,
                [kind for kind in making.target.kinds if kind != making.target.kind and not making.target.code_in_ram],
                lambda other: _make_model_image(graph, other, making, work / "other.elf", name),
            )
            if making.target.code_in_ram:
                lines.append("Without --code-in ram, code and constants stay in flash.")
        text = "\n  ".join([str(error), *lines])
        raise TooLargeError(text, error.flash_bytes, error.ram_bytes) from None


def _make_model_image(
    graph: Graph, plan: Plan, making: Making, out: Path, name: str, *, model: Path | None = None
) -> Made:
    layers = layer_sizes(graph, plan, plain=making.only_plain)
    target = making.target
    check_kernels(graph, plan, target)
    check_plan(graph, plan, layers, target.kind, code_in_ram=target.code_in_ram)
    check_output(graph.source, sum(tensor.bytes for tensor in graph.outputs))
    with working_folder() as work:
        folder = work / "model"
        source = write_model(graph, plan, folder, kind=target.kind, name=name, code_in_ram=target.code_in_ram)
        options = {"plain": making.plain, "strict": making.strict}
        units = [*firmware_units(target, folder, engine=True, **options), model_unit(target, source, **options)]
        why = explain(layers, plan.arena_bytes)
        if plan.state_bytes:
            why.append(f"What the model remembers lies outside of the arena, too: {plan.state_bytes:,} B.")
        why.append(f"The next input waits outside of the arena: {sum(tensor.bytes for tensor in graph.inputs):,} B.")
        verify = None if model is None else partial(check_image, model=model, graph=graph, kind=target.kind)
        return make_image(Parts(graph.source, units, why=why), making, work, out, verify)


def make_image(
    parts: Parts, making: Making, work: Path, out: Path, verify: Callable[[Image], str] | None = None
) -> Made:
    """Compile and link; write the image to `out` only if it is one that this harness can run.

    `work` is for what is only needed meanwhile. `verify` looks at the image before it is written, raises if it is
    wrong, and says what was seen.

    Raises:
        ConfigError: it doesn't compile, link or fit, is wrong, or `out` can't be written.
    """
    objects, warnings = compile_units(making.toolchain, parts.units, work / "objects", making.kept or work / "kept")
    elf = work / "image.elf"
    placed = link_image(making.target, making.toolchain, parts, objects, elf)
    kind = making.target.kind
    image = load_image(elf, kind)
    checked = "" if verify is None else verify(image)
    try:
        with replacing(out) as draft:
            shutil.copyfile(elf, draft)
    except OSError as error:
        raise ConfigError(f"{out}: can't be written: {error.strerror}") from error
    return Made(load_image(out, kind), placed.script, placed.regions, warnings, checked)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        ConfigError: something else has that name.
        OSError: it can't be made.
    """
    taken = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if taken is not None:
        raise ConfigError(f"{folder}: can't be made, because {taken} is not a folder")
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def working_folder() -> Iterator[Path]:
    """Give a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="hil-build-") as folder:
        yield Path(folder).resolve()
