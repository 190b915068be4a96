"""Read a file that people wrote: plain data, and the line of every key.

YAML 1.2's core types over libyaml's events, without recursion: what is nested, repeated or referred to too
much is an issue with a line, and never exhausts the machine.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pgaas.config.scalars import plain_scalar, shown
from pgaas.errors import ConfigError, ConfigIssue

USER_FILE_LIMIT = 1024 * 1024
ADMIN_FILE_LIMIT = 16 * 1024 * 1024
DEPTH_LIMIT = 32
# How many values all the references (*name) of a file may stand for.
ALIAS_LIMIT = 10_000


class Document(NamedTuple):
    """One file: `data` is None if it could not be read; `lines` maps dotted paths to 1-based lines."""

    file: str
    data: dict[str, Any] | None
    lines: Mapping[str, int]
    issues: tuple[ConfigIssue, ...] = ()

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of a path, or of its nearest parent that has one; 0 if there is none."""
        parts = [str(part) for part in path]
        while parts:
            if line := self.lines.get(".".join(parts)):
                return line
            parts.pop()
        return 0

    def issue(self, path: Sequence[str | int], message: str) -> ConfigIssue:
        """Return an issue at a path of this file."""
        return ConfigIssue(self.file, self.line(path), ".".join(str(part) for part in path), message)


def load_document(path: Path, root: Path) -> Document:
    """Read one of the platform team's files. Raise ConfigError with every issue of its YAML."""
    document = read_document(path, root)
    if document.issues:
        raise ConfigError(list(document.issues))
    return document


def read_document(path: Path, root: Path, limit: int = ADMIN_FILE_LIMIT, name: str = "") -> Document:
    """Read a file of at most `limit` bytes; whatever is wrong with it is in the document's `issues`.

    `name` is what messages call it, by default its path below the root.
    """
    name = name or relative(path, root)
    content, problem = read_bytes(path, limit)
    if problem:
        return Document(name, None, {}, (ConfigIssue(name, 0, "", problem),))
    return parse_document(name, content)


def relative(path: Path, root: Path) -> str:
    """Return a path as messages show it: below the root, with slashes."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def read_bytes(path: Path, limit: int) -> tuple[bytes, str]:
    """Return a regular file's content, or what is wrong with it."""
    try:
        # Without blocking, so that a pipe in a file's place is looked at and refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", "is missing"
    except (OSError, ValueError) as error:
        return b"", f"can't be read: {getattr(error, 'strerror', None) or error}"
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            return b"", "is a folder, not a file"
        if not stat.S_ISREG(found.st_mode):
            return b"", "is not a regular file"
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError as error:
        return b"", f"can't be read: {error.strerror}"
    finally:
        os.close(descriptor)
    if len(content) > limit:
        return b"", f"has more than {limit // 1024} KiB: no such file is that long"
    return content, ""


def parse_document(name: str, content: bytes) -> Document:
    """Parse YAML; `name` is what messages call the file."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Document(name, None, {}, (ConfigIssue(name, line, "", "is not UTF-8 text"),))
    builder = Builder(name)
    try:
        builder.build(content)
    except Refused as refused:
        builder.issues.append(ConfigIssue(name, refused.line, "", refused.message))
        return Document(name, None, builder.lines, tuple(builder.issues))
    except YAMLError as error:
        builder.issues.append(syntax_issue(name, content, error))
        return Document(name, None, builder.lines, tuple(builder.issues))
    data = builder.result
    if not isinstance(data, dict):
        what = "is empty" if data is None else "must be a map (key: value)"
        builder.issues.append(ConfigIssue(name, 0 if data is None else 1, "", what))
        data = None
    return Document(name, data, builder.lines, tuple(builder.issues))


def syntax_issue(name: str, content: bytes, error: YAMLError) -> ConfigIssue:
    """Turn libyaml's complaint into an issue."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 0
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "can't be parsed"
    written = content.splitlines()[line - 1 : line] if line else []
    if written and b"\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
        problem = "a tab in the indentation: YAML takes blanks only"
    elif line == 0 and (position := getattr(error, "position", None)) is not None:
        line = content[:position].count(b"\n") + 1
    return ConfigIssue(name, line, "", f"is not valid YAML: {problem}")


class Refused(Exception):
    """Something that ends the reading of a file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass
class Frame:
    """A map or list that is being filled; `size` counts the values in it, those of references included."""

    value: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    key: str | None = None
    size: int = 1


@dataclass
class Builder:
    """Turn libyaml's events into data, lines and issues."""

    name: str
    lines: dict[str, int] = field(default_factory=dict)
    issues: list[ConfigIssue] = field(default_factory=list)
    result: Any = None
    stack: list[Frame] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    open_anchors: set[str] = field(default_factory=set)
    referred: int = 0
    documents: int = 0

    def build(self, content: bytes) -> None:
        """Read all events. Raise Refused or YAMLError where reading can't go on."""
        # The stubs know one Event for all kinds; each branch below knows which it has.
        next_event: Callable[[], Any] = CParser(content).get_event
        stack = self.stack
        while (event := next_event()) is not None:
            kind = type(event)
            if kind is ScalarEvent:
                line = event.start_mark.line + 1
                if event.tag is not None:
                    raise Refused(line, f"tags such as {shown(event.tag)} are not taken")
                if stack and type(stack[-1].value) is dict and stack[-1].key is None:
                    self.take_key(event, line)
                    continue
                value = plain_scalar(event.value) if event.implicit[0] else event.value
                self.add(value, line, 1)
                if event.anchor is not None:
                    self.anchors[event.anchor] = (value, 1)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self.start(event, {} if kind is MappingStartEvent else [])
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self.end()
            elif kind is AliasEvent:
                self.refer(event.anchor, event.start_mark.line + 1)
            elif kind is DocumentStartEvent:
                self.documents += 1
                if self.documents > 1:
                    raise Refused(
                        event.start_mark.line + 1, "holds more than one document: a second --- begins here"
                    )

    def take_key(self, event: Any, line: int) -> None:
        """Take a map's next key."""
        frame = self.stack[-1]
        key = event.value
        if event.implicit[0]:
            if not isinstance(plain_scalar(key), str):
                message = f"the key {key or '(empty)'} is not text: quote it"
                self.issues.append(ConfigIssue(self.name, line, frame.path, message))
            elif key == "<<":
                raise Refused(line, "merge keys (<<) are not taken: YAML 1.2 has none")
        path = f"{frame.path}.{key}" if frame.path else key
        assert isinstance(frame.value, dict)
        if key in frame.value:
            self.issues.append(
                ConfigIssue(self.name, line, path, f"is there twice, first on line {self.lines.get(path, 0)}")
            )
        else:
            self.lines[path] = line
        if event.anchor is not None:
            self.anchors[event.anchor] = (key, 1)
        frame.key = key

    def start(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        """Open a map or list."""
        line = event.start_mark.line + 1
        if event.tag is not None:
            raise Refused(line, f"tags such as {shown(event.tag)} are not taken")
        if len(self.stack) >= DEPTH_LIMIT:
            raise Refused(line, f"is nested more than {DEPTH_LIMIT} deep")
        path = self.add(value, line, 0)
        if event.anchor is not None:
            self.open_anchors.add(event.anchor)
        self.stack.append(Frame(value, path, event.anchor))

    def end(self) -> None:
        """Close a map or list."""
        frame = self.stack.pop()
        if frame.anchor is not None:
            self.open_anchors.discard(frame.anchor)
            self.anchors[frame.anchor] = (frame.value, frame.size)
        if self.stack:
            self.stack[-1].size += frame.size

    def refer(self, anchor: str, line: int) -> None:
        """Put in what a reference stands for."""
        if anchor in self.open_anchors:
            raise Refused(line, f"*{shown(anchor)} stands inside of what it refers to")
        if anchor not in self.anchors:
            raise Refused(line, f"*{shown(anchor)} refers to nothing above it")
        value, size = self.anchors[anchor]
        self.referred += size
        if self.referred > ALIAS_LIMIT:
            raise Refused(line, f"its references (*{shown(anchor)}) stand for more than {ALIAS_LIMIT} values")
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            raise Refused(line, "a reference can't be a key")
        self.add(value, line, size)

    def add(self, value: Any, line: int, size: int) -> str:
        """Put a value into the map or list that is open, and return its path."""
        if not self.stack:
            self.result = value
            return ""
        frame = self.stack[-1]
        frame.size += size
        if isinstance(frame.value, list):
            path = f"{frame.path}.{len(frame.value)}" if frame.path else str(len(frame.value))
            self.lines[path] = line
            frame.value.append(value)
            return path
        if frame.key is None:
            raise Refused(line, "a list or map can't be a key")
        key, frame.key = frame.key, None
        # The first of two equal keys stays, so that lines and values belong together.
        if key not in frame.value:
            frame.value[key] = value
        return f"{frame.path}.{key}" if frame.path else key
