"""The merge: the platform team's values win, maps are merged, lists and everything else are replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pgaas.config.resolved import Origin

Path = tuple[str, ...]


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Return both trees as one, in which `high` wins. Neither is changed; the result shares their parts."""
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        result[key] = merge(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return result


class Layer(NamedTuple):
    """A tree, and where each of its paths was written."""

    tree: Mapping[str, Any]
    file: str
    line: Callable[[Path], int]

    def origin(self, path: Path, value: Any, overrode: tuple[Origin, ...] = ()) -> Origin:
        """Return where a value of this layer came from."""
        return Origin(self.file, self.line(path), value, overrode)


def trace(layers: Sequence[Layer]) -> dict[str, Origin]:
    """Return each leaf of the merged layers (lowest first) with its origin and what lost to it.

    A leaf is a text, number or truth value, or an empty map or list; in a list that won, each element has
    leaves of its own, and all of them overrode the whole of what lost.
    """
    return {
        ".".join(path): origin for path, origin in _leaves([(layer, layer.tree) for layer in layers], (), ())
    }


def _leaves(
    values: list[tuple[Layer, Any]], path: Path, lost: tuple[Origin, ...]
) -> Iterator[tuple[Path, Origin]]:
    layer, top = values[-1]
    start = len(values) - 1
    if isinstance(top, dict):
        while start and isinstance(values[start - 1][1], dict):
            start -= 1
    lost += tuple(below.origin(path, value) for below, value in values[:start])
    if isinstance(top, list) and top:
        for index, element in enumerate(top):
            yield from _leaves([(layer, element)], (*path, str(index)), lost)
        return
    maps = values[start:]
    keys = dict.fromkeys(key for _, value in maps for key in value) if isinstance(top, dict) else {}
    if not keys:
        yield path, layer.origin(path, top, lost)
    for key in keys:
        below = [(owner, value[key]) for owner, value in maps if key in value]
        yield from _leaves(below, (*path, key), lost)
