from __future__ import annotations

import io
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from tests.unit.render.support import built

from pgaas.render.dump import dump_plain, dump_values, quote

# YAML keys longer than 1,024 characters need another notation; ours are names.
keys = st.text(max_size=40)
leaves = st.one_of(st.text(), st.booleans(), st.integers())
trees = st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    ),
    max_size=5,
)


@settings(deadline=None, max_examples=300)
@given(trees)
def test_every_reader_of_yaml_finds_what_was_written(tree: dict[str, Any]) -> None:
    text = dump_plain(tree)
    assert yaml.safe_load(text) == tree
    assert YAML(typ="safe", pure=True).load(io.StringIO(text)) == tree


WORDS = """
on off yes no y n true False NULL ~ 1 017 0x1F 1e3 1_000 12:30:45 2024-01-01 .inf = << - -- --- ... : a:
#b !c &d *e [f] {g} |h >i %j @k `l ? ,m 'n
"""
BLANKS = ["", " ", "a ", " a", "a: b", "a #b", "a\nb", "a\tb"]
ODD = ["\x7f", "\x85", "\u2028", "\ufeff", "\U0001f600", 'a"b\\']


@pytest.mark.parametrize("text", [*WORDS.split(), *BLANKS, *ODD])
def test_text_stays_text(text: str) -> None:
    assert yaml.safe_load(f"{quote(text)}: {quote(text)}") == {text: text}


@pytest.mark.parametrize(
    "text", ["hostssl app_db app_user all cert map=pgaas", "s3://a/b/", "max_connections"]
)
def test_plain_text_is_left_plain(text: str) -> None:
    assert quote(text) == text


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        dump_plain({"a": 1.5})


def test_the_file_says_what_it_was_made_from_and_is_the_same_each_time() -> None:
    text = dump_values(built(env="dev1", team_env="hp"))
    assert text.splitlines()[:2] == [
        "# Made by `pgaas generate --ins ic1 --env dev1 --dc dc1`: edits will be lost.",
        "# From confs/admin/hp/*.yaml and confs/users/ic1/hp/dev1/databases.yaml",
    ]
    assert text == dump_values(built(env="dev1", team_env="hp"))
    assert "/nowhere" not in text
