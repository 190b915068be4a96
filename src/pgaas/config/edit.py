"""Change single values in the text of a YAML file, and leave every other character as a person wrote it.

Only the places of the values come from a parser; the text itself is cut and joined. So comments, order,
quotes, indentation and line ends stay without anybody's doing, also where a writer of whole files would
move them. What can't be done so is refused, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pgaas.config.scalars import plain_scalar

PLAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?")
LINE_BREAK = re.compile(r"\r\n|\n|\r")
COMMENT_LINE = re.compile(r"(?:[ \t]*(?:\r\n|\n|\r))*( *)#[^\r\n]*(?:\r\n|\n|\r|\Z)")
COMMENT = re.compile(r"(?<![^\s])#[^\r\n]*")
BYTE_ORDER_MARK = "\ufeff"
Path = tuple[str, ...]
# What from where to where is replaced by what.
Splice = tuple[int, int, str]


class CannotEdit(Exception):
    """Say that the way in which a file is written does not let it be changed value by value."""


@dataclass
class Node:
    """A value in the text, from `start` to `end`; a map's children are its keys and values in turn."""

    kind: Literal["scalar", "reference", "map", "list"]
    start: int
    end: int
    flow: bool = False
    value: str = ""
    children: list[Node] = field(default_factory=list)

    def find(self, key: str) -> int | None:
        """Return where a map's key is among the children, or None."""
        places = range(0, len(self.children), 2) if self.kind == "map" else ()
        return next((place for place in places if self.children[place].value == key), None)

    def get(self, key: str) -> Node | None:
        """Return the value at a map's key, or None."""
        place = self.find(key)
        return None if place is None else self.children[place + 1]


def edit(text: str, place: Path, changes: Mapping[Path, Any]) -> str:
    """Return a valid YAML text with changed leaves below the map at `place`; None takes a leaf away.

    A leaf is named by one key or by two; a map that loses its last leaf goes too. Raise CannotEdit if the way
    in which the text is written does not allow it. The caller compares: a value that others refer to takes
    them along.
    """
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    text = text.removeprefix(mark)
    for path, value in changes.items():
        text = _change(text, place, path, value)
    return mark + text


def inline(value: Any) -> str:
    """Return a value as YAML writes it within a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inline(key)}: {inline(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and plain_scalar(value) == value:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    """Return what YAML takes only so: JSON leaves DEL and its like as they are."""
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _change(text: str, place: Path, path: Path, value: Any) -> str:
    root = read(text)
    holder = map_at(root, place)
    key, *rest = path
    below = holder.get(key)
    if rest and below is not None and below.kind == "map":
        (inner,) = rest
        if value is not None:
            return _put(text, below, inner, value, "")
        if below.find(inner) is None or len(below.children) > 2:
            return _remove(text, below, inner)
    elif rest and value is not None:
        value = {rest[0]: value}
    elif rest:
        return text
    if value is None:
        return _remove(text, holder, key)
    columns = [column_of(text, each.children[0].start) for each in (map_at(root, place[:-1]), holder)]
    return _put(text, holder, key, value, " " * max(1, columns[1] - columns[0]))


def read(text: str) -> Node:
    """Return the whole text's value. The text is valid: whoever called has read it."""
    top = Node("list", 0, len(text), flow=True)
    stack = [top]
    # The stubs know one Event for all kinds; each branch below knows which it has.
    next_event: Callable[[], Any] = CParser(text).get_event
    while (event := next_event()) is not None:
        kind = type(event)
        if kind is ScalarEvent or kind is AliasEvent:
            name: Literal["scalar", "reference"] = "scalar" if kind is ScalarEvent else "reference"
            found = getattr(event, "value", "")
            stack[-1].children.append(Node(name, event.start_mark.index, event.end_mark.index, value=found))
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            node = Node(
                "map" if kind is MappingStartEvent else "list",
                event.start_mark.index,
                event.end_mark.index,
                flow=bool(event.flow_style),
            )
            stack[-1].children.append(node)
            stack.append(node)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            node = stack.pop()
            # Where a block ends, libyaml says too late: after the comments that follow it.
            node.end = event.end_mark.index if node.flow else node.children[-1].end
    return top.children[0]


def map_at(root: Node, place: Path) -> Node:
    """Return the map at a place. Raise CannotEdit if it is not written out, or empty."""
    node = root
    for key in place:
        below = node.get(key)
        if below is None:
            raise CannotEdit(f"{key} is not written out")
        node = below
    if node.kind != "map" or not node.children:
        raise CannotEdit(f"{'.'.join(place)} is not written out")
    return node


def _put(text: str, holder: Node, key: str, value: Any, step: str) -> str:
    """Set a map's key; `step` is how far what is below a new key is indented."""
    old = holder.get(key)
    if old is None:
        return _add(text, holder, key, value, step)
    if old.kind == "list" and not old.flow and isinstance(value, list | tuple):
        return _put_elements(text, old, value)
    written = text[old.start : old.end]
    if (old.kind in ("map", "list") and not old.flow) or "#" in written or written.endswith(("\n", "\r")):
        raise CannotEdit(f"{key} takes several lines")
    return spliced(text, (old.start, old.end, ("" if written else " ") + inline(value)))


def _add(text: str, holder: Node, key: str, value: Any, step: str) -> str:
    """Add a key at a map's end."""
    if holder.flow:
        return in_flow(text, holder, f"{inline(key)}: {inline(value)}")
    column = column_of(text, holder.children[0].start)
    indent = " " * column
    lines = [f"{indent}{inline(key)}: {inline(value)}"]
    if isinstance(value, dict):
        below = [f"{indent}{step}{inline(name)}: {inline(each)}" for name, each in value.items()]
        lines = [f"{indent}{inline(key)}:", *below]
    return spliced(text, new_lines(text, holder.end, column, lines))


def in_flow(text: str, holder: Node, written: str) -> str:
    """Add a key to a map in braces."""
    if holder.children:
        place = holder.children[-1].end
        return spliced(text, (place, place, f", {written}"))
    return spliced(text, (holder.end - 1, holder.end - 1, written))


def _put_elements(text: str, old: Node, wanted: Sequence[Any]) -> str:
    """Change a list of one element a line: add what is missing at its end, take away what is not wanted."""
    column = column_of(text, old.start)
    present = [child.value for child in old.children]
    lines = [f"{' ' * column}- {inline(value)}" for value in wanted if value not in present]
    splices = [new_lines(text, old.end, column, lines)]
    for child in old.children:
        if child.value not in wanted:
            start = line_start(text, child.start)
            if text[start : child.start].strip(" ") != "-":
                raise CannotEdit("its elements do not have a line each")
            splices.append(_no_lines(text, start, [child]))
    return spliced(text, *splices)


def _remove(text: str, holder: Node, key: str) -> str:
    """Take a key out of a map. Its comments stay: they are a person's to remove."""
    place = holder.find(key)
    if place is None:
        return text
    pair = holder.children[place : place + 2]
    if len(holder.children) == 2 and not holder.flow:
        raise CannotEdit(f"{key} is all there is")
    if holder.flow:
        return out_of_flow(text, holder, place)
    start = line_start(text, pair[0].start)
    if text[start : pair[0].start].strip(" "):
        raise CannotEdit(f"{key} does not begin its line")
    return spliced(text, _no_lines(text, start, pair))


def out_of_flow(text: str, holder: Node, place: int) -> str:
    """Take a key out of a map in braces; `place` is where it is among the children."""
    pairs, (key, value) = holder.children, holder.children[place : place + 2]
    start, end = key.start, value.end
    if place + 2 < len(pairs):
        end = pairs[place + 2].start
    elif place:
        start = pairs[place - 1].end
    if "#" in text[start:end]:
        raise CannotEdit("a comment stands in what is to go")
    return spliced(text, (start, end, ""))


def new_lines(text: str, after: int, column: int, lines: Sequence[str]) -> Splice:
    """Insert lines below a block, and below the comments that its indentation makes a part of it."""
    place = line_end(text, after)
    while (found := COMMENT_LINE.match(text, place)) and len(found[1]) >= column:
        place = found.end()
    end = line_break(text)
    start = "" if text[place - 1] in "\r\n" or not lines else end
    return place, place, start + "".join(line + end for line in lines)


def _no_lines(text: str, start: int, nodes: Sequence[Node]) -> Splice:
    """Take away the lines of some values, all but their comments."""
    end = line_end(text, nodes[-1].end)
    indent = text[start : nodes[0].start].replace("-", " ")
    kept, place = [], start
    for leaf in [*(leaf for node in nodes for leaf in _leaves(node)), Node("scalar", end, end)]:
        kept += COMMENT.findall(text, place, leaf.start)
        place = leaf.end
    ending = line_break(text)
    return start, end, "".join(f"{indent}{comment}{ending}" for comment in kept)


def spliced(text: str, *splices: Splice) -> str:
    """Return the text with its parts replaced."""
    for start, end, written in sorted(splices, reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _leaves(node: Node) -> list[Node]:
    if not node.children:
        return [node]
    return [leaf for child in node.children for leaf in _leaves(child)]


def line_start(text: str, place: int) -> int:
    """Return where the line of a place begins."""
    return max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1


def line_end(text: str, place: int) -> int:
    """Return where the next line begins; a text of several lines (|) ends there already."""
    if text[place - 1] in "\r\n":
        return place
    found = LINE_BREAK.search(text, place)
    return found.end() if found else len(text)


def line_break(text: str) -> str:
    """Return what ends the lines of a text."""
    found = LINE_BREAK.search(text)
    return found[0] if found else "\n"


def column_of(text: str, place: int) -> int:
    """Return how far a place is from its line's beginning."""
    return place - line_start(text, place)
