"""The kernels, compiled once."""

from __future__ import annotations

import pytest

from engine.targets import CORTEX_M0, compile_kernels, compiler, cortex_flags, host_flags


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory):
    return compile_kernels(compiler("gcc"), host_flags(), tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="session")
def cortex_kernels(tmp_path_factory):
    return compile_kernels(compiler("arm-none-eabi-gcc"), cortex_flags(), tmp_path_factory.mktemp("cortex"))


@pytest.fixture(scope="session")
def cortex_m0_kernels(tmp_path_factory):
    return compile_kernels(compiler("arm-none-eabi-gcc"), cortex_flags(CORTEX_M0), tmp_path_factory.mktemp("cortex_m0"))
