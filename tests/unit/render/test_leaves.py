from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.render.leaves import Leaf, changed_leaves

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2)
KEYS = st.sampled_from(["name", "major", "enabled", "x", "y"])
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def leaves(before: Any, after: Any) -> list[Leaf]:
    return list(changed_leaves(before, after))


def empty(value: Any) -> bool:
    """Tell whether nothing is in a tree: an empty map is as good as none."""
    if isinstance(value, dict | list):
        return all(map(empty, value.values() if isinstance(value, dict) else value))
    return value is None


@given(TREES)
def test_what_is_the_same_has_no_leaves(tree: Any) -> None:
    assert leaves(tree, tree) == []


@given(TREES, TREES)
def test_every_leaf_differs_and_turns_round(before: Any, after: Any) -> None:
    found = leaves(before, after)
    # Spelt: 0 and false are equal.
    assert all(str(leaf.before) != str(leaf.after) for leaf in found)
    back = {(leaf.path, str(leaf.after), str(leaf.before)) for leaf in leaves(after, before)}
    assert {(leaf.path, str(leaf.before), str(leaf.after)) for leaf in found} == back


@given(st.dictionaries(KEYS, SCALARS, max_size=4), st.dictionaries(KEYS, SCALARS, max_size=4))
def test_maps_that_differ_have_leaves(before: dict[str, Any], after: dict[str, Any]) -> None:
    plain = [{key: value for key, value in each.items() if value is not None} for each in (before, after)]
    assert bool(leaves(before, after)) == (str(sorted(plain[0].items())) != str(sorted(plain[1].items())))


def test_entries_of_lists_are_told_apart_by_name() -> None:
    before = {"roles": [{"name": "a", "login": True}, {"name": "b", "login": True}]}
    after = {"roles": [{"name": "b", "login": False}, {"name": "c", "login": True}]}
    assert leaves(before, after) == [
        Leaf(("roles", "b", "login"), True, False),
        Leaf(("roles", "c"), None, {"name": "c", "login": True}),
        Leaf(("roles", "a"), {"name": "a", "login": True}, None),
    ]


def test_without_a_name_of_their_own_entries_are_told_apart_by_place() -> None:
    assert leaves([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}]) == [Leaf(("1", "a"), 2, 3)]


def test_an_order_alone_is_one_leaf() -> None:
    assert leaves({"x": ["a", "b"]}, {"x": ["b", "a"]}) == [Leaf(("x",), ["a", "b"], ["b", "a"])]
    named = [{"name": "a"}, {"name": "b"}]
    assert leaves({"x": named}, {"x": named[::-1]}) == [Leaf(("x",), ["a", "b"], ["b", "a"])]


def test_elements_of_a_list_come_and_go_one_by_one() -> None:
    found = leaves({"x": ["a", "b", "b"]}, {"x": ["b", "c"]})
    assert found == [Leaf(("x",), "a", None), Leaf(("x",), None, "c")]


@pytest.mark.parametrize(("on", "off"), [(True, False), (False, True)])
def test_a_switch_says_all(on: bool, off: bool) -> None:
    before = {"p": {"enabled": on, "image": "x", "ldap": {"uri": "y"}}}
    assert leaves(before, {"p": {"enabled": off}}) == [Leaf(("p", "enabled"), on, off)]


def test_one_and_true_are_not_the_same() -> None:
    assert leaves({"x": 1}, {"x": True}) == [Leaf(("x",), 1, True)]
