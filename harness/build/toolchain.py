"""The C cross compiler: finds it, compiles each source once, and links an image."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError
from harness.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.build.kept import KeptObject

INSTALL = (
    "On Debian and Ubuntu: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi; elsewhere: the "
    "Arm GNU Toolchain for arm-none-eabi, with its bin folder on PATH"
)
INSTALL_AVR = "On Debian and Ubuntu: apt-get install gcc-avr avr-libc; elsewhere: AVR-GCC, with its bin folder on PATH"
INSTALL_CXX = "on Debian and Ubuntu: apt-get install libstdc++-arm-none-eabi-newlib"

#: What ld prints of each memory region with --print-memory-usage.
_REGION = re.compile(r"^\s*(\S+):\s+(\d+) (B|KB|MB|GB)\s+(\d+) (B|KB|MB|GB)\s+[\d.]+%\s*$", re.MULTILINE)
#: How the map file names a region and its beginning.
_ORIGIN = re.compile(r"^(\S+) +0x([0-9a-f]+) +0x[0-9a-f]+(?: +[a-z]+)?$", re.MULTILINE)
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_SHOWN_LINES = 30
_MAPS_FILES = 8  # gcc's first release that maps paths in __FILE__, too; Debian's avr-gcc is of release 5

CXX_SUFFIXES = (".cc", ".cpp", ".cxx")
_C_HEADERS = ("string.h", "math.h", "errno.h", "stdlib.h")
_CXX_HEADERS = ("cstdint", "cstddef", "algorithm", "cmath", "new", "type_traits")


@dataclass(frozen=True)
class Toolchain:
    """A cross compiler; `gxx` is None where C++ isn't installed."""

    gcc: str
    gxx: str | None
    version: str

    @property
    def release(self) -> int:
        """The first number of its version; a high one if that can't be read."""
        found = re.search(r"\) (\d+)\.", self.version)
        return int(found[1]) if found else sys.maxsize


@dataclass(frozen=True)
class Unit:
    """A source file, or several units' common form: what is compiled, with which options.

    Attributes:
        source: C, C++ or assembly.
        options: of the compiler, without -c and -o.
        headers: files that it may include; with the source and the options they make the key of a kept object.
        keep: the object is the same for every model, so that it can be kept.
        kept: of a user's own source: where its object is kept, and what else tells it from others.
    """

    source: Path
    options: tuple[str, ...]
    headers: tuple[Path, ...] = ()
    keep: bool = False
    kept: KeptObject | None = None

    @property
    def cxx(self) -> bool:
        """Whether it is C++."""
        return self.source.suffix in CXX_SUFFIXES


@dataclass(frozen=True)
class Region:
    """A memory region of the linker script, how much of it an image takes, and where it begins."""

    name: str
    used_bytes: int
    size_bytes: int
    start: int = 0


@dataclass(frozen=True)
class Linked:
    """What the linker said; `problem` is None if it made the image, and `map` its map file if it didn't."""

    regions: tuple[Region, ...]
    problem: str | None
    map: str = ""


def find_toolchain(prefix: str = "arm-none-eabi-") -> Toolchain:
    """Return the cross compiler whose programs begin with `prefix`.

    Raises:
        ConfigError: it isn't installed; the message says how to.
    """
    gcc_name = f"{prefix}gcc"
    gcc = shutil.which(gcc_name)
    if gcc is None:
        raise ConfigError(
            f"{gcc_name} isn't installed, or not on PATH: firmware can't be compiled. {_install(gcc_name)}."
        )
    done = _run([gcc, "--version"])
    if done.returncode != 0 or not done.stdout:
        raise ConfigError(f"{gcc} --version failed: {first_lines(done.stderr)}")
    return Toolchain(gcc, shutil.which(f"{prefix}g++"), done.stdout.splitlines()[0])


def _install(gcc_name: str) -> str:
    return INSTALL_AVR if gcc_name.startswith("avr-") else INSTALL


def compile_units(toolchain: Toolchain, units: Sequence[Unit], objects: Path, kept: Path) -> tuple[list[Path], str]:
    """Compile each unit; return the objects in the same order, and what the compiler warned of.

    Those that every image shares go into `kept`, and are compiled once; the others into `objects`.

    Raises:
        ConfigError: a source can't be compiled, or is C++ and there is no C++ compiler.
    """
    if toolchain.gxx is None and any(unit.cxx for unit in units):
        first = next(unit.source for unit in units if unit.cxx)
        raise ConfigError(f"{first} is C++, but {toolchain.gcc} comes without a C++ compiler; {INSTALL_CXX}.")
    for folder in (objects, kept):
        folder.mkdir(parents=True, exist_ok=True)

    def compiled(numbered: tuple[int, Unit]) -> tuple[Path, str]:
        number, unit = numbered
        if unit.kept is not None:
            own = replace(unit.kept, key=f"{unit.kept.key} {_key(toolchain, unit)}")
            said = own.said()
            if said is None:
                said = own.make(lambda draft, rule: _compile(toolchain, unit, draft, ("-MD", "-MF", str(rule))))
            return own.path, said
        if not unit.keep:
            target = objects / f"{number:03}-{unit.source.stem}.o"
            return target, _compile(toolchain, unit, target)
        target = kept / f"{unit.source.stem}-{_key(toolchain, unit)}.o"
        if target.exists():
            return target, ""
        with replacing(target) as draft:
            said = _compile(toolchain, unit, draft)
        return target, said

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(compiled, enumerate(units)))
    return [target for target, _ in done], "".join(said for _, said in done)


def link(toolchain: Toolchain, objects: Sequence[Path], options: Sequence[str], image: Path, *, cxx: bool) -> Linked:
    """Link objects, in their order, to an ELF file; libraries stand last in the options."""
    driver = toolchain.gxx if cxx and toolchain.gxx else toolchain.gcc
    pages = image.with_suffix(".map")
    more = ("-Wl,--print-memory-usage", f"-Wl,-Map={pages}")
    done = _run([driver, *map(str, objects), *more, *options, "-o", str(image)])
    text = pages.read_text(errors="replace") if pages.is_file() else ""
    origins = {
        name: int(origin, 16) for name, origin in _ORIGIN.findall(text.partition("Linker script and memory map")[0])
    }
    regions = tuple(
        Region(name, int(used) * _UNITS[unit], int(size) * _UNITS[size_unit], origins.get(name, 0))
        for name, used, unit, size, size_unit in _REGION.findall(done.stdout)
    )
    return Linked(regions, None) if done.returncode == 0 else Linked(regions, done.stderr.strip(), text)


def _compile(toolchain: Toolchain, unit: Unit, target: Path, more: Sequence[str] = ()) -> str:
    driver = toolchain.gxx if unit.cxx and toolchain.gxx else toolchain.gcc
    options = unit.options
    if toolchain.release < _MAPS_FILES:
        options = tuple(option.replace("-ffile-prefix-map", "-fdebug-prefix-map") for option in options)
    done = _run([driver, *options, *more, "-fmax-errors=1", "-c", str(unit.source), "-o", str(target)])
    if done.returncode == 0:
        return done.stderr
    hint = ""
    missing = re.search(r"fatal error: (\S+): No such file", done.stderr)
    if missing and missing[1] in _C_HEADERS:
        hint = f"\nThe C library is missing. {_install(Path(toolchain.gcc).name)}."
    elif missing and (missing[1] in _CXX_HEADERS or missing[1].startswith("bits/")):
        hint = f"\nThe C++ library is missing; {INSTALL_CXX}."
    raise ConfigError(f"{unit.source} can't be compiled ({toolchain.version}):\n{first_lines(done.stderr)}{hint}")


def _key(toolchain: Toolchain, unit: Unit) -> str:
    """Return what tells an object from that of another compiler, source, header or option."""
    parts = [toolchain.gcc, toolchain.version, *unit.options, unit.source.name]
    digest = hashlib.sha256("\0".join(parts).encode())
    for path in (unit.source, *unit.headers):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}  # what it says is read
    try:
        return subprocess.run(  # noqa: S603 (the compiler, without a shell)
            command, capture_output=True, text=True, errors="replace", check=False, env=environment
        )
    except OSError as error:
        raise ConfigError(f"{command[0]} can't be run: {error.strerror}") from error


def first_lines(text: str) -> str:
    """Return the beginning of what a program said, and how much more there is."""
    lines = text.strip().splitlines()
    more = [f"... and {len(lines) - _SHOWN_LINES} more lines"] if len(lines) > _SHOWN_LINES else []
    return "\n".join(lines[:_SHOWN_LINES] + more)
