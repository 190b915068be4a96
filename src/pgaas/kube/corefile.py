"""Put a client's alias into a CoreDNS Corefile and take it out again; every other byte stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BEGIN = "# BEGIN pgaas: these lines are written by pgaas, for each client's primary alias"
END = "# END pgaas"
LABEL = "pgaas.io/alias"
NAME_LIMIT = 253
SCHEME = "dns://"
SPACE = " \t\n\v\f\r\x85\xa0"
# An address that CoreDNS binds to, and certificates, would have to be the same in a block of our own.
FOREIGN_TO_US = ("bind", "tls")
ALIAS_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


class CorefileNotUnderstood(ValueError):
    """The text is not what pgaas can change without risk; the message says why."""


@dataclass(frozen=True)
class Alias:
    """A name, and the Service whose endpoints are its addresses; `label` marks both, `ttl` is in seconds."""

    fqdn: str
    namespace: str
    service: str
    label: str
    ttl: int

    def lines(self, port: str) -> list[str]:
        """Return the server block that answers for the name."""
        target = f"{self.service}.{self.namespace}.svc.{self.fqdn}"
        if len(target) > NAME_LIMIT or not ALIAS_NAME.fullmatch(self.fqdn):
            raise CorefileNotUnderstood(f"{self.fqdn} cannot be an alias: {target} is no name that DNS holds")
        return [
            f"{self.fqdn}{port} {{",
            "    errors",
            f"    rewrite name exact {self.fqdn}. {target}. answer auto",
            f"    kubernetes {self.fqdn} {{",
            f"        labels {LABEL}={self.label}",
            f"        ttl {self.ttl}",
            "    }",
            "}",
        ]


@dataclass(frozen=True)
class Block:
    """A server block: its keys, the directives in it, and its first and last line (the last one included)."""

    keys: tuple[str, ...]
    directives: tuple[str, ...]
    first: int
    last: int

    @property
    def names(self) -> set[str]:
        """Return the zones of the keys."""
        return {_key(key)[0] for key in self.keys}


def with_alias(text: str, alias: Alias) -> str:
    """Return a Corefile that answers for an alias; the same text if it does already.

    Raise CorefileNotUnderstood if the text is not one that can be changed without risk.
    """
    ours, rest = _split(text)
    lines = alias.lines(_check_rest(rest, {alias.fqdn, *ours}))
    if ours.get(alias.fqdn) == lines:
        return text
    return _join(ours | {alias.fqdn: lines}, rest)


def without_alias(text: str, fqdn: str) -> str:
    """Return a Corefile that no longer answers for an alias. Raise CorefileNotUnderstood."""
    ours, rest = _split(text)
    if fqdn not in ours:
        return text
    return _join({name: lines for name, lines in ours.items() if name != fqdn}, rest)


def aliases(text: str) -> list[str]:
    """Return the names that pgaas answers for. Raise CorefileNotUnderstood."""
    return sorted(_split(text)[0])


def _join(ours: dict[str, list[str]], rest: str) -> str:
    if not ours:
        return rest
    # At the top, where no line break has to be added to a last line that has none.
    lines = [BEGIN, *(line for name in sorted(ours) for line in ours[name]), END]
    return "".join(f"{line}\n" for line in lines) + rest


def _split(text: str) -> tuple[dict[str, list[str]], str]:
    """Return the blocks of the aliases, and the text without them."""
    lines = text.split("\n")
    begins = [index for index, line in enumerate(lines) if line.strip().startswith("# BEGIN pgaas")]
    ends = [index for index, line in enumerate(lines) if line.strip().startswith("# END pgaas")]
    if not begins and not ends:
        return {}, text
    whole = len(begins) == len(ends) == 1 and begins[0] < ends[0] < len(lines) - 1
    if not whole or lines[begins[0]] != BEGIN or lines[ends[0]] != END:
        raise CorefileNotUnderstood("the lines that mark the part of pgaas were changed")
    own = lines[begins[0] + 1 : ends[0]]
    ours: dict[str, list[str]] = {}
    expected = 0
    for block in parse("\n".join(own)):
        name, _ = _key(block.keys[0])
        if len(block.keys) != 1 or block.first != expected or name in ours:
            raise CorefileNotUnderstood("the part of pgaas was changed by hand")
        ours[name] = own[block.first : block.last + 1]
        expected = block.last + 1
    if expected != len(own):
        raise CorefileNotUnderstood("the part of pgaas was changed by hand")
    return ours, "\n".join([*lines[: begins[0]], *lines[ends[0] + 1 :]])


def _check_rest(rest: str, names: set[str]) -> str:
    """Return the port to answer on, as a block's key ends; raise for what cannot be added to."""
    blocks = list(parse(rest))
    taken = sorted(names & {name for block in blocks for name in block.names})
    if taken:
        raise CorefileNotUnderstood(f"somebody else's block answers for {', '.join(taken)} already")
    main = next((block for block in blocks if "kubernetes" in block.directives), None)
    if main is None:
        raise CorefileNotUnderstood("it has no server block with the kubernetes plugin")
    if not any("reload" in block.directives for block in blocks):
        raise CorefileNotUnderstood("it has no reload plugin: a change would be read at a restart only")
    strange = [name for name in FOREIGN_TO_US if name in main.directives]
    if strange or any("://" in key and not key.startswith(SCHEME) for key in main.keys):
        raise CorefileNotUnderstood(f"its main block uses {strange[0] if strange else main.keys[0]}")
    return _key(main.keys[0])[1]


def _key(key: str) -> tuple[str, str]:
    """Return a key's zone in lower case, without its last dot, and its port with the colon before it."""
    name, colon, port = key.removeprefix(SCHEME).rpartition(":")
    if not colon or not port.isdigit():
        name, colon, port = key.removeprefix(SCHEME), "", ""
    return name.lower().rstrip("."), colon + port


def parse(text: str) -> Iterator[Block]:
    """Yield the server blocks and snippets of a Corefile. Raise CorefileNotUnderstood."""
    keys: list[str] = []
    directives: list[str] = []
    depth, first, previous, imported = 0, 0, -1, -1
    for line, token in _tokens(text):
        starts_line = line != previous
        previous = line
        if depth == 0:
            if line == imported:
                continue
            if token == "import" and starts_line and not keys:
                imported = line
            elif token == "{" and keys:
                depth, directives = 1, []
            elif token in "{}":
                raise CorefileNotUnderstood(f"line {line + 1}: {token} is not expected")
            else:
                first = first if keys else line
                keys += [key for key in token.split(",") if key]
        elif token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth == 0:
                yield Block(tuple(keys), tuple(directives), first, line)
                keys = []
        elif depth == 1 and starts_line:
            directives.append(token)
    if depth or keys:
        raise CorefileNotUnderstood("its last block is not closed")


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each word, cut as CoreDNS does: a quoted brace is a brace."""
    word, line, started = "", 0, 0
    quoted, escaped, comment = False, False, False
    for character in text:
        if quoted:
            if escaped or character not in '\\"':
                word += character
                escaped = False
            elif character == "\\":
                escaped = True
            else:
                yield started, word
                word, quoted = "", False
        elif character in SPACE:
            if word:
                yield started, word
            word, comment = "", comment and character != "\n"
        elif character == "#":
            comment = True
        elif not comment:
            if not word and character == '"':
                quoted, started = True, line
            else:
                started = started if word else line
                word += character
        line += character == "\n"
    if quoted:
        raise CorefileNotUnderstood("a quotation mark is not closed")
    if word:
        yield started, word
