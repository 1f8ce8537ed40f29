from __future__ import annotations

import pytest

from harness.build.toolchain import Unit, compile_units, find_toolchain, link
from harness.errors import ConfigError

CPU = ("-mcpu=cortex-m4", "-mthumb")


def write(path, text):
    path.write_text(text)
    return path


def compiled(toolchain, units, folder, kept=None):
    return compile_units(toolchain, units, folder / "objects", kept or folder / "kept")


def test_a_missing_compiler_says_how_to_install_it():
    with pytest.raises(ConfigError, match=r"(?s)no-such-cpu-gcc isn't installed.*apt-get install gcc-arm-none-eabi"):
        find_toolchain("no-such-cpu-")


def test_a_program_that_is_no_compiler(tmp_path, monkeypatch):
    write(tmp_path / "odd-gcc", "#!/bin/sh\necho nothing works >&2\nexit 3\n").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ConfigError, match="odd-gcc --version failed: nothing works"):
        find_toolchain("odd-")


def test_the_version_is_the_compilers_own_words(toolchain):
    assert toolchain.version.startswith("arm-none-eabi-gcc")


def test_a_source_that_does_not_compile_is_named(toolchain, tmp_path):
    source = write(tmp_path / "wrong.c", "int f(void) { return nonsense; }\nint g(void) { return other; }\n")
    with pytest.raises(ConfigError, match=r"(?s)wrong\.c can't be compiled \(arm-none-eabi-gcc.*nonsense") as caught:
        compiled(toolchain, [Unit(source, CPU)], tmp_path)
    assert str(caught.value).count("error:") == 1  # others often follow from the first


def test_warnings_are_handed_on(toolchain, tmp_path):
    source = write(tmp_path / "odd.c", "int f(void) { int unused; return 1; }\n")
    _, warnings = compiled(toolchain, [Unit(source, (*CPU, "-Wall"))], tmp_path)
    assert "unused variable" in warnings


def test_objects_come_in_the_order_of_the_units(toolchain, tmp_path):
    sources = [
        write(tmp_path / f"{name}.c", f"int {name}(void) {{ return 1; }}\n") for name in ("zebra", "ant", "mole")
    ]
    units = [Unit(source, CPU, keep=keep) for source, keep in zip(sources, (True, False, True), strict=True)]
    objects, _ = compiled(toolchain, units, tmp_path)
    assert [name in path.name for name, path in zip(("zebra", "ant", "mole"), objects, strict=True)] == [True] * 3


def test_kept_objects_are_made_again_only_when_something_changed(toolchain, tmp_path):
    header = write(tmp_path / "h.h", "#define N 1\n")
    source = write(tmp_path / "s.c", '#include "h.h"\nint f(void) { return N; }\n')
    kept = tmp_path / "kept"

    def build(*options):
        ((path,), _) = compiled(toolchain, [Unit(source, (*CPU, *options), (header,), keep=True)], tmp_path, kept)
        return path

    first = build()
    made = first.stat().st_mtime_ns
    assert build() == first
    assert first.stat().st_mtime_ns == made
    optimized = build("-O2")
    header.write_text("#define N 2\n")
    other_header = build()
    source.write_text('#include "h.h"\nint f(void) { return N + 1; }\n')
    other_source = build()
    assert len({first, optimized, other_header, other_source}) == 4
    assert other_header.read_bytes() != first.read_bytes()


def test_the_linker_says_how_full_the_regions_are(toolchain, tmp_path):
    script = write(
        tmp_path / "l.ld",
        "MEMORY { ROM (rx) : ORIGIN = 0, LENGTH = 1K\n RAM (rw) : ORIGIN = 0x20000000, LENGTH = 100 }\n"
        "SECTIONS { .text : { *(.text*) } > ROM\n .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM }\n",
    )
    source = write(tmp_path / "s.c", "char big[SIZE]; void _start(void) { big[1] = 1; }\n")
    found = {}
    for size in (60, 160):
        objects, _ = compiled(toolchain, [Unit(source, (*CPU, "-ffreestanding", f"-DSIZE={size}"))], tmp_path)
        options = (*CPU, "-nostdlib", "-T", str(script))
        found[size] = link(toolchain, objects, options, tmp_path / "out.elf", cxx=False)
    assert found[60].problem is None
    assert {r.name: (r.used_bytes, r.size_bytes) for r in found[60].regions}["RAM"] == (60, 100)
    assert "RAM" in found[160].problem
    assert {r.name: (r.used_bytes, r.size_bytes) for r in found[160].regions}["RAM"] == (160, 100)
