"""Whole blocks of a file as people write it, added and taken out."""

from __future__ import annotations

import difflib
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.config.support import REPOSITORY

from pgaas.config.blocks import add_block, masked, remove_block
from pgaas.config.edit import CannotEdit
from pgaas.config.load import parse_document

PLACE = ("clients",)
NEW = {"datacenters": ["dc1"], "s3Credentials": {"secretName": "ic7-keys"}, "replication": {"enabled": True}}
BLOCK = dedent("""\
    # Who is a client.
    clients:   # all of them
      # The oldest.
      ic1:
        datacenters: [dc1, dc2]   # the first is the oldest
        replication:
          enabled: true
          # replicaSource: mirror

        # allow: {createrole: true}

      # Another department's,
      # since May.
      is1:
        datacenters: [dc1]

      # To be spoken about: is2.

      # not yet paid
      is3: {datacenters: [dc1]}  # small
      # the end of clients
    # the end
    """)


def rows(before: str, after: str) -> list[str]:
    found = difflib.ndiff(before.splitlines(), after.splitlines())
    return [row for row in found if row[:2] in ("+ ", "- ")]


def value_of(text: str) -> Any:
    document = parse_document("x", text.encode())
    assert not document.issues, document.issues
    return document.data


def test_a_block_comes_last_with_a_line_for_each_key() -> None:
    after = add_block(BLOCK, PLACE, "ic7", NEW)
    assert rows(BLOCK, after) == [
        "+ ",
        "+   ic7:",
        "+     datacenters: [dc1]",
        "+     s3Credentials:",
        "+       secretName: ic7-keys",
        "+     replication:",
        "+       enabled: true",
    ]
    assert after.endswith("      enabled: true\n# the end\n")
    assert value_of(after)["clients"] == {**value_of(BLOCK)["clients"], "ic7": NEW}


@pytest.mark.parametrize(
    ("key", "gone"),
    [
        ("ic1", ["-   # The oldest.", "-   ic1:", "-     datacenters: [dc1, dc2]   # the first is the oldest",
                 "-     replication:", "-       enabled: true", "-       # replicaSource: mirror", "- ",
                 "-     # allow: {createrole: true}"]),
        ("is1", ["- ", "-   # Another department's,", "-   # since May.", "-   is1:",
                 "-     datacenters: [dc1]"]),
        ("is3", ["- ", "-   # not yet paid", "-   is3: {datacenters: [dc1]}  # small"]),
        ("ic9", []),
    ],
)  # fmt: skip
def test_a_block_goes_with_its_own_comments_and_no_others(key: str, gone: list[str]) -> None:
    after = remove_block(BLOCK, PLACE, key)
    assert sorted(rows(BLOCK, after)) == sorted(gone)
    kept = {name: value for name, value in value_of(BLOCK)["clients"].items() if name != key}
    assert value_of(after)["clients"] == kept


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        "clients:\n  ic1:\n    a: 1\n",
        "clients:\n  ic1:\n    a: 1\n\n  is1:\n    a: 1\n",
        "clients:\n  ic1: {a: 1}\n\n# the end\n",
        "clients:\r\n  ic1:\r\n    a: 1\r\n\r\n  is1:\r\n    a: 1\r\n",
        "\ufeffclients:\n    ic1:\n        a:\n            b: é\n",
        "---\nclients:\n ic1:\n  a: 1\n...\n",
        "clients: {ic1: {a: 1}}  # c\n",
        "clients: {}\n",
        "# c\nclients: {}  # nobody yet\nother: 1\n",
        "clients:\n  ic1:\n    a: |\n      t\n",
        "clients:\n  ic1:\n    a:\n    - 1\n",
        *((REPOSITORY / f"confs/admin/{env}/clients.yaml").read_text() for env in ("local", "hp", "prod")),
    ],
)
def test_what_is_added_can_be_taken_out_again_without_a_trace(text: str) -> None:
    after = add_block(text, PLACE, "ic7", NEW)
    assert value_of(after)["clients"]["ic7"] == NEW
    assert remove_block(after, PLACE, "ic7") == text


def test_the_last_client_leaves_an_empty_map_and_a_first_one_can_come() -> None:
    text = "# Who.\nclients:  # none\n\n  # He.\n  ic1:\n    a: 1\n# the end\n"
    empty = remove_block(text, PLACE, "ic1")
    assert empty == "# Who.\nclients: {}  # none\n\n# the end\n"
    assert value_of(empty) == {"clients": {}}
    assert value_of(add_block(empty, PLACE, "ic7", NEW)) == {"clients": {"ic7": NEW}}
    windows = remove_block(text.replace("\n", "\r\n"), PLACE, "ic1")
    assert windows == empty.replace("\n", "\r\n")


def test_the_file_may_end_without_a_line_break() -> None:
    assert add_block("clients:\n  ic1:\n    a: 1", PLACE, "b", {"x": 1}) == (
        "clients:\n  ic1:\n    a: 1\n  b:\n    x: 1\n"
    )


@pytest.mark.parametrize("text", ["clients:\n", "clients: ~\n", "a: &x {b: {c: 1}}\nclients: *x\n"])
def test_what_is_not_written_out_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        add_block(text, PLACE, "ic7", NEW)


def test_a_key_that_does_not_begin_its_line_is_refused() -> None:
    with pytest.raises(CannotEdit):
        remove_block("clients:\n  ? ic1\n  : {a: 1}\n  ? is1\n  : {a: 1}\n", PLACE, "is1")


def test_values_of_secret_keys_are_not_seen_however_they_are_written() -> None:
    text = 'a: {secretKey: "x y", b: 1}\nsecretKey: |-\n  hidden\nc:\n- {secretKey: z}\n# secretKey: kept\n'
    seen = masked(text, frozenset({"secretKey"}))
    assert not {"x y", "hidden", "z"} & {word.strip('"{} ') for word in seen.replace(":", "\n").split("\n")}
    assert "b: 1" in seen
    assert "hidden" not in seen


names = st.text("abcxyz", min_size=1, max_size=4)
scalars = st.one_of(names, st.integers(0, 9), st.booleans(), st.lists(names, max_size=2))
comments = st.sampled_from(["", "  # c\n", "\n", "  # c\n\n", "\n  # c\n"])


@given(st.dictionaries(names, st.tuples(st.dictionaries(names, scalars, min_size=1), comments), min_size=2))
def test_any_client_of_any_file_can_be_taken_out_and_the_others_stay(clients: dict[str, Any]) -> None:
    text = "clients:\n  first: {a: 1}\n"
    for name, (value, above) in clients.items():
        text += above
        text = add_block(text, PLACE, f"x{name}", value)
    data = value_of(text)["clients"]
    for name in clients:
        after = value_of(remove_block(text, PLACE, f"x{name}"))["clients"]
        assert after == {key: value for key, value in data.items() if key != f"x{name}"}


def test_a_comment_of_the_block_before_stays_with_that_one() -> None:
    first = "clients:\n  ic1:\n    a: 1\n    # allow: {}\n"
    assert remove_block(f"{first}  is1:\n    a: 1\n", PLACE, "is1") == first
    assert remove_block(f"{first}  is1:\n    a: 1\n", PLACE, "ic1") == "clients:\n  is1:\n    a: 1\n"
