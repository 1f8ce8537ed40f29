from __future__ import annotations

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
        ("a: !!python/name:os.system\n", 1, "could not determine a constructor"),
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
    [(b"a: \xff\n", "is not UTF-8 text"), ("a: &x [*x]\n", "is not valid YAML"), (b"a: \x00\n", "not valid YAML")],
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
