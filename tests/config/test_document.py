from __future__ import annotations

import time

import pytest

from harness.config.document import read_document
from harness.errors import ConfigError


def document(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path)


def test_lines_of_nested_keys(tmp_path):
    read = document(tmp_path, "a: 1\n\nb:\n  - c: 2\n  - d:\n      e: 3\n")
    assert read.data == {"a": 1, "b": [{"c": 2}, {"d": {"e": 3}}]}
    assert read.line(("b", 1, "d", "e")) == 6
    assert read.line(("b", 1, "d", "missing")) == 5


def test_an_error_names_file_line_and_key(tmp_path):
    error = document(tmp_path, "a:\n  - b: 1\n").error(("a", 0, "b"), "is wrong")
    assert str(error) == f"{tmp_path / 'a.yaml'}:2: a[0].b: is wrong"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\n", 3, "expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", 2, "cannot start any token"),
        ("a: 1\nb: 2\na: 3\n", 3, "a stands twice (first in line 1)"),
        ("a:\n  8: x\n", 2, "the key 8 must be text; write it in quotes"),
        ("a: !!python/object:os.system {}\n", 1, "a: the tag tag:yaml.org,2002:python/object:os.system is not allowed"),
        ("a: !!python/name:os.system\n", 1, "a: the tag tag:yaml.org,2002:python/name:os.system is not allowed"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("- 1\n", 1, "must be a mapping"),
        ("just words\n", 1, "must be a mapping"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
    ],
)
def test_malformed_yaml(tmp_path, text, line, words):
    with pytest.raises(ConfigError) as caught:
        document(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: \xff\n", "is not UTF-8 text"),
        ("a: &x [*x]\n", "nested in more than 30 levels"),
        (b"a: \x00\n", "not valid YAML"),
    ],
)
def test_what_is_no_text_or_never_ends(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        document(tmp_path, text)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="can't be read"):
        read_document(tmp_path)


def test_an_empty_file_is_an_empty_mapping(tmp_path):
    assert document(tmp_path, "# nothing yet\n").data == {}


def test_merge_keys_work(tmp_path):
    assert document(tmp_path, "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n").data["d"] == {"b": 1, "c": 3}


def test_of_several_that_are_merged_the_first_goes_before_the_others_and_own_keys_before_all(tmp_path):
    text = "a: &x {b: 1, c: 1, d: 1}\ne: &y {b: 2, c: 2, f: 2}\ng:\n  c: 3\n  <<: [*x, *y]\n"
    read = document(tmp_path, text)
    assert read.data["g"] == {"b": 1, "c": 3, "d": 1, "f": 2}
    assert (read.line(("g", "c")), read.line(("g", "f"))) == (4, 2)


def aliases(levels, head="[", tail="]", last="x"):
    """Return lines each of which stands ten times in the next one."""
    lines = [f"a0: &a0 {last}"]
    lines += [f"a{i}: &a{i} {head}{', '.join([f'*a{i - 1}'] * 10)}{tail}" for i in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases": (aliases(8), "more than 25000 values, counting what aliases"),
    "merged": (aliases(8, "{<<: [", "]}", "{k: 1}"), "more than 25000 values, counting what aliases"),
    "deep in one line": ("a: " + "[" * 100_000, "nested in more than 30 levels"),
    "deep in braces": ("a: " + "{a: " * 100_000, "nested in more than 30 levels"),
    "deep in many lines": ("a:\n" + " [\n" * 100_000, "nested in more than 30 levels"),
    "deep in a block": ("".join(" " * i + "a:\n" for i in range(1200)), "nested in more than 30 levels"),
    "deep in dashes": ("a:\n " + "- " * 100_000, "nested in more than 30 levels"),
    "keys": ("".join(f"k{i}: 1\n" for i in range(100_000)), "more than"),
    "items": ("a: [" + "1," * 100_000 + "]\n", "more than 25000 values"),
    "long text": ("a: " + "x" * 10_000_000, "has more than 1024 KiB"),
    "a key without an end": ("x" * 1_000_000, "must be a mapping"),
    "digits": ("a: " + "9" * 5000, '99..." is no whole number'),
    "hexadecimal digits": ("a: 0x" + "f" * 500_000, 'ff..." is no whole number'),
    "sixties": ("a: 1" + ":1" * 300_000, '1:1..." is no whole number'),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_no_person_writes_is_refused_before_it_takes_time_or_memory(tmp_path, bomb):
    text, words = BOMBS[bomb]
    begun = time.process_time()
    with pytest.raises(ConfigError) as caught:
        document(tmp_path, text)
    assert time.process_time() - begun < 30  # of the processor: some of them took hours, or all memory
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    "value", ['!!int ""', '!!float ""', "!!bool x", "!!timestamp x", "!!int x", "!!float .", "2026-13-45", "!!int 0x"]
)
def test_a_value_that_is_not_of_its_kind_is_an_error_with_its_place(tmp_path, value):
    for text in (f"a:\n  b: {value}\n", f"a:\n  ? {value}\n  : 1\n"):
        with pytest.raises(ConfigError, match=r"a.yaml:2: a.*: \".*\" is no .*write it in quotes"):
            document(tmp_path, text)


@pytest.mark.parametrize(
    "value", ["!!binary aGk=", "!!set {a}", "!!omap [a: 1]", "!mine x", "!!python/object/apply:os.system [x]"]
)
def test_no_tag_makes_anything_but_plain_values(tmp_path, value):
    with pytest.raises(ConfigError, match=r"a.yaml:1: a: the tag .* is not allowed"):
        document(tmp_path, f"a: {value}\n")
