"""Add a whole block to a map in the text of a YAML file, or take one out; see `edit` for single values.

Comments that belong to a block go with it: those within it, and those that stand directly above it, without
a blank line between. Everything else stays, character by character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pgaas.config.edit import (
    BYTE_ORDER_MARK,
    CannotEdit,
    Node,
    Path,
    column_of,
    in_flow,
    inline,
    line_break,
    line_end,
    line_start,
    map_at,
    new_lines,
    out_of_flow,
    read,
    spliced,
)

COMMENT_ABOVE = re.compile(r"( *)#[^\r\n]*(?:\r\n|\n|\r)")
COMMENT_BELOW = re.compile(r"(?:[ \t]*(?:\r\n|\n|\r))*( *)#[^\r\n]*(?:\r\n|\n|\r|\Z)")
BLANK = re.compile(r"[ \t]*(?:\r\n|\n|\r)")
EMPTY = "{}"
STEP = 2
MASK = "***"


def add_block(text: str, place: Path, key: str, value: Mapping[str, Any]) -> str:
    """Return a valid YAML text with a new key at the end of the map at `place`.

    Maps within the value get lines of their own, lists stand in one. Raise CannotEdit if the way in which the
    text is written does not allow it. The caller compares.
    """
    return _without_mark(text, lambda body: _added(body, place, key, value))


def remove_block(text: str, place: Path, key: str) -> str:
    """Return a valid YAML text without a key of the map at `place`, and without its comments.

    A map that loses its last key is written as {}. Raise CannotEdit if the way in which the text is written
    does not allow it. The caller compares.
    """
    return _without_mark(text, lambda body: _removed(body, place, key))


def masked(text: str, keys: frozenset[str]) -> str:
    """Return a valid YAML text in which the values of some keys, wherever they stand, are not to be seen."""

    def hidden(node: Node) -> Iterator[tuple[int, int, str]]:
        if node.kind == "map":
            for key, value in zip(node.children[::2], node.children[1::2], strict=True):
                if key.value in keys and value.kind == "scalar":
                    yield value.start, value.end, MASK
                else:
                    yield from hidden(value)
        elif node.kind == "list":
            for child in node.children:
                yield from hidden(child)

    return _without_mark(text, lambda body: spliced(body, *hidden(read(body))))


def _without_mark(text: str, change: Callable[[str], str]) -> str:
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    return mark + change(text.removeprefix(mark))


def _added(text: str, place: Path, key: str, value: Mapping[str, Any]) -> str:
    holder = _holder(text, place)
    if holder.flow and holder.children:
        return in_flow(text, holder, f"{inline(key)}: {inline(dict(value))}")
    end = line_break(text)
    if holder.flow:
        start = line_start(text, holder.start)
        indent = len(text[start:]) - len(text[start:].lstrip(" ")) + STEP
        rest = text[holder.end : line_end(text, holder.end)]
        if "".join(rest.split()) and not rest.lstrip().startswith("#"):
            raise CannotEdit(f"{'.'.join(place)} does not end its line")
        lines = "".join(f"{' ' * indent}{line}{end}" for line in _lines(key, value, STEP))
        before = text[: holder.start].rstrip(" ")
        kept = f"{'  ' if rest.strip() else ''}{rest.strip()}{end}"
        return before + kept + lines + text[line_end(text, holder.end) :]
    first, last = holder.children[0], holder.children[-2]
    column = column_of(text, first.start)
    below = next((each for each in holder.children[1::2] if each.kind == "map" and not each.flow), None)
    step = column_of(text, below.children[0].start) - column if below and below.children else STEP
    written = [f"{' ' * column}{line}" for line in _lines(key, value, max(1, step))]
    if first is not last and _blanks_before(text, _start_of(text, last)):
        written.insert(0, "")
    return spliced(text, new_lines(text, holder.end, column, written))


def _lines(key: str, value: Mapping[str, Any], step: int) -> Iterator[str]:
    """Return a key and its value in block style."""
    yield f"{inline(key)}:"
    for name, each in value.items():
        if isinstance(each, Mapping) and each:
            for line in _lines(name, each, step):
                yield " " * step + line
        else:
            yield f"{' ' * step}{inline(name)}: {inline(each)}"


def _removed(text: str, place: Path, key: str) -> str:
    holder = _holder(text, place)
    where = holder.find(key)
    if where is None:
        return text
    if holder.flow:
        return out_of_flow(text, holder, where)
    name, value = holder.children[where : where + 2]
    if text[line_start(text, name.start) : name.start].strip(" "):
        raise CannotEdit(f"{key} does not begin its line")
    column = column_of(text, name.start)
    start, end = _start_of(text, name), line_end(text, value.end)
    while (found := COMMENT_BELOW.match(text, end)) and len(found[1]) > column:
        end = found.end()
    if len(holder.children) == 2:
        return _emptied(text, start, end)
    last = where + 2 == len(holder.children)
    if last or BLANK.match(text, end):
        start -= _blanks_before(text, start)
    return text[:start] + text[end:]


def _emptied(text: str, start: int, end: int) -> str:
    """Return the text without its map's only key: the map is written as {} behind its own key."""
    # Above it stands the map's own key, perhaps with comments and blank lines between.
    above = start
    while above and any(kind.fullmatch(text, _above(text, above), above) for kind in (BLANK, COMMENT_ABOVE)):
        above = _above(text, above)
    line = text[_above(text, above) : above]
    found = re.fullmatch(r"([^#\"'{}]*:)([ \t]*(?:#[^\r\n]*)?)((?:\r\n|\n|\r)?)", line)
    if above == 0 or not found:
        raise CannotEdit("it is all there is")
    written = f"{found[1]} {EMPTY}{found[2].rstrip()}{found[3]}"
    return text[: above - len(line)] + written + text[above:start] + text[end:]


def _holder(text: str, place: Path) -> Node:
    """Return the map at a place, which may be an empty one. Raise CannotEdit if it is not written out."""
    parent = map_at(read(text), place[:-1])
    found = parent.get(place[-1])
    if found is None or found.kind != "map" or (not found.children and not found.flow):
        raise CannotEdit(f"{'.'.join(place)} is not written out")
    return found


def _start_of(text: str, key: Node) -> int:
    """Return where a block begins: with the comments that stand directly above its key, as far in as it."""
    start, column = line_start(text, key.start), column_of(text, key.start)
    while start:
        above = _above(text, start)
        found = COMMENT_ABOVE.fullmatch(text, above, start)
        if not found or len(found[1]) != column:
            break
        start = above
    return start


def _above(text: str, start: int) -> int:
    """Return where the line before the one that begins at `start` begins."""
    return line_start(text, max(start - (2 if text.endswith("\r\n", 0, start) else 1), 0))


def _blanks_before(text: str, start: int) -> int:
    """Return how many characters of blank lines stand directly before a place."""
    found = re.search(r"(?:(?<=\n)|(?<=\r)(?!\n)|\A)(?:[ \t]*(?:\r\n|\n|\r))+\Z", text[:start])
    return len(found[0]) if found else 0
