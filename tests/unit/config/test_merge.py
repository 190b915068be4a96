from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pgaas.config.merge import Layer, Path, merge, trace

KEYS = st.sampled_from("abc")
SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"])
VALUES = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=3),
    max_leaves=12,
)
TREES = st.dictionaries(KEYS, VALUES, max_size=3)


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Leaves as the merge sees them: a list is one."""
    if isinstance(value, dict) and value:
        found: dict[Path, Any] = {}
        for key, child in value.items():
            found |= leaves(child, (*path, key))
        return found
    return {path: value}


def expanded(value: Any, path: Path = ()) -> dict[str, Any]:
    """Leaves as `trace` has them: the elements of a list have their own."""
    if isinstance(value, dict | list) and value:
        children = value.items() if isinstance(value, dict) else enumerate(value)
        found: dict[str, Any] = {}
        for key, child in children:
            found |= expanded(child, (*path, str(key)))
        return found
    return {".".join(path): value} if path else {}


def at(tree: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def layer(name: str, tree: dict[str, Any]) -> Layer:
    return Layer(tree, name, lambda path: len(path))


def test_examples() -> None:
    low = {"p": {"max_connections": "300", "work_mem": "1MB"}, "l": [1, 2], "only": 1}
    high = {"p": {"max_connections": "200"}, "l": [3], "new": {"x": None}}
    assert merge(low, high) == {
        "p": {"max_connections": "200", "work_mem": "1MB"},
        "l": [3],
        "only": 1,
        "new": {"x": None},
    }
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merge({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}


@given(TREES, TREES)
def test_every_leaf_of_the_platform_team_survives(low: dict[str, Any], high: dict[str, Any]) -> None:
    merged = merge(low, high)
    for path, value in leaves(high).items():
        # An empty map adds nothing, and takes nothing away from a map.
        if path and value != {}:
            assert at(merged, path) == value


def has_a_say(tree: Any, path: Path) -> bool:
    """Whether a tree holds something at a path, or no map on the way to it."""
    for key in path:
        if not isinstance(tree, dict):
            return True
        if key not in tree:
            return False
        tree = tree[key]
    return True


@given(TREES, TREES)
def test_a_leaf_of_the_client_survives_unless_the_platform_team_has_a_say(
    low: dict[str, Any], high: dict[str, Any]
) -> None:
    merged = leaves(merge(low, high))
    for path, value in leaves(low).items():
        if not has_a_say(high, path):
            assert merged[path] == value


@given(TREES, TREES)
def test_nothing_is_invented(low: dict[str, Any], high: dict[str, Any]) -> None:
    sides = (leaves(low), leaves(high))
    for path, value in leaves(merge(low, high)).items():
        assert value in [side[path] for side in sides if path in side]


@given(TREES, TREES)
def test_merging_twice_changes_nothing(low: dict[str, Any], high: dict[str, Any]) -> None:
    once = merge(low, high)
    assert merge(once, high) == once
    assert merge(low, once) == once


@given(TREES, TREES, TREES)
def test_merging_maps_is_associative_where_no_map_is_replaced(
    low: dict[str, Any], middle: dict[str, Any], high: dict[str, Any]
) -> None:
    assert merge(low, {}) == low == merge({}, low)
    if not any(isinstance(value, dict) for tree in (low, middle, high) for value in tree.values()):
        assert merge(merge(low, middle), high) == merge(low, merge(middle, high))


@given(TREES, TREES)
def test_merging_changes_neither_side(low: dict[str, Any], high: dict[str, Any]) -> None:
    before = copy.deepcopy((low, high))
    merge(low, high)
    trace([layer("low", low), layer("high", high)])
    assert (low, high) == before


@given(TREES, TREES, TREES)
def test_each_leaf_has_an_origin_with_its_value(
    low: dict[str, Any], middle: dict[str, Any], high: dict[str, Any]
) -> None:
    merged = merge(merge(low, middle), high)
    origins = trace([layer("low", low), layer("middle", middle), layer("high", high)])
    expected = expanded(merged)
    assert {path: origin.value for path, origin in origins.items() if path} == expected
    for path, origin in origins.items():
        tree = {"low": low, "middle": middle, "high": high}[origin.file]
        assert not path or expanded(tree)[path] == origin.value
        files = [lost.file for lost in origin.overrode]
        assert files == sorted(files, key=["low", "middle", "high"].index)


def test_what_was_overridden() -> None:
    low = {"a": {"b": 1, "c": 2}, "l": [1, {"x": 2}], "m": {"y": 1}, "s": 1}
    high = {"a": {"b": 3}, "l": [{"x": 4}], "m": 5, "s": {"t": 6}}
    origins = trace([layer("low", low), layer("high", high)])
    shown = {path: (o.file, o.value, [(x.file, x.value) for x in o.overrode]) for path, o in origins.items()}
    assert shown == {
        "a.b": ("high", 3, [("low", 1)]),
        "a.c": ("low", 2, []),
        "l.0.x": ("high", 4, [("low", [1, {"x": 2}])]),
        "m": ("high", 5, [("low", {"y": 1})]),
        "s.t": ("high", 6, [("low", 1)]),
    }
    assert origins["a.b"].line == 2
