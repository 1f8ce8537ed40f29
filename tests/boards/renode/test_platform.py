"""What the platform gives Renode beyond its own chip: checked here without Renode, and in test_real.py on one."""

from __future__ import annotations

import re
from importlib import resources
from types import SimpleNamespace

import pytest

REPL = (resources.files("harness.boards.renode") / "nano33.repl").read_text()
INTEN, INTENSET, INTENCLR, EVENTCAUSE, ENABLE, READY = 0x300, 0x304, 0x308, 0x400, 0x500, 1 << 11


@pytest.fixture
def usbd():
    """USBD's script, run by this Python as Renode's runs it: the same names from access to access."""
    script = re.search(r"^usbd: .* sysbus 0x40027000\n.*?'''(.*?)'''", REPL, re.DOTALL | re.MULTILINE)[1]
    names = {}

    def access(kind, offset=0, value=0):
        kinds = {f"Is{other}": other == kind for other in ("Init", "Read", "Write")}
        names["request"] = request = SimpleNamespace(Offset=offset, Value=value, **kinds)
        exec(script, names)  # noqa: S102 (our own)
        return request.Value

    access("Init")
    return SimpleNamespace(
        init=lambda: access("Init"),
        read=lambda offset: access("Read", offset),
        write=lambda offset, value: access("Write", offset, value),
    )


def test_usbd_gets_ready_when_it_is_enabled_and_only_then(usbd):
    assert (usbd.read(ENABLE), usbd.read(EVENTCAUSE)) == (0, 0)
    usbd.write(ENABLE, 1)
    assert (usbd.read(ENABLE), usbd.read(EVENTCAUSE)) == (1, READY)
    usbd.write(EVENTCAUSE, READY)
    usbd.write(ENABLE, 1)
    assert usbd.read(EVENTCAUSE) == 0
    usbd.write(ENABLE, 0)
    usbd.write(ENABLE, 1)
    assert usbd.read(EVENTCAUSE) == READY
    usbd.init()
    assert (usbd.read(ENABLE), usbd.read(EVENTCAUSE)) == (0, 0)


def test_usbd_keeps_what_is_written_and_does_nothing_else(usbd):
    for register, value, expected in ((INTENSET, 0x90, 0x90), (INTENSET, 0x0F, 0x9F), (INTENCLR, 0x1F, 0x80)):
        usbd.write(register, value)
        assert {usbd.read(offset) for offset in (INTEN, INTENSET, INTENCLR)} == {expected}
    usbd.write(0x504, 1)  # USBPULLUP
    usbd.write(0x004, 1)  # TASKS_STARTEPIN[0]: nobody is attached
    assert (usbd.read(0x504), usbd.read(0x004)) == (1, 0)


def test_the_page_of_settings_is_erased_memory():
    assert re.search(
        r"^uicr: Memory\.ArrayMemory @ sysbus 0x10001000\n +size: 0x1000\n +initialValue: 0xFF$", REPL, re.MULTILINE
    )


def test_nothing_is_downloaded():
    assert "http" not in REPL
