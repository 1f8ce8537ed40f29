"""What an image is made of: the agent, the board, and an engine; with which options each is compiled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.emit import ENGINE
from harness.build.toolchain import Unit
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from harness.build.kept import KeptObject
    from harness.config import BoardKind

_OPTIONS = (
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Wundef",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wno-builtin-declaration-mismatch",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-ffp-contract=off",
)
#: Sources of the user's own: optimized and split alike, but with the whole C library, and their warnings are theirs.
_OWN_OPTIONS = ("-O2", "-Wall", "-ffunction-sections", "-fdata-sections", "-fno-common", "-DNDEBUG")
_CXX_OPTIONS = (
    "-std=c++17",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)
#: What is said of our kernels for a core without DSP instructions.
_WITHOUT_DSP = {
    **dict.fromkeys(("cortex-m0", "cortex-m0plus", "cortex-m1"), "kernels for the Cortex-M0+"),
    "cortex-m3": "C without DSP instructions",
}
LIBRARIES = ("-lm", "-lc", "-lgcc")
_PER_MODEL = re.compile(r'^\s*#\s*include\s+"model_config\.h"', re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A kind of board that firmware can be built for.

    Attributes:
        kind: the kind.
        firmware: where the sources are.
        cpu: the compiler's options for the CPU.
        scripts: the linker scripts, the first of which that an image fits is taken.
        kinds: what other kinds there are.
        code_in_ram: code and constants are run and read from RAM.
    """

    kind: BoardKind
    firmware: Path
    cpu: tuple[str, ...]
    scripts: tuple[Path, ...]
    kinds: tuple[BoardKind, ...] = ()
    code_in_ram: bool = False

    @property
    def board_folders(self) -> tuple[Path, ...]:
        """Where the board's sources are: what it shares with others first."""
        shared = self.kind.build.shared if self.kind.build else ()
        return tuple(self.firmware / "boards" / name for name in (*shared, self.kind.name))

    @property
    def cross(self) -> str:
        """What the names of its compiler's programs begin with."""
        return self.kind.build.cross if self.kind.build else ""

    @property
    def kernels(self) -> Path | None:
        """The folder of the kernels, all in plain C, that are all it has; None: those of firmware/engine."""
        name = self.kind.build.kernels if self.kind.build else None
        return None if name is None else self.firmware / "engine" / name

    @property
    def includes(self) -> tuple[str, ...]:
        """Where every source finds the agent's headers and those of the kernels."""
        return (f"-I{self.firmware / 'agent'}", f"-I{self.firmware / 'engine'}")


def engine_of(kind: BoardKind, *, code_in_ram: bool = False) -> str:
    """Return what our kernels are called in results: not the same without DSP instructions, or run from RAM."""
    if kind.build is not None and kind.build.kernels is not None:
        return f"{ENGINE} (C for {kind.build.kernels.upper()})"
    cpu = kind.build.cpu if kind.build is not None else ()
    more = [said for core, said in _WITHOUT_DSP.items() if f"-mcpu={core}" in cpu]
    more += ["code and weights in RAM"] if code_in_ram else []
    return f"{ENGINE} ({', '.join(more)})" if more else ENGINE


def target_for(kind: BoardKind, kinds: Sequence[BoardKind], firmware: Path, *, code_in_ram: bool = False) -> Target:
    """Return how firmware is built for a kind of board.

    Raises:
        ConfigError: it isn't known how, or not with code in RAM; names the kinds of which it is.
    """
    folder = firmware / "boards" / kind.name
    if kind.build is None or not folder.is_dir():
        can = ", ".join(other.name for other in kinds if other.build is not None) or "none"
        lacks = f"has no folder {folder}" if kind.build else 'has no "build:" (harness/boards/kinds/NAME.yaml)'
        raise ConfigError(f"hil build can't make firmware for {kind.name}: it {lacks}. It can for: {can}.")
    missing = [name for name in kind.build.shared if not (folder.parent / name).is_dir()]
    if missing:
        raise ConfigError(f"{folder.parent / missing[0]}, which firmware for {kind.name} shares, is not there")
    build = kind.build
    names = (build.linker_script, *build.further_scripts)
    if code_in_ram:
        names = () if build.ram_script is None else (build.ram_script,)
    if not names:
        can = ", ".join(other.name for other in kinds if other.build is not None and other.build.ram_script) or "none"
        raise ConfigError(f"--code-in ram: firmware for {kind.name} runs from flash only. It can for: {can}.")
    scripts = tuple(folder / name for name in names)
    for script in scripts:
        if not script.is_file():
            raise ConfigError(f"{script}, the linker script of {kind.name}, is not there")
    return Target(kind, firmware, build.cpu, scripts, tuple(kinds), code_in_ram)


def firmware_units(
    target: Target, generated: Path, *, plain: bool = False, strict: bool = False, engine: bool
) -> list[Unit]:
    """Return the sources of agent, board, and (with `engine`) our kernels, in the order in which they are linked.

    Folder `generated` holds model_config.h. For `plain` and `strict` see Making.
    """
    kernels = target.kernels or target.firmware / "engine"
    linked = [target.firmware / "agent", *([kernels] if engine else [])]
    every = [*linked, target.firmware / "engine"]
    options = (*firmware_options(target, plain=plain, strict=strict), *target.includes)
    places = tuple(f"-I{folder}" for folder in target.board_folders)
    # What doesn't see the board's headers is compiled once for all boards with the same CPU.
    return [
        *_units(linked, every, generated, options),
        *_units(target.board_folders, (*every, *target.board_folders), generated, (*options, *places)),
    ]


def _units(folders: Sequence[Path], seen: Sequence[Path], generated: Path, options: tuple[str, ...]) -> Iterator[Unit]:
    """Yield the sources in `folders`, which find headers in those that are `seen`."""
    headers = tuple(path for folder in seen for path in sorted(folder.glob("*.h")))
    # A header that knows the model would make every object one of the model.
    shared = not any(_PER_MODEL.search(path.read_text()) for path in headers)
    for path in (path for folder in folders for path in sorted(folder.glob("*.c"))):
        if shared and not _PER_MODEL.search(path.read_text()):
            yield Unit(path, options, headers, keep=True)
        else:
            yield Unit(path, (*options, f"-I{generated}", f"-ffile-prefix-map={generated}=."))


def model_unit(target: Target, source: Path, *, plain: bool = False, strict: bool = False) -> Unit:
    """Return model.c, which lies beside its model_config.h. A number that its struct can't hold is always an error."""
    options = firmware_options(target, plain=plain, strict=strict)
    places = (*target.includes, f"-I{source.parent}", f"-ffile-prefix-map={source.parent}=.")
    return Unit(source, (*options, "-Werror=overflow", *places))


def firmware_options(target: Target, *, plain: bool = False, strict: bool = False) -> tuple[str, ...]:
    """Return the options for our own C."""
    return (
        *_OPTIONS,
        *target.cpu,
        *(["-Werror"] if strict else []),
        *(["-DHIL_PLAIN_C"] if plain or target.kernels else []),
        f"-ffile-prefix-map={target.firmware}=.",
    )


def own_unit(target: Target, source: Path, options: Iterable[str], kept: KeptObject | None = None) -> Unit:
    """Return a source of the user's own."""
    cxx = Unit(source, ()).cxx
    every = (*target.cpu, *_OWN_OPTIONS, *(_CXX_OPTIONS if cxx else ("-std=gnu11",)), *options)
    return Unit(source, every, kept=kept)


def link_options(target: Target, script: Path, *, cxx: bool) -> tuple[str, ...]:
    """Return the options for the linker with one of the target's scripts, without libraries."""
    wrap = ("-Wl,--wrap=hil_model_setup",) if cxx else ()
    flags = ("-Wl,--gc-sections", "-Wl,--build-id=sha1", "-Wl,--fatal-warnings")
    places = [f"-L{folder}" for folder in target.board_folders]  # where its linker script finds those it includes
    return (*target.cpu, "-nostartfiles", *places, "-T", str(script), *flags, *wrap)
