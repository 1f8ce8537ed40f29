"""YAML files that remember the line of each key, so that an error can point at it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from harness.errors import ConfigError
from harness.text.meant import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

#: Where a value stands: keys and list indices from the top of the file.
Location = tuple[str | int, ...]

_SHOWN_ERRORS = 5
_SHOWN_LEVELS = 5
#: What a file may be at most. A lab of 500 boards has some 100 KiB and 10,000 values; PyYAML takes a second for that.
_MOST_BYTES, _MOST_VALUES, _MOST_LEVELS = 1 << 20, 25_000, 30
_LONGEST_NUMBER = 100
_TOO_MANY, _TOO_DEEP = f"more than {_MOST_VALUES} values", f"nested in more than {_MOST_LEVELS} levels"
_DATA_HINT = "data belongs into a file of its own"
_MERGE = "tag:yaml.org,2002:merge"
_SCALAR_TAGS = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:value": "text",  # an equals sign
    "tag:yaml.org,2002:int": "whole number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "yes or no",
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:timestamp": "date",
}
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
        at = where + tuple(part for part in detail["loc"] if not str(part).startswith("<"))  # a form, no key
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


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises:
        ConfigError: the file can't be read, isn't UTF-8, isn't YAML, has a key twice, isn't a mapping, or is larger or
            nested more deeply than any configuration.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(
                f"{path}: has more than {_MOST_BYTES >> 10} KiB, which no configuration needs; {_DATA_HINT}"
            )
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    lines: dict[Location, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = {} if node is None else _Values(loader, lines, path).of(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = _short(error.problem or error.context or "can't be understood", 200)
        raise ConfigError(f"{path}{line}: is not valid YAML: {problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: must be a mapping (key: value) at the top, not {_show(data)}")
    return Document(path, data, hashlib.sha256(content).hexdigest(), lines)


class _Loader(yaml.SafeLoader):
    """Reads YAML, but no more of it than a person writes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node, as the base class does, unless it is one too many or nested too deeply."""
        self._depth += 1
        self._nodes += 1
        if self._depth > _MOST_LEVELS or self._nodes > _MOST_VALUES:
            much = _TOO_DEEP if self._depth > _MOST_LEVELS else _TOO_MANY
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=much, problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Values:
    """Builds the plain values of nodes, and notes the line of every key in them.

    An alias (`*name`) stands for all that its anchor does, each time: values are counted as they are built, so that a
    few lines of aliases to aliases can't become gigabytes.
    """

    def __init__(self, loader: yaml.SafeLoader, lines: dict[Location, int], path: Path) -> None:
        self._loader, self._lines, self._path = loader, lines, path
        self._built = 0

    def of(self, node: yaml.Node, where: Location) -> Any:
        """Return the value of a node that stands at `where`.

        Raises:
            ConfigError: it has a value or key that isn't allowed, or is too much.
        """
        self._built += 1
        if self._built > _MOST_VALUES or len(where) > _MOST_LEVELS:
            much = _TOO_DEEP if len(where) > _MOST_LEVELS else _TOO_MANY
            raise self._error(node, where[:_SHOWN_LEVELS], f"{much}, counting what aliases (*name) repeat")
        self._lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if node.tag not in _PLAIN_TAGS:
            raise self._error(node, where, f"the tag {_short(node.tag)} is not allowed")
        if not isinstance(node, yaml.MappingNode):
            return [self.of(item, (*where, i)) for i, item in enumerate(node.value)]
        return self._mapping(node, where)

    def _scalar(self, node: yaml.ScalarNode, where: Location) -> Any:
        kind = _SCALAR_TAGS.get(node.tag)
        if kind == "text":
            return node.value
        if kind is None:
            raise self._error(node, where, f"the tag {_short(node.tag)} is not allowed")
        try:
            if len(node.value) <= _LONGEST_NUMBER:
                return self._loader.construct_object(node)
            problem: Exception | None = None
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:  # PyYAML checks nothing
            problem = error
        said = f'"{_short(node.value)}" is no {kind}; if it is text, write it in quotes'
        raise self._error(node, where, said) from problem

    def _mapping(self, node: yaml.MappingNode, where: Location) -> dict[str, Any]:
        first_line: dict[str, int] = {}
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:  # what is merged in comes first, so that own keys replace it
            if key_node.tag == _MERGE:
                result = {**self._merged(value_node, where), **result}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, where) if isinstance(key_node, yaml.ScalarNode) else key_node.value
            if not isinstance(key, str):
                raise self._error(key_node, where, f"the key {_show(key)} must be text; write it in quotes")
            if key in first_line:
                raise self._error(key_node, where, f"{_short(key)} stands twice (first in line {first_line[key]})")
            first_line[key] = self._lines[*where, key] = line
            result[key] = self.of(value_node, (*where, key))
        return result

    def _merged(self, node: yaml.Node, where: Location) -> dict[str, Any]:
        """Return what `<<` adds to a mapping: another one, or several, of which the first goes before the others."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                raise self._error(source, where, "<< must be followed by a mapping, or a list of them")
            result.update(self.of(source, where))
        return result

    def _error(self, node: yaml.Node, where: Location, message: str) -> ConfigError:
        return ConfigError(f"{self._path}:{node.start_mark.line + 1}: {_key(where)}{message}")


def _key(where: Location) -> str:
    """Write a location as a reader of the file would: `devices.nano33-a.tags[0]: `."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_short(part)}" for part in where if part != "[key]")
    return f"{text.removeprefix('.')}: " if text else ""


def _show(value: Any) -> str:
    return _short("nothing" if value is None else repr(value))


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
