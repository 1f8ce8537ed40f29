"""Runs compiled models: as a shared library on the host, and as Cortex-M4F machine code in a bare Unicorn."""

from __future__ import annotations

import ctypes
import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from unicorn.arm_const import UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_R0, UC_ARM_REG_SP

from harness.boards.virtual.core.binding import emulate
from harness.boards.virtual.core.cores import CORES
from harness.boards.virtual.core.counter import BlockCounter
from harness.build import emit_c, plan_memory

FIRMWARE = Path(__file__).parents[2] / "firmware"
ENGINE = FIRMWARE / "engine"
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
CORTEX_M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
CORTEX_M0 = ("-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft", "-masm-syntax-unified")

FLASH_BYTES = 0x400000
RAM, RAM_BYTES = 0x20000000, 0x100000
STACK_TOP, STACK_BYTES = RAM + RAM_BYTES, 0x4000
RETURN_TO = FLASH_BYTES - 4  # nothing is linked there
LINKER_SCRIPT = f"""
MEMORY {{ flash (rx) : ORIGIN = 0x0, LENGTH = {FLASH_BYTES:#x}
          ram (rwx) : ORIGIN = {RAM:#x}, LENGTH = {RAM_BYTES:#x} }}
SECTIONS {{
  .text : {{ KEEP(*(.hil_card)) *(.text*) *(.rodata*) . = ALIGN(8); }} > flash
  .ARM.exidx : {{ *(.ARM.exidx*) }} > flash
  .data : {{ *(.data*) }} > ram
  .bss (NOLOAD) : {{ *(.arena) *(.bss*) *(COMMON) end = .; }} > ram
}}
"""


#: What the agent has.
INPUT_BUFFER = """#include "hil_model.h"
#include "model_config.h"
uint8_t hil_input[HIL_INPUT_BYTES + 20u] __attribute__((aligned(4)));
"""


def compiler(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} isn't installed")
    return path


def run_compiler(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def host_flags(extra=()):
    return [*WARNINGS, "-O1", "-fPIC", *extra]


def cortex_flags(cpu=CORTEX_M4F):
    """What firmware/Makefile compiles with, as far as it changes the code."""
    code = ["-O2", "-ffreestanding", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"]
    return [*cpu, *WARNINGS, *code]


def compile_kernels(gcc, flags, folder, which="*.c"):
    """Return a library of all kernels: they are the same for every model, so compile them once."""
    objects, library = [], folder / "kernels.a"
    for source in sorted(ENGINE.glob(which)):
        objects.append(folder / f"{source.stem}.o")
        run_compiler([gcc, *flags, f"-I{ENGINE}", f"-I{FIRMWARE / 'agent'}", "-c", source, "-o", objects[-1]])
    run_compiler([f"{gcc.removesuffix('gcc')}ar", "rcs", library, *objects])
    return library


def write_model(graph, folder, *, plain, patches=None):
    """The generated files, and what the compiler needs to find them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.c").write_text(INPUT_BUFFER)
    for name, text in emit_c(graph, plan_memory(graph, patches), board="test", name="test").items():
        (folder / name).write_text(text)
    includes = [f"-I{ENGINE}", f"-I{FIRMWARE / 'agent'}", f"-I{folder}"]
    return [*(["-DHIL_PLAIN_C"] if plain else []), *includes, folder / "model.c", folder / "input.c"]


def pieces_of(card, content):
    """The parts of an input that a model takes one after the other."""
    return [content[start : start + size] for start, size in json.loads(card).get("pieces", [])] or [content]


def prefix(graph, count):
    """The first `count` operators of a graph, so that an intermediate tensor becomes the output."""
    last = graph.operators[count - 1].outputs[0]
    return replace(graph, operators=graph.operators[:count], outputs=(graph.tensors[last],))


def as_tensor(content, tensor):
    return np.frombuffer(content, tensor.dtype).reshape(tensor.shape)


class _Tensor(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("bytes", ctypes.c_uint32))


class _Model(ctypes.Structure):
    _fields_ = (
        ("card", ctypes.c_void_p),
        ("card_bytes", ctypes.c_uint32),
        ("input", ctypes.c_void_p),
        ("input_bytes", ctypes.c_uint32),
        ("output", ctypes.c_void_p),
        ("output_bytes", ctypes.c_uint32),
        ("more_inputs", ctypes.POINTER(_Tensor)),
        ("more_outputs", ctypes.POINTER(_Tensor)),
    )


def _listed(tensors, count):
    """What stands in a list of all tensors but the first, which ends with one of 0 bytes."""
    if count == 1:
        assert not tensors
        return []
    assert tensors[count - 1].bytes == 0
    return [(tensors[n].data, tensors[n].bytes) for n in range(count - 1)]


class HostModel:
    """The generated C and the kernels, compiled for this machine."""

    def __init__(self, graph, folder, kernels, *, plain=False, patches=None, extra=()):
        library = folder / "model.so"
        files = write_model(graph, folder, plain=plain, patches=patches)
        run_compiler([compiler("gcc"), *host_flags(extra), "-shared", *files, kernels, "-lm", "-o", library])
        self._library = ctypes.CDLL(str(library))
        self._graph = graph
        self.model = _Model()
        assert self._library.hil_model_setup(ctypes.byref(self.model)) == 0
        self.reset()

    def reset(self):
        if self._graph.state:
            assert self._library.hil_model_reset() == 0

    def __call__(self, *inputs):
        """Each output, or the only one."""
        model, graph = self.model, self._graph
        places = [(model.input, model.input_bytes), *_listed(model.more_inputs, len(graph.inputs))]
        contents = [pieces_of(self.card, np.ascontiguousarray(values).tobytes()) for values in inputs]
        for parts in zip(*contents, strict=True):
            for part, (place, size) in zip(parts, places, strict=True):
                assert len(part) == size or len(contents[0]) > 1
                ctypes.memset(place, 0x55, size)
                ctypes.memmove(place, part, len(part))
            assert self._library.hil_model_invoke() == 0
        places = [(model.output, model.output_bytes), *_listed(model.more_outputs, len(graph.outputs))]
        outputs = [as_tensor(ctypes.string_at(*place), t) for place, t in zip(places, graph.outputs, strict=True)]
        return outputs if len(outputs) > 1 else outputs[0]

    @property
    def card(self):
        return ctypes.string_at(self.model.card, self.model.card_bytes)


class CortexModel:
    """The same, compiled for a Cortex-M. Counts the instructions and the stack of each inference."""

    cpu, core = CORTEX_M4F, "cortex-m4"

    def __init__(self, graph, folder, kernels, *, plain=False, patches=None):
        image, script = folder / "model.elf", folder / "model.ld"
        files = write_model(graph, folder, plain=plain, patches=patches)
        script.write_text(LINKER_SCRIPT)
        link = ["-nostartfiles", "-specs=nosys.specs", "-Wl,--gc-sections", "-Wl,-e,hil_model_invoke"]
        link += ["-Wl,-u,hil_model_setup", *(["-Wl,-u,hil_model_reset"] if graph.state else []), "-T", script]
        gcc = compiler("arm-none-eabi-gcc")
        run_compiler([gcc, *cortex_flags(self.cpu), *link, *files, kernels, "-lm", "-o", image])
        self._graph = graph
        self._flash = np.zeros(FLASH_BYTES, np.uint8)
        self._uc = emulate(CORES[self.core])
        self._uc.mem_map(RAM, RAM_BYTES)
        self._load(image)
        self._uc.mem_map_ptr(0, FLASH_BYTES, 5, self._flash.ctypes.data)
        self._counter = BlockCounter(self._uc, [(0, self._flash)], lambda _address, _code, _facts: frozenset())
        self.instructions = self.stack_bytes = 0
        description = STACK_TOP - STACK_BYTES - 64
        self._call("hil_model_setup", description)
        words = struct.unpack("<8I", self._uc.mem_read(description, 32))
        self._card = bytes(self._uc.mem_read(*words[:2])).decode()
        self._inputs = [words[2:4], *self._listed(words[6], len(graph.inputs))]
        self._outputs = [words[4:6], *self._listed(words[7], len(graph.outputs))]
        if graph.state:
            self._call("hil_model_reset")

    def _listed(self, address, count):
        return struct.iter_unpack("<2I", self._uc.mem_read(address, 8 * (count - 1))) if count > 1 else []

    def _load(self, image):
        with image.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                start, data = segment["p_paddr"], segment.data()
                if data and start < FLASH_BYTES:
                    self._flash[start : start + len(data)] = np.frombuffer(data, np.uint8)
            symbols = elf.get_section_by_name(".symtab").iter_symbols()
            self._symbols = {symbol.name: symbol["st_value"] for symbol in symbols}

    def _call(self, name, argument=0):
        paint = STACK_TOP - STACK_BYTES
        self._uc.mem_write(paint, b"\xa5" * STACK_BYTES)
        before = self._counter.total
        self._uc.reg_write(UC_ARM_REG_SP, STACK_TOP)
        self._uc.reg_write(UC_ARM_REG_LR, RETURN_TO | 1)
        self._uc.reg_write(UC_ARM_REG_R0, argument)
        self._uc.emu_start(self._symbols[name] | 1, RETURN_TO)
        assert self._uc.reg_read(UC_ARM_REG_PC) & ~1 == RETURN_TO
        assert self._uc.reg_read(UC_ARM_REG_R0) == 0
        self.instructions = self._counter.total - before
        stack = bytes(self._uc.mem_read(paint, STACK_BYTES))
        self.stack_bytes = STACK_BYTES - (len(stack) - len(stack.lstrip(b"\xa5")))

    def __call__(self, *inputs):
        """Each output, or the only one."""
        contents = [pieces_of(self._card, np.ascontiguousarray(values).tobytes()) for values in inputs]
        total = 0
        for parts in zip(*contents, strict=True):
            for part, (place, size) in zip(parts, self._inputs, strict=True):
                assert len(part) == size or len(contents[0]) > 1
                self._uc.mem_write(place, part)
            self._call("hil_model_invoke")
            total += self.instructions
        self.instructions = total
        pairs = zip(self._outputs, self._graph.outputs, strict=True)
        outputs = [as_tensor(bytes(self._uc.mem_read(*place)), tensor) for place, tensor in pairs]
        return outputs if len(outputs) > 1 else outputs[0]


class CortexM0Model(CortexModel):
    """The same, compiled for the Cortex-M0+, whose kernels are *_m0.c."""

    cpu, core = CORTEX_M0, "cortex-m0plus"
