"""A suite: one task, its test inputs, and the variants that are compared on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.config.board import Name  # noqa: TC001 (pydantic needs it at run time)
from harness.config.document import Document, Location, Model, read_document
from harness.config.inputs import ArrayFile, FromInputs, Inputs, Labels
from harness.config.metric import MetricChoice, check_metric
from harness.config.pick import PickKeys
from harness.config.sequence import StepKeys, check_steps
from harness.errors import ConfigError, NoImageError
from harness.schema import CASE_COLUMNS, CASES
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.config.board import BoardKind
    from harness.config.data import SuiteData


#: Why there is no image of a model for a kind of board, where firmware/Makefile could make none.
_INSTEAD = (".too_large", ".unsupported")
#: How linkers end the names of ELF files.
_ELF_SUFFIXES = (".elf", ".axf", ".out")
_BARE = "holds bytes for the flash only, no model card and no symbols; name the .elf (or .axf) that it was made from"
_NO_IMAGES = dict.fromkeys((".hex", ".ihex", ".bin", ".uf2", ".srec", ".s19"), _BARE) | {
    ".tflite": "is a model, not an image; `hil build` makes one of it"
}


class Limit(Model):
    """The bounds of a results column; outside of them the case fails.

    A bound on ticks needs `counter`, since instructions and cycles must not be held against one number.
    """

    min: float | None = None
    max: float | None = None
    counter: Literal["cycles", "instructions", "emulated cycles"] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError('give "min", "max" or both')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: nothing could ever pass")
        return self


Limits = Mapping[str, Limit]


class VariantEntry(Model):
    """A variant as it stands under `variants:`.

    `resize` says how inputs come to its size, if that is another; `reference` holds the outputs, or classes, that the
    model gave where it was trained.
    """

    image: Annotated[str, Field(min_length=1)]
    technique: Annotated[str, Field(min_length=1)]
    baseline: str | None = None
    resize: Literal["area", "bilinear"] | None = None
    reference: ArrayFile | None = None
    limits: Limits = Field(default_factory=dict)


class Variant(VariantEntry):
    """One optimized model. `limits` and `reference` are the suite's or its own; `line` is where it stands."""

    name: Name
    line: int


class _SuiteKeys(PickKeys, StepKeys):
    task: Name
    title: str = ""
    inputs: Inputs
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    metric: MetricChoice = MetricChoice(name="top1")
    groups: Labels | None = None
    lengths: Labels | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    outputs: Literal["none"] | None = None
    first: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    images: str = "../firmware/prebuilt"


class _SuiteFile(_SuiteKeys):
    reference: ArrayFile | None = None
    limits: Limits = Field(default_factory=dict)
    variants: Annotated[dict[Name, object], Field(min_length=1)]


class Suite(_SuiteKeys):
    """What a suite file says.

    `sha256` is that of the file. Its data are the `first` inputs of the arrays, None: all. `samples` is how many of
    these are used unless a run says otherwise, of each class its share; None: all.
    """

    path: Path
    sha256: str
    variants: tuple[Variant, ...]

    def variant(self, name: str) -> Variant:
        """Return the variant of that name.

        Raises:
            ConfigError: there is none; the message lists them.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        hint = did_you_mean(name, [variant.name for variant in self.variants])
        raise ConfigError(f'{self.path}: no variant is called "{name}"{hint}')

    def image_path(self, variant: Variant, kind: BoardKind) -> Path:
        """Return the firmware image of a variant for a kind of board.

        Raises:
            NoImageError: no image has been built for the kind, or there can't be one: the model doesn't fit, by so many
                bytes, or the kind lacks a kernel for it.
            ConfigError: there is no such file, or it is no ELF; the message lists the images that there are.
        """
        key = f"variants.{variant.name}.image"
        suffix = Path(variant.image).suffix.lower()
        if suffix in _NO_IMAGES:
            raise ConfigError(f"{self.path}:{variant.line}: {key}: {variant.image} {_NO_IMAGES[suffix]}")
        if suffix in _ELF_SUFFIXES:
            path, remedy = self.path.parent / variant.image, ""
        else:
            folder = self.path.parent / self.images / kind.name
            path = folder / f"{variant.image}.elf"
            there = sorted(image.stem for image in folder.glob("*.elf"))
            remedy = did_you_mean(variant.image, there)
            for why in map(path.with_suffix, _INSTEAD):
                if why.is_file() and not path.is_file():
                    raise NoImageError(_why_not(why), built=True)
            if not there and not any(file.suffix in _INSTEAD for file in folder.glob("*")):
                folder = Path(normpath(folder))
                raise NoImageError(
                    f"no image has been built for {kind.name} ({folder} holds none). With the cross compiler, `make -C "
                    f"firmware BOARD={kind.name}` builds them in a clone, elsewhere `hil build MODEL.tflite --board "
                    f"{kind.name} -o {folder}/NAME.elf`",
                    built=False,
                )
        if path.is_file():
            return path
        raise ConfigError(f"{self.path}:{variant.line}: {key}: there is no image {path} for board {kind.name}{remedy}")

    def load_data(self, samples: int | None = None) -> SuiteData:
        """Read the inputs and labels that a run uses, the same ones for every variant.

        Args:
            samples: how many, of each class its share; all if there are no more. None: what the suite says, else all.

        Raises:
            ConfigError: a file or array is missing, or they don't fit together.
        """
        data = self.load_all()
        try:
            return data.chosen(self.samples if samples is None else samples)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from error

    def load_all(self) -> SuiteData:
        """Read all inputs and labels of the suite, also where it says that fewer are used.

        Raises:
            ConfigError: a file or array is missing, or they don't fit together.
        """
        # Late, because numpy takes longer to import than most commands, which read no inputs, should.
        import numpy as np  # noqa: PLC0415

        from harness.config.data import read_data  # noqa: PLC0415
        from harness.config.steps import with_steps  # noqa: PLC0415

        try:
            takes = self.metric.labels(self.classes)
            data = read_data(self.path.parent, self.inputs, self.labels, self.groups, self.classes, takes)
            if self.sequence is not None:
                data = with_steps(data, self.lengths, self.path.parent)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from error
        if self.first is None:
            return data
        if self.first > len(data):
            there = f"{self.inputs.name} has only {len(data)} inputs"
            raise ConfigError(f'{self.path}: "first: {self.first}", but {there}')
        return replace(data.take(np.arange(self.first)), indices=None, of=None)


def _why_not(file: Path) -> str:
    """Return why there is no image of a model for a board, from what `hil build` said: by how much it is too large.

    That goes on with what takes the most memory, which would stand in every row.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").removeprefix("hil: ").strip().splitlines()
    bytes_said = [line.strip() for line in lines[1:] if line.strip().endswith(("B too many.", "B too few."))]
    return " ".join([*lines[:1], *bytes_said]) if bytes_said else " ".join(line.strip() for line in lines)


def load_suite(path: Path | str) -> Suite:
    """Read a suite file.

    Raises:
        ConfigError: the file is missing or wrong; names file, line and key.
    """
    document = read_document(Path(path))
    top = document.build(_SuiteFile, document.data)
    if len(set(top.classes)) != len(top.classes):
        raise document.error(("classes",), "a class stands twice")
    if isinstance(top.labels, FromInputs) and not top.classes:
        try:
            top = top.model_copy(update={"classes": top.inputs.class_names(document.path.parent)})
        except ConfigError as error:
            raise document.error(("inputs",), str(error)) from error
    check_metric(document, dict(top))
    check_steps(document, dict(top))
    if top.tolerance is not None and top.metric.name == "none":
        raise document.error(("tolerance",), "metric none has no score that could be worse")
    check_limits_known(document, top.limits, ("limits",))
    variants = tuple(_build_variant(document, top, name) for name in top.variants)
    for variant in variants:
        _check_baseline(document, variant, top.variants)
    given = {key: getattr(top, key) for key in _SuiteKeys.model_fields}
    given["title"] = top.title or top.task
    return Suite(path=document.path, sha256=document.sha256, variants=variants, **given)


def _build_variant(document: Document, top: _SuiteFile, name: str) -> Variant:
    where = ("variants", name)
    entry = document.build(VariantEntry, top.variants[name], where)
    check_limits_known(document, entry.limits, (*where, "limits"))
    limits = {**top.limits, **entry.limits}
    reference = entry.reference or top.reference
    fields = {**dict(entry), "limits": limits, "reference": reference, "name": name, "line": document.line(where)}
    return document.build(Variant, fields, where)


def _check_baseline(document: Document, variant: Variant, names: Iterable[str]) -> None:
    where = ("variants", variant.name, "baseline")
    if variant.baseline == variant.name:
        raise document.error(where, "a variant can't be compared with itself")
    if variant.baseline is not None and variant.baseline not in names:
        hint = did_you_mean(variant.baseline, [name for name in names if name != variant.name])
        raise document.error(where, f'no variant is called "{variant.baseline}"{hint}')


def no_limit_on(name: str) -> str:
    """Say why there can be no limit on what is called so."""
    if name in CASE_COLUMNS and CASE_COLUMNS[name].numeric:
        return "is an estimate, and an estimate has no limit (docs/cycles.md)"
    return "is no numeric column of the results"


def check_limits_known(document: Document, limits: Limits, where: Location) -> None:
    """Refuse limits on what is no numeric column or an estimate, or on ticks of an unnamed counter.

    Raises:
        ConfigError: names file, line and key.
    """
    known = [column.name for column in CASES if column.limitable]
    for name, limit in limits.items():
        if name not in known:
            raise document.error((*where, name), f"{no_limit_on(name)}{did_you_mean(name, known)}")
        if name.startswith("ticks_") != (limit.counter is not None):
            if limit.counter is None:
                raise document.error(
                    (*where, name), 'say what is counted: "counter: instructions" or "counter: cycles"'
                )
            raise document.error((*where, name), '"counter" goes with the ticks columns only')
