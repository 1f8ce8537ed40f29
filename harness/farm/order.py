"""What the driver of a night sends to a board's worker: a case with everything that it needs, checked by SHA-256."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import FarmError
from harness.farm.cluster import difference, versions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from harness.config import BoardKind, Suite
    from harness.config.suite import ArrayFile
    from harness.farm.night import PlannedCase

AnyArray = TypeVar("AnyArray", bound="ArrayFile")


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


def pack(what: Any, content: Mapping[str, bytes]) -> dict[str, Any]:
    """Return an order, or a check, as it travels: plain until the receiver has seen that its versions are equal."""
    return {"versions": versions(), "what": pickle.dumps(what), "content": dict(content)}


def unpack(sent: Mapping[str, Any], whose: str) -> tuple[Any, Mapping[str, bytes]]:
    """Return what was sent, and the content of the files that came with it.

    Raises:
        FarmError: the sender has other versions than this host.
    """
    wrong = difference(sent["versions"], whose)
    if wrong is not None:
        raise FarmError(wrong)
    return pickle.loads(sent["what"]), sent["content"]  # noqa: S301 (who reaches a worker runs code anyway: TLS)


def order_case(
    case: PlannedCase,
    device: str,
    suite: Suite,
    kind: BoardKind,
    *,
    run: str,
    samples: int | None,
    power: Any,
    **more: Any,
) -> tuple[Order, dict[str, Path]]:
    """Return the order for a case, and the files that must travel with it, by the name that they have there.

    Raises:
        ConfigError: an image or a file isn't there.
    """
    variant = suite.variant(case.variant)
    files: dict[str, str] = {}
    paths: dict[str, Path] = {}

    def named(path: Path) -> str:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        name = f"{digest[:16]}/{path.name}"
        files[name], paths[name] = digest, path
        return name

    def moved(source: AnyArray) -> AnyArray:
        return source.model_copy(update={"file": named(suite.path.parent / source.file)})

    image = named(suite.image_path(variant, kind))
    reference = None if variant.reference is None else moved(variant.reference)
    there = suite.model_copy(
        update={
            "path": Path(suite.path.name),
            "inputs": moved(suite.inputs),
            "labels": moved(suite.labels),
            "variants": (variant.model_copy(update={"image": image, "reference": reference}),),
        }
    )
    order = Order(
        number=case.number,
        run=run,
        device=device,
        backend=case.backend,
        pool=case.pool,
        suite=there,
        samples=samples,
        power=power,
        seconds=case.seconds or 0.0,
        files=files,
        **more,
    )
    return order, paths


def lay_out(folder: Path, files: Mapping[str, str], content: Mapping[str, bytes]) -> None:
    """Write the files of an order where they are looked for; those that are there already have come before.

    Raises:
        FarmError: one is missing, or isn't what was sent.
    """
    for name, digest in files.items():
        path = folder / PurePath(name)
        if name in content:
            if hashlib.sha256(content[name]).hexdigest() != digest:
                raise FarmError(f"{path.name} came damaged: it hasn't the SHA-256 that the driver says")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content[name])
        elif not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise FarmError(f"{path.name} didn't come with the order, and isn't here")


def missing(paths: Mapping[str, Path], there: Collection[str]) -> dict[str, bytes]:
    """Return the content of the files that a worker doesn't have yet."""
    return {name: path.read_bytes() for name, path in paths.items() if name not in there}
