"""What is sent to the worker of a board: the order for a case, and the files that travel with it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from harness.config import ArrayFile
from harness.config.inputs import InputArray, Inputs, LabelArray, RandomInputs, Source, TensorInputs
from harness.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import BoardKind, Suite
    from harness.farm.night import Night, PlannedCase

#: The keys of a suite that may name a file of arrays.
_ARRAYS: Final = ("inputs", "labels", "groups", "lengths")

AnyArray = TypeVar("AnyArray", bound=ArrayFile)


@dataclass(frozen=True)
class Order:
    """A case for a board.

    Attributes:
        number: of the case in its run.
        run: name of that run.
        device: name of the board.
        backend: what it runs on.
        pool: name of its pool of boards; None if the case was asked of this very board.
        suite: with only the variant that is measured; its files have the names in `files`.
        samples: how many inputs; None for what the suite says.
        power: as in nightly.yaml.
        seconds: how long it took before, 0 if nobody knows.
        limit_s: after so long it hangs, and the worker's process ends.
        files: SHA-256 of each file, by its name.
    """

    number: int
    run: str
    device: str
    backend: Any
    pool: str | None
    suite: Suite
    samples: int | None
    power: Any
    seconds: float
    limit_s: float
    files: Mapping[str, str]


@dataclass(frozen=True)
class Packed:
    """What a worker couldn't read where it is: content of an .npz file, and what a suite with it says, by key."""

    content: bytes
    sources: Mapping[str, Source]


def pack(suite: Suite) -> Packed | None:
    """Return a suite's inputs, labels and groups as arrays; None if they are array files, which travel as they are.

    Raises:
        ConfigError: they can't be read, or don't fit together.
    """
    given = {key: source for key in _ARRAYS if (source := getattr(suite, key)) is not None}
    if all(isinstance(source, ArrayFile | RandomInputs) for source in given.values()):
        return None
    data, file = suite.load_all(), io.BytesIO()
    parts = {f"inputs {name}".strip(): part for name, part in data.parts.items()}
    arrays: dict[str, Any] = {key: getattr(data, key) for key in given if key != "inputs"}
    arrays |= {key: part.raw for key, part in parts.items()}
    np.savez(file, **arrays)
    sources: dict[str, Source] = {key: LabelArray(file="data.npz", array=key) for key in given}
    inputs: dict[str, Inputs] = {}
    for key, part in parts.items():
        scale = {"quantized": True} if part.quantized else {"scale": part.scale, "offset": part.offset}
        said = {"file": "data.npz", "array": key, "note": suite.inputs.note, **scale}
        inputs[key.removeprefix("inputs ")] = InputArray.model_validate(said)
    whole = inputs["inputs"] if data.tensors is None else TensorInputs(tensors=inputs, note=suite.inputs.note)
    return Packed(file.getvalue(), {**sources, "inputs": whole})


def order_case(
    night: Night, case: PlannedCase, device: str, suite: Suite, kind: BoardKind, limit_s: float, packed: Packed | None
) -> tuple[Order, dict[str, bytes]]:
    """Return the order for a case, and the files that must travel with it, by the name that they have there.

    `packed` are the suite's inputs and labels unless these are array files.

    Raises:
        ConfigError, OSError: an image or a file isn't there.
    """
    variant = suite.variant(case.variant)
    files: dict[str, str] = {}
    content: dict[str, bytes] = {}

    def named(path: Path, data: bytes | None = None) -> str:
        data = path.read_bytes() if data is None else data
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest[:16]}/{path.name}"
        files[name], content[name] = digest, data
        return name

    def moved(source: AnyArray) -> AnyArray:
        return source.model_copy(update={"file": named(suite.path.parent / source.file)})

    image = named(suite.image_path(variant, kind))
    reference = None if variant.reference is None else moved(variant.reference)
    data: dict[str, Source]
    if packed is None:
        data = {key: moved(source) for key in _ARRAYS if isinstance(source := getattr(suite, key), ArrayFile)}
    else:
        file = {"file": named(Path("data.npz"), packed.content)}

        def there_now(source: Source) -> Source:
            if isinstance(source, TensorInputs):
                return source.model_copy(update={"tensors": {k: there_now(s) for k, s in source.tensors.items()}})
            return source.model_copy(update=file)

        data = {key: there_now(source) for key, source in packed.sources.items()}
    there = suite.model_copy(
        update={
            "path": Path(suite.path.name),
            **data,
            "variants": (variant.model_copy(update={"image": image, "reference": reference}),),
        }
    )
    order = Order(
        number=case.number,
        run=night.run.name,
        device=device,
        backend=case.backend,
        pool=case.pool,
        suite=there,
        samples=night.options["samples"],
        power=night.options["power"],
        seconds=case.seconds or 0.0,
        limit_s=limit_s,
        files=files,
    )
    return order, content


def lay_out(folder: Path, files: Mapping[str, str], content: Mapping[str, bytes]) -> None:
    """Write the files of an order where they are looked for.

    Raises:
        FarmError: one is missing, or isn't what was sent.
    """
    for name, digest in files.items():
        path = folder / PurePath(name)
        if hashlib.sha256(content.get(name, b"")).hexdigest() != digest:
            raise FarmError(f"{path.name} came damaged: it hasn't the SHA-256 that the driver says")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[name])
