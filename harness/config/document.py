"""YAML files that remember the line of each key, so that an error can point at it."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

#: Where a value stands: keys and list indices from the top of the file.
Location = tuple[str | int, ...]

_SHOWN_ERRORS = 5
_PLAIN_TAGS = (yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, yaml.resolver.BaseResolver.DEFAULT_SEQUENCE_TAG)


class Model(BaseModel):
    """What all configuration has in common: it can't be changed, and a key nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    known = list(cls.model_fields)
                    raise PydanticCustomError("unknown_key", "unknown key", {"key": key, "known": known})
        return data


ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True)
class Document:
    """One YAML file: its data, and the line that each key stands on."""

    path: Path
    data: dict[str, Any]
    sha256: str
    lines: Mapping[Location, int] = field(repr=False)

    def line(self, where: Location) -> int:
        """Return the line of `where`, or of the nearest thing around it that has one."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def error(self, where: Location, message: str) -> ConfigError:
        """Build the error that names this file, the line and the key."""
        return ConfigError(f"{self.path}:{self.line(where)}: {_key(where)}{message}")

    def build(self, model: type[ModelT], data: Any, where: Location = ()) -> ModelT:
        """Turn `data`, which stands at `where` in this file, into a model.

        Raises:
            ConfigError: a key is unknown, missing or has the wrong kind of value; one line for each.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
            lines = [str(self._explain(detail, where)) for detail in details[:_SHOWN_ERRORS]]
            if len(details) > _SHOWN_ERRORS:
                lines.append(f"... and {len(details) - _SHOWN_ERRORS} more")
            raise ConfigError("\n".join(lines)) from error

    def _explain(self, detail: ErrorDetails, where: Location) -> ConfigError:
        at = where + tuple(detail["loc"])
        kind, context = detail["type"], detail.get("ctx", {})
        if kind == "unknown_key":
            key = context["key"]
            return self.error((*at, key), f"unknown key{did_you_mean(key, context['known'])}")
        if kind == "missing":
            return self.error(at, "is missing")
        if kind == "value_error":
            return self.error(at, str(context["error"]))
        if kind == "string_type":
            return self.error(at, f"must be text, not {_show(detail['input'])}; write it in quotes")
        message = detail["msg"].replace("Input should be", "must be").replace("a valid tuple", "a list: [...]")
        if kind == "too_short":
            return self.error(at, f"must have at least {context['min_length']} of them, not {context['actual_length']}")
        if kind == "model_type":
            message = "must be a mapping (key: value)"
        return self.error(at, f"{message}, not {_show(detail['input'])}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, else list them all."""
    words = list(known)
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(words)}" if words else ""


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises:
        ConfigError: the file can't be read, isn't UTF-8, isn't YAML, has a key twice, or isn't a mapping.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    lines: dict[Location, int] = {}
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        data = {} if node is None else _construct(loader, node, (), lines, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = error.problem or error.context or "can't be understood"
        raise ConfigError(f"{path}{line}: is not valid YAML: {problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: must be a mapping (key: value) at the top, not {_show(data)}")
    return Document(path, data, hashlib.sha256(content).hexdigest(), lines)


def _construct(
    loader: yaml.SafeLoader, node: yaml.Node, where: Location, lines: dict[Location, int], path: Path
) -> Any:
    """Build the plain value of a node and note the line of every key in it."""
    lines.setdefault(where, node.start_mark.line + 1)
    if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: {_key(where)}the tag {node.tag} is not allowed")
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*where, i), lines, path) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    first_line: dict[str, int] = {}
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if name in first_line:
            raise ConfigError(f"{path}:{line}: {_key(where)}{name} stands twice (first in line {first_line[name]})")
        if name is not None and name != "<<":
            first_line[name] = line
    loader.flatten_mapping(node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ConfigError(f"{path}:{line}: {_key(where)}the key {_show(key)} must be text; write it in quotes")
        lines[*where, key] = line
        result[key] = _construct(loader, value_node, (*where, key), lines, path)
    return result


def _key(where: Location) -> str:
    """Write a location as a reader of the file would: `devices.nano33-a.tags[0]: `."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where if part != "[key]")
    return f"{text.removeprefix('.')}: " if text else ""


def _show(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
