# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pgaas.config.load import (
    ALIAS_LIMIT,
    DEPTH_LIMIT,
    USER_FILE_LIMIT,
    load_document,
    parse_document,
    read_document,
)
from pgaas.config.scalars import plain_scalar
from pgaas.errors import ConfigError


def issues(text: str | bytes) -> list[str]:
    document = parse_document("a.yaml", text.encode() if isinstance(text, str) else text)
    return [str(issue) for issue in document.issues]


def data(text: str) -> Any:
    document = parse_document("a.yaml", text.encode())
    assert document.issues == ()
    return document.data


def test_data_and_lines() -> None:
    document = parse_document("a.yaml", b"# c\na:\n  b: 1\n  c: [x,\n   {d: y}]\n\ne:\n- f: z\n- g\n")
    assert document.data == {"a": {"b": 1, "c": ["x", {"d": "y"}]}, "e": [{"f": "z"}, "g"]}
    assert document.lines == {
        "a": 2, "a.b": 3, "a.c": 4, "a.c.0": 4, "a.c.1": 5, "a.c.1.d": 5, "e": 7, "e.0": 8, "e.0.f": 8, "e.1": 9,
    }  # fmt: skip
    assert document.line(("a", "c", 1, "missing", 3)) == 5
    assert document.line(("nowhere",)) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False), ("12", 12), ("-3", -3),
        ("0o17", 15), ("0x1F", 31), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("007", 7),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"), ('"12"', "12"), ("'true'", "true"), ("17.6-x", "17.6-x"), ("=", "="), ("1" * 40, int("1" * 40)), ("1" * 41, "1" * 41),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = data(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a.yaml: is empty"),
        ("# only a comment\n", "a.yaml: is empty"),
        ("- a\n", "a.yaml:1: must be a map (key: value)"),
        ("text", "a.yaml:1: must be a map (key: value)"),
        ("a: 1\na: 2\n", "a.yaml:2: a: is there twice, first on line 1"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "a.yaml:4: a.b: is there twice, first on line 2"),
        ("a:\n\tb: 1\n", "a.yaml:2: is not valid YAML: a tab in the indentation: YAML takes blanks only"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: holds more than one document: a second --- begins here"),
        ("1: a\n", "a.yaml:1: the key 1 is not text: quote it"),
        ("a:\n  true: a\n", "a.yaml:2: a: the key true is not text: quote it"),
        ("? [a, b]\n: c\n", "a.yaml:1: a list or map can't be a key"),
        ("? {a: b}\n: c\n", "a.yaml:1: a list or map can't be a key"),
        ("a: !!python/object:os.system x\n", "tags such as"),
        ("a: !!map {}\n", "a.yaml:1: tags such as 'tag:yaml.org,2002:map' are not taken"),
        ("a: *b\n", "a.yaml:1: *'b' refers to nothing above it"),
        ("a: &a [*a]\n", "a.yaml:1: *'a' stands inside of what it refers to"),
        ("a: &a {b: c}\nd:\n  <<: *a\n", "a.yaml:3: merge keys (<<) are not taken: YAML 1.2 has none"),
        ("a: &a x\n*a : y\n", "a.yaml:2: a reference can't be a key"),
        ("a: [1, 2\n", "a.yaml:2: is not valid YAML: did not find expected ',' or ']'"),
        ("a: 'x\n", "is not valid YAML: found unexpected end of stream"),
        ("a: b: c\n", "a.yaml:1: is not valid YAML: mapping values are not allowed in this context"),
        ("a: @x\n", "a.yaml:1: is not valid YAML: found character that cannot start any token"),
        ("a: b\nc: \x01\n", "a.yaml:2: is not valid YAML: control characters are not allowed"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file(text: str, expected: str) -> None:
    found = issues(text)
    assert len(found) == 1
    assert expected in found[0]


def test_all_duplicates_are_reported_and_the_first_value_stays() -> None:
    document = parse_document("a.yaml", b"a: 1\na: {x: 2}\nb: 3\nb: 4\n")
    assert [issue.line for issue in document.issues] == [2, 4]
    assert document.data == {"a": 1, "b": 3}


def test_not_utf8_with_its_line() -> None:
    assert issues(b"a: b\nc: \xff\n") == ["a.yaml:2: is not UTF-8 text"]
    assert issues("a: b".encode("utf-16")) == ["a.yaml:1: is not UTF-8 text"]
    assert data("\ufeffa: é") == {"a": "é"}


def test_references_are_taken_within_reason() -> None:
    assert data("&k a: &v 1\nb: *k\nc: *v\n") == {"a": 1, "b": "a", "c": 1}
    assert data("a: &a {b: [1, 2]}\nc: *a\n") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    assert issues(bomb) == [f"a.yaml:4: its references (*'a2') stand for more than {ALIAS_LIMIT} values"]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_nesting_is_limited(opening: str, closing: str) -> None:
    deepest = DEPTH_LIMIT - 1
    assert issues(f"a: {opening * deepest}{closing * deepest}") == []
    for depth in (DEPTH_LIMIT, 1000, 100_000):
        assert issues(f"a: {opening * depth}{closing * depth}") == [
            f"a.yaml:1: is nested more than {DEPTH_LIMIT} deep"
        ]


def test_indented_nesting_is_limited() -> None:
    text = "\n".join(f"{' ' * level}a:" for level in range(2000))
    assert issues(text) == [f"a.yaml:{DEPTH_LIMIT + 1}: is nested more than {DEPTH_LIMIT} deep"]


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    def problem(path: Path, limit: int = USER_FILE_LIMIT) -> str:
        document = read_document(path, tmp_path, limit)
        assert document.data is None
        (issue,) = document.issues
        return str(issue)

    assert problem(tmp_path / "confs" / "a.yaml") == "confs/a.yaml: is missing"
    assert problem(tmp_path / "a\0.yaml").endswith("can't be read: embedded null byte")
    (tmp_path / "d.yaml").mkdir()
    assert problem(tmp_path / "d.yaml") == "d.yaml: is a folder, not a file"
    os.mkfifo(tmp_path / "p.yaml")
    assert problem(tmp_path / "p.yaml") == "p.yaml: is not a regular file"
    (tmp_path / "l.yaml").symlink_to("l.yaml")
    assert "can't be read: Too many levels of symbolic links" in problem(tmp_path / "l.yaml")
    (tmp_path / "f.yaml").write_text("a: b")
    assert "can't be read: Not a directory" in problem(tmp_path / "f.yaml" / "a.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (USER_FILE_LIMIT + 1))
    assert problem(tmp_path / "big.yaml") == "big.yaml: has more than 1024 KiB: no such file is that long"
    (tmp_path / "big.yaml").write_bytes(b"a: b\n" + b"#" * (USER_FILE_LIMIT - 5))
    assert read_document(tmp_path / "big.yaml", tmp_path, USER_FILE_LIMIT).data == {"a": "b"}


def test_load_document_raises_all_issues(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\n3: 4\n")
    with pytest.raises(ConfigError, match="2 errors") as error:
        load_document(tmp_path / "a.yaml", tmp_path)
    assert [issue.line for issue in error.value.issues] == [2, 3]


# PyYAML writes YAML 1.1: what is a number in 1.2 only, such as 0o7, it would not quote.
TEXTS = st.text(max_size=8).filter(lambda text: isinstance(plain_scalar(text), str)) | st.sampled_from(
    ["", "~", "true", "12", "-1.5", "<<", "=", "yes", "null"]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, TREES, max_size=5), st.booleans())
def test_what_yaml_writes_is_read_back(tree: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow)
    document = parse_document("a.yaml", text.encode())
    assert document.issues == ()
    assert document.data == tree


@given(
    st.binary(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"%@`#,?<~ \t\n01", max_size=60).map(str.encode)
)
def test_any_bytes_are_data_or_issues(content: bytes) -> None:
    document = parse_document("a.yaml", content)
    assert (document.data is None) <= bool(document.issues)
    for issue in document.issues:
        assert "\n" not in str(issue)
        assert 0 <= issue.line <= content.count(b"\n") + content.count(b"\r") + 2
