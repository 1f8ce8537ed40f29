"""Adding a device to devices.yaml as text, so that comments and layout stay as they are."""

from __future__ import annotations

import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any

import yaml

from harness.config.document import read_document
from harness.config.lab import Lab
from harness.errors import ConfigError
from harness.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NEW_FILE = "# The boards of this lab.\ndevices:\n"
_INDENT = 2
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


def device_yaml(name: str, entry: Mapping[str, Any], comments: Mapping[str, str], indent: int = _INDENT) -> str:
    """Write a device as it stands under `devices:`.

    Args:
        name: of the device.
        entry: its keys; a value is text or a mapping of texts.
        comments: what to say behind a key.
        indent: columns before the name.
    """
    lines = [" " * indent + f"{_plain(name)}:"]
    for key, value in entry.items():
        if isinstance(value, dict):
            text = "{" + ", ".join(f"{part}: {_quoted(word)}" for part, word in value.items()) + "}"
        else:
            text = _plain(value) if key in ("kind", "link", "flasher") else _quoted(value)
        comment = "".join(letter for letter in comments.get(key, "") if letter.isprintable())
        lines.append(" " * (indent + _INDENT) + f"{key}: {text}" + (f"  # {comment}" if comment else ""))
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Write text without quotes if it stays text then. What a USB device calls itself may be anything."""
    return text if _WORD.fullmatch(text) and yaml.safe_load(text) == text else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text)


def add_device(path: Path, name: str, entry: Mapping[str, Any], comments: Mapping[str, str]) -> None:
    """Add a device to devices.yaml, or begin the file with it. All that was there stays as it is.

    Raises:
        ConfigError: the file is wrong as it is, has that device already, or is laid out so that nothing can be
            added safely. It is then left alone.
    """
    path = path.resolve()  # a link stays a link
    if not path.exists():
        _replace(path, _NEW_FILE + device_yaml(name, entry, comments), None)
        return
    Lab.load(path)
    before = read_document(path).data
    if name in (before.get("devices") or {}):
        raise ConfigError(f"{path}: has a device called {name} already; choose another name")
    content = path.read_bytes().decode("utf-8")
    mark, text = ("\ufeff", content[1:]) if content.startswith("\ufeff") else ("", content)
    text = _without_empty_value(text, path)
    at, key, indent = _place(text, path)
    head = text[:at] + ("\n" if at and text[at - 1] != "\n" else "")
    added = head + key + device_yaml(name, entry, comments, indent) + text[at:]
    if "\r\n" in content:
        added = added.replace("\r\n", "\n").replace("\n", "\r\n")
    expected = {**before, "devices": {**(before.get("devices") or {}), name: dict(entry)}}
    _replace(path, mark + added, expected)


def _devices_node(text: str, path: Path) -> yaml.Node | None:
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    if top is None:
        return None
    if not isinstance(top, yaml.MappingNode) or top.flow_style:
        raise _by_hand(path)
    return next((value for key, value in top.value if key.value == "devices"), None)


def _without_empty_value(text: str, path: Path) -> str:
    """Take away the `{}` or `null` of a file without devices; a comment behind it stays."""
    node = _devices_node(text, path)
    if node is None or (isinstance(node, yaml.MappingNode) and node.value):
        return text
    return text[: node.start_mark.index].rstrip(" ") + text[node.end_mark.index :]


def _place(text: str, path: Path) -> tuple[int, str, int]:
    """Find where a device can be added: the place, the key that must go before it, and its indentation."""
    node = _devices_node(text, path)
    if node is None:
        return len(text), "devices:\n", _INDENT
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        raise _by_hand(path)
    indent = node.value[0][0].start_mark.column if isinstance(node, yaml.MappingNode) else _INDENT
    return _after_line(text, _end(node)), "", indent


def _end(node: yaml.Node) -> Any:
    """Return where the text of a node really ends: a block's own mark stands behind the comments that follow."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _end(node.value[-1])
    return node.end_mark


def _after_line(text: str, mark: Any) -> int:
    if mark.column == 0 and mark.index:
        return int(mark.index)
    end = text.find("\n", mark.index)
    return len(text) if end < 0 else end + 1


def _by_hand(path: Path) -> ConfigError:
    return ConfigError(f"{path}: is laid out so that nothing can be added safely; add the device by hand")


def _replace(path: Path, content: str, expected: Mapping[str, Any] | None) -> None:
    """Check the new content, then put it in place at one stroke."""
    with replacing(path) as draft:
        with draft.open("x", encoding="utf-8", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            draft.chmod(stat.S_IMODE(path.stat().st_mode))
        try:
            Lab.load(draft)
            found = read_document(draft).data
        except ConfigError as error:
            problem = str(error).replace(f"{draft}:", "")
            raise ConfigError(f"{path}: can't take the device, and was left as it is: {problem}") from error
        if expected is not None and found != expected:
            raise _by_hand(path)
