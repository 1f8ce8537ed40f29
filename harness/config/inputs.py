"""What a suite's `inputs:` and `labels:` may be: each form by the key that names it. docs/data.md explains them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from harness.config.document import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.data.arrays import Arrays

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Columns = Text | tuple[Text, ...] | None

ON_THE_HOST = "the front end ran on this computer, and firmware that computes it may come to other numbers"


class Source(Model):
    """Values from somewhere; paths are relative to the suite file. Given a mapping, it becomes the form of its key."""

    form: ClassVar[str] = ""
    paths: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _by_its_key(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Any:
        forms = {form.form: form for form in FORMS.get(cls, ())}
        if not forms or not isinstance(data, dict):
            return handler(data)
        found = [form for form in forms if form in data]
        if len(found) == 1:
            return forms[found[0]].model_validate(data)
        if found:
            raise ValueError(f"{' and '.join(found)} are two sources; keep one of them")
        raise ValueError(f"needs one of the keys {', '.join(forms)}, not only {', '.join(map(str, data)) or 'nothing'}")

    @property
    def name(self) -> str:
        """What errors and results call it."""
        return str(getattr(self, self.form))

    def read(self, folder: Path, classes: tuple[str, ...] | None) -> Arrays:
        """Read the values.

        Args:
            folder: of the suite file.
            classes: of the suite, in their order; (): those that are found, sorted; None: texts are no classes here.

        Raises:
            ConfigError: something is missing, damaged or of another kind; names the file.
        """
        # Late, because numpy takes longer to import than most commands, which read no inputs, should.
        from harness.data.readers import read  # noqa: PLC0415

        return read(self.form, folder, classes, self._keys())

    def from_folder(self, folder: Path, other: Path) -> dict[str, Any] | str:
        """Return what a file in another folder says to mean the same."""
        said = self.model_dump(mode="json", exclude_unset=True)
        moved = {key: os.path.relpath(folder / said[key], other) for key in self.paths if said.get(key)}
        return {**said, **moved}

    def _keys(self) -> dict[str, Any]:
        """Return the arguments of the reader."""
        return {name: getattr(self, name) for name in type(self).model_fields if name not in Inputs.model_fields}


class ArrayFile(Source):
    """An array in an .npz file, or an .npy file."""

    form, paths = "file", ("file",)
    file: Text
    array: str | None = None

    @property
    def name(self) -> str:
        """What errors and results call it."""
        return f"{self.file}[{self.array}]" if self.array else self.file


class CsvFile(Source):
    """Columns of a text file whose first line names them."""

    form, paths = "csv", ("csv",)
    csv: Text
    columns: Columns = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","


class ParquetFile(Source):
    """Columns of a Parquet file."""

    form, paths = "parquet", ("parquet",)
    parquet: Text
    columns: Columns = None


class Function(Source):
    """What a function yields, `module:function`; the module may lie beside the suite file."""

    form = "python"
    python: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]


class Inputs(Source):
    """The inputs: real value = scale * raw + offset; or, if `quantized`, raw values of the model's own input type.

    `note` is said of them in each case's `inputs_note`.
    """

    by_class: ClassVar[bool] = False
    scale: float = 1.0
    offset: float = 0.0
    quantized: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _scale_is_usable(self) -> Self:
        if self.scale == 0:
            raise ValueError("scale must not be 0: every input would be the same")
        if self.quantized and self.model_fields_set & {"scale", "offset"}:
            raise ValueError("inputs that are quantized already have the model's scale; remove scale and offset")
        return self

    def class_names(self, folder: Path) -> tuple[str, ...]:  # noqa: ARG002
        """Return the sorted names of the classes that inputs come with; () if they are of none."""
        return ()

    def read(self, folder: Path, classes: tuple[str, ...] | None) -> Arrays:
        """Read the inputs, and the labels if they come with them; else as `Source.read`."""
        return super().read(folder, classes if self.by_class else None)


class RandomInputs(Inputs):
    """Inputs that nobody has: so many, drawn at random for each model in the range of its own input."""

    form = "random"
    random: Count

    @model_validator(mode="after")
    def _has_the_models_range(self) -> Self:
        if self.model_fields_set & {"scale", "offset", "quantized"}:
            raise ValueError("random inputs have the range of each model's input; remove scale, offset and quantized")
        return self


class InputArray(Inputs, ArrayFile):
    """Inputs from an array."""


class InputCsv(Inputs, CsvFile):
    """Inputs from a text file: a row each."""


class InputParquet(Inputs, ParquetFile):
    """Inputs from a Parquet file: a row each."""


class InputFunction(Inputs, Function):
    """Inputs from a function."""


class FilesByClass(Inputs):
    """Files in a folder for each class, or those of a folder that `list`, lines of `file,class`, names."""

    by_class = True
    list: Text | None = None

    def class_names(self, folder: Path) -> tuple[str, ...]:
        """Return the names of the class folders, or those in the list, sorted.

        Raises:
            ConfigError: a folder or the list is missing or empty.
        """
        from harness.data.files_by_class import files_by_class  # noqa: PLC0415 (late, as above)

        listed = None if self.list is None else folder / self.list
        return files_by_class(folder / getattr(self, self.form), listed, None, ())[2]


class Images(FilesByClass):
    """PNG, JPEG or BMP files of one size and colour, or brought to it as stated."""

    form, paths = "images", ("images", "list")
    images: Text
    size: tuple[Count, Count]
    color: Literal["grey", "rgb"]
    crop: Literal["center"] | None = None
    resize: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] | None = None


class FrontEndKeys(Model):
    """A front end with all its parameters, as `harness.data.front_end.FrontEnd` explains them."""

    name: Literal["spectrogram", "log_mel", "mfcc"]
    window: Count
    hop: Count
    fft: Annotated[int, Field(ge=2)]
    window_type: Literal["hann", "hamming", "rectangular"]
    power: Literal[1, 2]
    center: bool = False
    mels: Count | None = None
    low: Annotated[float, Field(ge=0)] | None = None
    high: float | None = None
    mel_scale: Literal["slaney", "htk", "tensorflow"] | None = None
    mel_norm: Literal["slaney"] | None = None
    log: Literal["natural", "db"] | None = None
    log_floor: Annotated[float, Field(ge=0)] = 0.0
    log_offset: Annotated[float, Field(ge=0)] = 0.0
    top_db: Annotated[float, Field(gt=0)] | None = None
    coefficients: Count | None = None
    dct: Literal["ortho", "tensorflow"] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        mel, mfcc = ("mels", "low", "high", "mel_scale", "log"), ("coefficients", "dct")
        needed = {"spectrogram": (), "log_mel": mel, "mfcc": mel + mfcc}[self.name]
        for key in (*mel, "mel_norm", *mfcc):
            given = key in self.model_fields_set
            if given and key not in (*needed, "log", *(("mel_norm",) if needed else ())):
                raise ValueError(f"{self.name} has no {key}")
            if key in needed and getattr(self, key) is None:
                raise ValueError(f"{self.name} needs {key}: results depend on it, so it has no default")
        if self.log and not self.log_floor + self.log_offset:
            raise ValueError("log needs a log_floor or a log_offset above 0, since there is no logarithm of 0")
        if not self.log and {"log_floor", "log_offset", "top_db"} & self.model_fields_set:
            raise ValueError("log_floor, log_offset and top_db go with log")
        if self.window > self.fft:
            raise ValueError(f"a window of {self.window} samples doesn't fit into an fft of {self.fft}")
        if self.fft % 2:
            raise ValueError(f"fft must be even, not {self.fft}")
        if (self.coefficients or 0) > (self.mels or 0):
            raise ValueError(f"there are no {self.coefficients} coefficients of {self.mels} mels")
        return self


class Wav(FilesByClass):
    """WAV files of one rate and length; their samples, or what a front end makes of them."""

    form, paths = "wav", ("wav", "list")
    wav: Text
    rate: Count
    seconds: Annotated[float, Field(gt=0)]
    channel: Annotated[int, Field(ge=0)] | None = None
    shorter: Literal["pad"] | None = None
    longer: Literal["start", "center"] | None = None
    front_end: FrontEndKeys | None = None

    @model_validator(mode="before")
    @classmethod
    def _note_of_the_front_end(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("front_end") and ON_THE_HOST not in str(data.get("note")):
            return {**data, "note": "; ".join(filter(None, (str(data.get("note", "")), ON_THE_HOST)))}
        return data

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if abs(self.rate * self.seconds - self.length) > 1e-6:
            raise ValueError(f"{self.seconds:g} s at {self.rate} samples per second are no whole number of samples")
        made = self.front_end
        if made and not made.center and made.window > self.length:
            raise ValueError(f"front_end: a window of {made.window} samples is longer than an input of {self.length}")
        if made and made.high is not None and not (made.low or 0) < made.high <= self.rate / 2:
            raise ValueError(f"front_end: high must lie above low and at most at half the rate, {self.rate / 2:g} Hz")
        return self

    @property
    def length(self) -> int:
        """Samples of an input."""
        return round(self.rate * self.seconds)

    def _keys(self) -> dict[str, Any]:
        keys = super()._keys() | {"length": self.length}
        del keys["seconds"]
        if self.front_end is not None:
            keys["front_end"] = self.front_end.model_dump(exclude_none=True)
        return keys


class Labels(Source):
    """The labels. `from inputs`: they come with these, from the folders or the list that sort files by class."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_inputs(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Any:
        return FromInputs() if data == "from inputs" else handler(data)


class LabelArray(Labels, ArrayFile):
    """Labels from an array."""


class LabelCsv(Labels, CsvFile):
    """Labels from columns of a text file."""


class LabelParquet(Labels, ParquetFile):
    """Labels from columns of a Parquet file."""


class LabelFunction(Labels, Function):
    """Labels from a function."""


class FromInputs(Labels):
    """Labels that come with the inputs."""

    @property
    def name(self) -> str:
        """What errors and results call it."""
        return "labels from inputs"

    def from_folder(self, folder: Path, other: Path) -> str:  # noqa: ARG002
        """Return what any suite says."""
        return "from inputs"


#: The forms that each may have.
FORMS: Final[Mapping[type[Source], tuple[type[Source], ...]]] = {
    Inputs: (InputArray, InputCsv, InputParquet, Images, Wav, InputFunction, RandomInputs),
    Labels: (LabelArray, LabelCsv, LabelParquet, LabelFunction),
}
