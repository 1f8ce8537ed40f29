"""What is compiled on first use and kept in the user's cache: the emulator around simavr's library, and optiboot."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from elftools.elf.elffile import ELFFile

from harness.errors import ConfigError
from harness.files.cache import user_cache
from harness.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOW_TO_GET_IT: Final = "`apt install libsimavr-dev gcc` on Debian and Ubuntu"
_SOURCE = Path(__file__).with_name("uno.c")
_COMPILE_S = 60.0
_INCLUDE = ("/usr/include", "/usr/local/include", "/opt/homebrew/include")
_OPTIBOOT = (
    (Path("/usr/share/arduino"), "hardware/arduino/avr"),
    (Path.home() / ".arduino15", "packages/arduino/hardware/avr/*"),
    (Path.home() / "Library/Arduino15", "packages/arduino/hardware/avr/*"),
)
#: The boot section of an Uno, as its fuses set it.
BOOT_START, BOOT_END = 0x7E00, 0x8000


@cache
def require_simavr() -> Path:
    """Return the emulator, compiled now if it wasn't yet.

    Raises:
        ConfigError: that can't be done here; says what to install.
    """
    problem = f"the virtual Arduino Uno needs simavr's library, which isn't here. {HOW_TO_GET_IT}"
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if os.name != "posix":
        raise ConfigError("the virtual Arduino Uno needs a pseudo-terminal, which Windows lacks; use WSL")
    if compiler is None:
        raise ConfigError(f"{problem} (there is no C compiler `cc`)")
    headers = [Path(folder, "simavr/sim_avr.h") for folder in _INCLUDE]
    options = ("-std=c11", "-O2", "-o", "{out}", str(_SOURCE), "-lsimavr", "-ldl")
    try:
        return _made("uno", [compiler, *options], (_SOURCE, *headers))
    except ConfigError as error:
        if any(word in str(error) for word in ("simavr/", "lsimavr")):
            raise ConfigError(problem) from error
        raise


@cache
def find_optiboot() -> tuple[Path | None, str]:
    """Return a binary of optiboot for the boot section, and where its source is; or None and what is missing.

    It is compiled from the source that Arduino's core ships, without its flashes of the LED (LED_START_FLASHES=0): with
    them Debian's compiler makes 532 bytes of it, and the boot section has 512. The .hex that Debian ships is that long.
    """
    found = [
        path
        for folder, core in _OPTIBOOT
        for path in sorted(folder.glob(f"{core}/bootloaders/optiboot/optiboot.c"), reverse=True)
    ]
    if not found:
        return None, "Arduino's bootloader isn't here (`apt install arduino-core-avr`)"
    compiler = shutil.which("avr-gcc")
    if compiler is None:
        return None, "nothing compiles Arduino's bootloader here (`apt install gcc-avr avr-libc`)"
    source = found[0]
    options = (
        *("-Os", "-mmcu=atmega328p", "-DF_CPU=16000000L", "-DBAUD_RATE=115200", "-DLED_START_FLASHES=0"),
        *(f"-Wl,--section-start=.text={BOOT_START:#x}", f"-Wl,--section-start=.version={BOOT_END - 2:#x}"),
        *("-nostartfiles", "-nostdlib", "-Wl,--relax", "-o", "{out}", str(source)),
    )
    try:
        made = _made("optiboot.elf", [compiler, *options], sorted(source.parent.glob("*.[ch]")))
        binary = made.with_suffix(".bin")
        if not binary.exists():  # other processes may read it
            with replacing(binary) as draft:
                draft.write_bytes(_boot_section(made.read_bytes()))
    except (ConfigError, OSError) as error:
        return None, f"Arduino's bootloader can't be made of {source}: {error}"
    return binary, str(source)


def how_it_is_flashed() -> tuple[Path | None, str]:
    """Return optiboot if images go through avrdude and it, as on a real Uno, else None; and the same in words."""
    optiboot, text = find_optiboot()
    if shutil.which("avrdude") is None:
        optiboot, text = None, "avrdude isn't installed (`apt install avrdude`)"
    if optiboot is None:
        return None, f"images are put into its flash directly, not by avrdude: {text}"
    return optiboot, "flashed by avrdude through optiboot"


def _boot_section(elf: bytes) -> bytes:
    content = bytearray(b"\xff" * (BOOT_END - BOOT_START))
    for segment in ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD"):
        start, data = segment["p_paddr"], segment.data()
        if data and not BOOT_START <= start <= start + len(data) <= BOOT_END:
            raise ConfigError(f"it reaches from {start:#x} to {start + len(data):#x}, outside of the boot section")
        content[start - BOOT_START : start - BOOT_START + len(data)] = data
    return bytes(content)


def _made(name: str, command: Sequence[str], sources: Iterable[Path]) -> Path:
    """Return what a compiler makes of sources, from the cache if they and it are as they were."""
    told = hashlib.sha256("\0".join(command).encode())
    for path in (Path(command[0]), *sources):
        if path.exists():
            told.update(path.read_bytes())
    folder = user_cache("simavr") / told.hexdigest()[:16]
    made = folder / name
    if made.exists():
        return made
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            part = Path(temporary, name)
            words = [word.replace("{out}", str(part)) for word in command]
            done = subprocess.run(  # noqa: S603 (the system's compiler, on files that are named here)
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_COMPILE_S
            )
            if done.returncode != 0:
                raise ConfigError(f"`{' '.join(words)}` failed: {done.stderr.strip()[-600:]}")
            part.replace(made)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{name} can't be compiled in {folder}: {error}") from error
    return made
