"""What differs between two trees of maps, lists and scalars, leaf by leaf; lists by what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
# By which key the maps in a list are told apart: the first that all have, each with a value of its own.
KEYS = ("name", "service", "major", "cidr")
ENABLED = "enabled"
# What is printed whether it is on or off: its other settings change things then too.
NO_SWITCH: frozenset[Path] = frozenset({("monitoring",)})


@dataclass(frozen=True)
class Leaf:
    """One difference: None stands for what is not there.

    It is a scalar, a whole entry of a list that only one side has (the path ends with the entry's key), one
    element of a list of scalars (the path is the list's), or a whole list whose order alone changed.
    """

    path: Path
    before: Any
    after: Any

    @property
    def added(self) -> bool:
        """Whether only the later tree has it."""
        return self.before is None

    @property
    def removed(self) -> bool:
        """Whether only the earlier tree has it."""
        return self.after is None


def changed_leaves(before: Any, after: Any, path: Path = ()) -> Iterator[Leaf]:
    """Return the differences, in the order of the later tree, and then what only the earlier one has."""
    if before is None and after is None:
        return
    if isinstance(before, dict | None) and isinstance(after, dict | None):
        yield from _maps(before or {}, after or {}, path)
    elif isinstance(before, list | None) and isinstance(after, list | None):
        yield from _lists(_there(before), _there(after), path)
    elif before != after or type(before) is not type(after):
        # Not for whole trees: 1 and true are equal.
        yield Leaf(path, before, after)


def _maps(before: dict[str, Any], after: dict[str, Any], path: Path) -> Iterator[Leaf]:
    on = (before.get(ENABLED), after.get(ENABLED))
    if path not in NO_SWITCH and on[0] != on[1] and all(isinstance(each, bool) for each in on):
        # Whether there is one at all says more than all that comes or goes with it.
        yield Leaf((*path, ENABLED), *on)
        return
    for key in dict.fromkeys([*after, *before]):
        yield from changed_leaves(before.get(key), after.get(key), (*path, str(key)))


def _there(entries: list[Any] | None) -> list[Any]:
    return [each for each in entries or [] if each is not None]


def _lists(before: list[Any], after: list[Any], path: Path) -> Iterator[Leaf]:
    if not any(isinstance(each, dict | list) for each in (*before, *after)):
        yield from _scalars(before, after, path)
        return
    key = key_of(before, after)
    olds, news = _by_key(before, key), _by_key(after, key)
    for name in dict.fromkeys([*news, *olds]):
        below = (*path, name)
        if name in olds and name in news:
            yield from changed_leaves(olds[name], news[name], below)
        else:
            yield Leaf(below, olds.get(name), news.get(name))
    if list(olds) != list(news) and set(olds) == set(news):
        yield Leaf(path, list(olds), list(news))


def key_of(before: list[Any], after: list[Any]) -> str:
    """Return by which key the maps of two lists are told apart; an empty text means: by their places."""
    for key in KEYS:
        if all(_has_keys(entries, key) for entries in (before, after)):
            return key
    return ""


def _has_keys(entries: list[Any], key: str) -> bool:
    found = [entry.get(key) for entry in entries if isinstance(entry, dict)]
    scalar = all(isinstance(each, str | int) for each in found)
    return scalar and len(found) == len(entries) == len({str(each) for each in found})


def _by_key(entries: list[Any], key: str) -> dict[str, Any]:
    return {str(entry[key]) if key else str(number): entry for number, entry in enumerate(entries)}


def _scalars(before: list[Any], after: list[Any], path: Path) -> Iterator[Leaf]:
    olds, news = ({_spelt(each): each for each in entries} for entries in (before, after))
    if olds.keys() == news.keys():
        if list(map(_spelt, before)) != list(map(_spelt, after)):
            yield Leaf(path, before, after)
        return
    yield from (Leaf(path, value, None) for key, value in olds.items() if key not in news)
    yield from (Leaf(path, None, value) for key, value in news.items() if key not in olds)


def _spelt(value: Any) -> str:
    # 1 and true are equal, and hash alike.
    return json.dumps(value, default=str)
