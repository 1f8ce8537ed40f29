"""`front_end:` of WAV inputs: which one, with all its parameters."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.config.document import Model

Count = Annotated[int, Field(ge=1)]


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
