"""Images with an engine of the user's own: a folder of C or C++ that implements hil_model.h."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.build.emit import characters
from harness.build.kept import KeptObject, digest, names_of_headers
from harness.build.linking import Parts
from harness.build.making import Made, Making, make_image, working_folder
from harness.build.sizes import check_output
from harness.build.sources import firmware_options, firmware_units, own_unit
from harness.build.toolchain import CXX_SUFFIXES, Unit
from harness.errors import ConfigError, ImageError
from harness.files.json_file import parse_json
from harness.files.replacing import replacing
from harness.image.model_card import ModelCard, parse_card

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SOURCE_SUFFIXES = (".c", ".S", *CXX_SUFFIXES)
_NEEDED = "card.json (the model card; docs/bring-your-own-model.md shows one)"


@dataclass(frozen=True)
class OwnEngine:
    """What belongs to an engine.

    Attributes:
        folder: its sources and .a libraries, at any depth.
        includes: more folders for headers, besides `folder` and `folder`/include.
        defines: NAME or NAME=VALUE.
        heap_bytes: size of the heap; 0 for none.
        excludes: patterns of paths below `folder` that are left out, as of the shell; * stands for slashes too.
    """

    folder: Path
    includes: tuple[Path, ...] = ()
    defines: tuple[str, ...] = ()
    heap_bytes: int = 0
    excludes: tuple[str, ...] = ()

    def files(self, *suffixes: str) -> list[Path]:
        """Return its files with one of these suffixes, sorted; none that is hidden or left out."""

        def belongs(path: Path) -> bool:
            below = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in below.parts)
            return not hidden and not any(fnmatchcase(below.as_posix(), pattern) for pattern in self.excludes)

        found = (path for path in self.folder.rglob("*") if path.suffix in suffixes and path.is_file())
        return sorted(filter(belongs, found))


def make_engine_image(engine: OwnEngine, making: Making, out: Path) -> Made:
    """Compile an engine, the agent and the board into an image.

    Raises:
        ConfigError: something is missing, wrong or too large; the message says what.
    """
    if not engine.folder.is_dir():
        raise ConfigError(f"{engine.folder}: is not a folder; --engine-dir names the one with the engine's sources")
    sources = engine.files(*_SOURCE_SUFFIXES)
    if not sources:
        raise ConfigError(f"{engine.folder}: holds no source ({', '.join(_SOURCE_SUFFIXES)})")
    for folder in engine.includes:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: is not a folder, but --include names it")
    with working_folder() as work:
        kept = None if making.kept is None else making.kept / f"{engine.folder.name}-{_name(engine, making)}"
        generated = (kept or work) / "generated"
        card_source = _write_card(engine, making, generated)
        units = _units(engine, making, sources, generated, kept)
        if card_source is not None:
            units.append(Unit(card_source, (*firmware_options(making.target), f"-I{generated}")))
        libraries = [str(path) for path in engine.files(".a")]
        # Static libraries may need each other, in any order.
        libraries = ["-Wl,--start-group", *libraries, "-Wl,--end-group"] if libraries else []
        lists = f"`{making.target.cross}nm --size-sort`"
        why = [f"The engine in {engine.folder} is linked whole; {lists} shows what is large."]
        try:
            return make_image(Parts(str(engine.folder), units, libraries, why), making, work, out)
        except ImageError as error:
            message = f"{engine.folder}: {str(error).split(': ', 1)[-1]}. Add {_NEEDED}."
            raise ConfigError(message) if "model card" in str(error) else error from None


def _name(engine: OwnEngine, making: Making) -> str:
    """Return what tells the objects of this engine from those of another one, and for another kind of board."""
    return _short(f"{engine.folder.resolve()} {making.target.kind.name}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _units(engine: OwnEngine, making: Making, sources: list[Path], generated: Path, kept: Path | None) -> list[Unit]:
    target = making.target
    # A model_config.h of the user's own counts before a generated one.
    places = [engine.folder, engine.folder / "include", *engine.includes, generated, target.firmware / "agent"]
    options = [f"-I{place}" for place in places if place.is_dir()]
    options += [f"-D{define}" for define in engine.defines]
    options += [f"-ffile-prefix-map={engine.folder}=engine", f"-ffile-prefix-map={generated}=generated"]
    config = engine.folder if (engine.folder / "model_config.h").is_file() else generated
    units = firmware_units(target, config, engine=False)
    seen = cache(digest)
    key = "" if kept is None else names_of_headers(place for place in places if place.is_dir())

    def object_of(source: Path) -> KeptObject | None:
        below = source.relative_to(engine.folder).as_posix()
        return None if kept is None else KeptObject(kept / f"{source.stem}-{_short(below)}.o", key, seen)

    units += [own_unit(target, source, options, object_of(source)) for source in sources]
    heap = [f"-DHIL_HEAP_BYTES={engine.heap_bytes}"] if engine.heap_bytes else []
    if heap:
        support = firmware_options(target, strict=making.strict)
        units.append(Unit(target.firmware / "support" / "heap.c", (*support, *heap)))
    if any(unit.cxx for unit in units):
        units.append(own_unit(target, target.firmware / "support" / "cxx.cpp", heap))
    return units


def _write_card(engine: OwnEngine, making: Making, generated: Path) -> Path | None:
    """Write what follows from card.json: the card as C, and model_config.h. Return the C file; None without a card."""
    files = {}
    path = engine.folder / "card.json"
    own_config = (engine.folder / "model_config.h").is_file()
    if not path.is_file():
        if own_config:
            return _put(generated, {})
        raise ConfigError(
            f"{engine.folder}: lacks {_NEEDED}. Or define hil_card in the section .hil_card yourself, and "
            "HIL_INPUT_BYTES and HIL_OUTPUT_BYTES in model_config.h"
        )
    card, text = _read_card(path, making.target.kind.name)
    check_output(str(path), card.output_bytes)
    if not own_config:
        files["model_config.h"] = (
            "#ifndef MODEL_CONFIG_H\n#define MODEL_CONFIG_H\n"
            f"#define HIL_INPUT_BYTES {card.input_bytes}u\n#define HIL_OUTPUT_BYTES {card.output_bytes}u\n#endif\n"
        )
    files["hil_card.h"] = (
        f"#ifndef HIL_CARD_H\n#define HIL_CARD_H\n#define HIL_CARD_BYTES {len(text)}u\n"
        '#ifdef __cplusplus\nextern "C"\n#else\nextern\n#endif\nconst char hil_card[HIL_CARD_BYTES];\n#endif\n'
    )
    files["hil_card.c"] = '#include "hil_card.h"\n\n' + characters("const", "hil_card", text)
    return _put(generated, files)


def _put(folder: Path, files: Mapping[str, str]) -> Path | None:
    """Write what is generated, and remove what an earlier build left there. Return the C file, if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in files:
            old.unlink(missing_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as draft:
            draft.write_text(content)
    return folder / "hil_card.c" if files else None


def _read_card(path: Path, board: str) -> tuple[ModelCard, str]:
    """Read card.json and fill in what is known."""
    try:
        given: Any = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as JSON: {error}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    if given.get("board", board) != board:
        raise ConfigError(f'{path}: says board "{given["board"]}", but --board is {board}; leave the key out')
    text = json.dumps({"card": 1, "board": board, **given}, separators=(",", ":"))
    return parse_card(text.encode(), str(path)), text
