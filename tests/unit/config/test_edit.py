"""Texts as people write them, what changes in them, and what must not."""

from __future__ import annotations

import difflib
import json
import re
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgaas.config.edit import CannotEdit, edit, inline
from pgaas.config.load import parse_document

PLACE = ("clients", "ic1")
BLOCK = dedent("""\
    # Who is a client.
    clients:   # all of them
      ic1:
        datacenters: [dc1, dc2]   # the first is the oldest
        primaryDatacenter: "dc1"  # moved by hand
        recoveredFrom:
          prod-ic1-dc1: dc2   # after the flood
          prod-ic1-dc2: dc1
        # They are gone.
        lostDatacenters:   # since when?
        - dc1  # monday
        # not sure about this one
        - dc2  # tuesday
        replication:
          enabled: true
          # replicaSource: mirror

        # allow: {createrole: true}

      # Another department's.
      is1: {datacenters: [dc1], s3Bucket: b}
    # the end
    """)


def rows(before: str, after: str) -> list[str]:
    """Return the lines that went and that came."""
    found = difflib.ndiff(before.splitlines(), after.splitlines())
    return [row for row in found if row[:2] in ("+ ", "- ")]


def value_of(text: str) -> Any:
    document = parse_document("x", text.encode())
    assert not document.issues, document.issues
    return document.data


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        (
            ("primaryDatacenter",), "dc2",
            ['-     primaryDatacenter: "dc1"  # moved by hand',
             "+     primaryDatacenter: dc2  # moved by hand"],
        ),
        (("recoveredFrom", "prod-ic1-dc2"), "dc3",
         ["-       prod-ic1-dc2: dc1", "+       prod-ic1-dc2: dc3"]),
        (("recoveredFrom", "prod-ic1-dc3"), "dc1", ["+       prod-ic1-dc3: dc1"]),
        (("recoveredFrom", "prod-ic1-dc2"), None, ["-       prod-ic1-dc2: dc1"]),
        (("recoveredFrom", "prod-ic1-dc1"), None,
         ["-       prod-ic1-dc1: dc2   # after the flood", "+       # after the flood"]),
        (("recoveredFrom",), None,
         ["-     recoveredFrom:", "-       prod-ic1-dc1: dc2   # after the flood",
          "-       prod-ic1-dc2: dc1", "+     # after the flood"]),
        (("lostDatacenters",), ["dc2"], ["-     - dc1  # monday", "+       # monday"]),
        (("lostDatacenters",), ["dc1"], ["-     - dc2  # tuesday", "+       # tuesday"]),
        (("lostDatacenters",), ["dc1", "dc2", "dc3"], ["+     - dc3"]),
        (("lostDatacenters",), ["dc3"],
         ["-     - dc1  # monday", "+       # monday", "-     - dc2  # tuesday", "+       # tuesday",
          "+     - dc3"]),
        (("lostDatacenters",), None,
         ["-     lostDatacenters:   # since when?", "-     - dc1  # monday", "-     - dc2  # tuesday",
          "+     # since when?", "+     # monday", "+     # tuesday"]),
        (("originDatacenter",), "dc1", ["+     originDatacenter: dc1"]),
        (("archiveGenerations", "prod-ic1-dc1"), 2,
         ["+     archiveGenerations:", "+       prod-ic1-dc1: 2"]),
        (("archiveGenerations", "prod-ic1-dc1"), None, []),
        (("originDatacenter",), None, []),
        (("datacenters",), ["dc1", "dc2", "dc3"],
         ["-     datacenters: [dc1, dc2]   # the first is the oldest",
          "+     datacenters: [dc1, dc2, dc3]   # the first is the oldest"]),
    ],
)  # fmt: skip
def test_only_these_lines_change(path: tuple[str, ...], value: Any, changed: list[str]) -> None:
    after = edit(BLOCK, PLACE, {path: value})
    assert sorted(rows(BLOCK, after)) == sorted(changed)
    client = value_of(after)["clients"]["ic1"]
    below = client.get(path[0]) if len(path) == 1 else client.get(path[0], {}).get(path[1])
    assert below == value


def test_a_new_key_stands_below_the_clients_own_comments_and_above_the_next_clients() -> None:
    lines = edit(BLOCK, PLACE, {("originDatacenter",): "dc1"}).splitlines()
    place = lines.index("    originDatacenter: dc1")
    assert lines[place - 1] == "    # allow: {createrole: true}"
    assert lines[place + 1 : place + 3] == ["", "  # Another department's."]


@pytest.mark.parametrize(
    ("client", "path", "value", "after"),
    [
        ("{a: 1}", ("b",), "dc1", "{a: 1, b: dc1}"),
        ("{a: 1,}", ("b",), "dc1", "{a: 1, b: dc1,}"),
        ("{a: 1}  # c", ("b", "x"), 2, "{a: 1, b: {x: 2}}  # c"),
        ("{a: 1, b: {}}", ("b", "x"), 2, "{a: 1, b: {x: 2}}"),
        ("{a: 1, b: {x: 1}}", ("b", "x"), 2, "{a: 1, b: {x: 2}}"),
        ("{a: 1, b: {x: 1, y: 1}}", ("b", "x"), None, "{a: 1, b: {y: 1}}"),
        ("{a: 1, b: {x: 1, y: 1}}", ("b", "y"), None, "{a: 1, b: {x: 1}}"),
        ("{a: 1, b: {x: 1}}", ("b", "x"), None, "{a: 1}"),
        ("{b: {x: 1}, a: 1}", ("b", "x"), None, "{a: 1}"),
        ('{"a":1, "b":"dc1"}', ("b",), "dc2", '{"a":1, "b":dc2}'),
        ("{a: 1,\n    b: [dc1]  # c\n    }", ("b",), ["dc1", "dc2"], "{a: 1,\n    b: [dc1, dc2]  # c\n    }"),
        ("{a: 1  # c\n    }", ("b",), "dc1", "{a: 1, b: dc1  # c\n    }"),
    ],
)
def test_a_client_on_one_line(client: str, path: tuple[str, ...], value: Any, after: str) -> None:
    text = f"clients:\n  ic1: {client}\n  is1: {{a: 1}}\n"
    assert edit(text, PLACE, {path: value}) == f"clients:\n  ic1: {after}\n  is1: {{a: 1}}\n"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        # without a line break at the end, with Windows' line breaks, with a mark of the encoding
        ("clients:\n  ic1:\n    a: 1", "clients:\n  ic1:\n    a: 1\n    b:\n      x: 2\n"),
        ("clients:\r\n  ic1:\r\n    a: 1\r\n", "clients:\r\n  ic1:\r\n    a: 1\r\n    b:\r\n      x: 2\r\n"),
        ("\ufeffclients:\n  ic1:\n    a: é\n", "\ufeffclients:\n  ic1:\n    a: é\n    b:\n      x: 2\n"),
        # other indentations, an end of the document
        (
            "clients:\n    ic1:\n        a: 1\n",
            "clients:\n    ic1:\n        a: 1\n        b:\n            x: 2\n",
        ),
        ("---\nclients:\n ic1:\n  a: 1\n...\n", "---\nclients:\n ic1:\n  a: 1\n  b:\n   x: 2\n...\n"),
        # a key without a value, a text of several lines, a quoted key, an empty map
        ("clients:\n  ic1:\n    a: 1\n    b:  # c\n", "clients:\n  ic1:\n    a: 1\n    b: {x: 2}  # c\n"),
        (
            "clients:\n  ic1:\n    a: |\n      t\n",
            "clients:\n  ic1:\n    a: |\n      t\n    b:\n      x: 2\n",
        ),
        (
            "clients:\n  ic1:\n    a: |\n      t\n  is1: {a: 1}\n",
            "clients:\n  ic1:\n    a: |\n      t\n    b:\n      x: 2\n  is1: {a: 1}\n",
        ),
        ("clients:\n  'ic1':\n    \"b\": {x: 1}\n", "clients:\n  'ic1':\n    \"b\": {x: 2}\n"),
        ("clients:\n  ic1:\n    b: {}\n", "clients:\n  ic1:\n    b: {x: 2}\n"),
        (
            "clients:\n  ic1:\n    b:\n      {x:\n        1}\n",
            "clients:\n  ic1:\n    b:\n      {x:\n        2}\n",
        ),
        # what looks like a comment and is none
        ("clients:\n  ic1:\n    a: 'x # y'\n", "clients:\n  ic1:\n    a: 'x # y'\n    b:\n      x: 2\n"),
    ],
)
def test_odd_layouts(text: str, after: str) -> None:
    assert edit(text, PLACE, {("b", "x"): 2}) == after


@pytest.mark.parametrize(
    ("client", "path", "value"),
    [
        ("*other", ("b",), 1),
        ("", ("b",), 1),
        ("{}", ("b",), 1),
        ("\n    b: |\n      dc1\n", ("b",), "dc2"),
        ("\n    b:\n    - dc1\n", ("b",), "dc2"),
        ("\n    b: [dc1,  # c\n      dc2]\n", ("b",), ["dc1"]),
        ("\n    b:\n    -\n      dc1\n    - dc2\n", ("b",), ["dc2"]),
        ("\n    b: 1\n", ("b",), None),
        ("\n    ? b\n    : 1\n    ? c\n    : 1\n", ("b",), None),
        ("{a: 1, b: 1 # c\n    , c: 1}", ("b",), None),
    ],
)
def test_what_can_not_be_changed_is_refused(client: str, path: tuple[str, ...], value: Any) -> None:
    text = f"x: &other {{a: 1}}\nclients:\n  ic1: {client}\n"
    with pytest.raises(CannotEdit):
        edit(text, PLACE, {path: value})


def test_what_is_not_there_is_not_taken_away() -> None:
    for client in ("b:", "b: {}", "b: {y: 1}", "b: 1", "c: {x: 1}"):
        text = f"clients:\n  ic1:\n    a: 1\n    {client}\n"
        assert edit(text, PLACE, {("b", "x"): None}) == text


def test_a_file_without_the_client_is_refused() -> None:
    with pytest.raises(CannotEdit, match="ic1 is not written out"):
        edit("clients:\n  is1: {a: 1}\n", PLACE, {("b",): 1})


@given(st.recursive(st.text() | st.integers() | st.booleans(), lambda some: st.lists(some, max_size=3)))
def test_what_is_written_inline_reads_back(value: Any) -> None:
    document = parse_document("x", f"a: {inline(value)}\nb: {inline({'k': value})}\n".encode())
    readable = all(
        part.isprintable() for part in re.findall(r'"([^"]*)"', json.dumps(value, ensure_ascii=False))
    )
    if readable:
        assert document.data == {"a": value, "b": {"k": value}}


NAMES = [f"dc{number}" for number in range(1, 5)] + ["null", "true", "1"]
CLUSTERS = [f"prod-ic1-dc{number}" for number in range(1, 5)]
CHANGES = st.dictionaries(
    st.sampled_from(
        [("primaryDatacenter",), ("originDatacenter",), ("lostDatacenters",)]
        + [(key, name) for key in ("archiveGenerations", "recoveredFrom") for name in CLUSTERS]
    ),
    st.none() | st.sampled_from(NAMES),
    min_size=1,
    max_size=4,
)


class Writer:
    """Write random data as a person would: with comments and blank lines, in blocks and on lines."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.comments = 0

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def comment(self) -> str:
        if not self.chance():
            return ""
        self.comments += 1
        return f"  # c{self.comments} 'a': [b"

    def line(self, text: str, indent: int) -> list[str]:
        above = [" " * indent + self.comment().strip()] if self.chance() else []
        if above and self.chance():
            above.append("")
        return [*above, " " * indent + text + self.comment()]

    def map(self, data: dict[str, Any], indent: int, deeper: int) -> list[str]:
        found: list[str] = []
        for key, value in data.items():
            name = f'"{key}"' if self.chance() else key
            if isinstance(value, dict) and value and (indent == 0 or self.chance()):
                found += self.line(f"{name}:", indent) + self.map(value, indent + deeper, deeper)
            elif isinstance(value, list) and value and self.chance():
                found += self.line(f"{name}:", indent)
                for each in value:
                    found += self.line(f"- {inline(each)}", indent)
            else:
                found += self.line(f"{name}: {inline(value)}", indent)
        return [*found, " " * indent + self.comment().strip()]


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Return a clients.yaml and what it holds."""
    client = st.fixed_dictionaries(
        {"datacenters": st.just(["dc1", "dc2"]), "s3Bucket": st.just("b # no comment")},
        optional={
            "primaryDatacenter": st.sampled_from(NAMES),
            "originDatacenter": st.sampled_from(NAMES),
            "lostDatacenters": st.lists(st.sampled_from(NAMES), unique=True),
            "recoveredFrom": st.dictionaries(st.sampled_from(CLUSTERS), st.sampled_from(NAMES)),
            "archiveGenerations": st.dictionaries(st.sampled_from(CLUSTERS), st.integers(1, 9)),
        },
    )
    shuffled = client.flatmap(lambda each: st.permutations(list(each.items())).map(dict))
    data = {"clients": {name: draw(shuffled) for name in draw(st.permutations(["ic1", "is1", "a1"]))}}
    lines = Writer(draw).map(data, 0, draw(st.sampled_from([2, 4, 1])))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(lines) + draw(st.sampled_from(["", end])), data


def wanted(data: dict[str, Any], changes: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return the data after the changes, made the plain way."""
    result: dict[str, Any] = json.loads(json.dumps(data))
    client = result["clients"]["ic1"]
    for (key, *inner), value in changes.items():
        if not inner:
            holder, name = client, key
        elif value is None and inner[0] not in client.get(key, {}):
            continue
        else:
            holder, name = client.setdefault(key, {}), inner[0]
        if value is not None:
            holder[name] = value
        else:
            holder.pop(name, None)
            if not holder:
                del client[key]
    return result


@settings(deadline=None, max_examples=100)
@given(files(), CHANGES)
def test_of_any_file_only_the_wanted_leaves_change(
    file: tuple[str, dict[str, Any]], changes: dict[tuple[str, ...], Any]
) -> None:
    text, data = file
    assert value_of(text) == data
    for path, value in changes.items():
        if path == ("lostDatacenters",) and value is not None:
            old = data["clients"]["ic1"].get("lostDatacenters", [])
            kept = [each for each in old if each != value]
            changes[path] = [*kept, value] if value not in old else kept or None
    after = edit(text, PLACE, changes)
    assert json.dumps(value_of(after)) == json.dumps(wanted(data, changes))
    comments = re.compile(r"# c\d+ 'a': \[b")
    assert comments.findall(after) == comments.findall(text)
    went = [row[2:].strip() for row in rows(text, after) if row.startswith("- ")]
    own = re.compile(r"- |\"?(primaryD|originD|lostD|recoveredFrom|archiveG|prod-ic1-dc|ic1)")
    assert all(own.match(line) for line in went if line and not line.startswith("#"))
