"""Values as YAML text: the same values give the same bytes.

A small writer of our own for plain maps, lists and scalars: PyYAML's, even with libyaml, takes longer than
everything before it, which a thousand files in one run make felt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pgaas.config.environments import resolve_environment

if TYPE_CHECKING:
    from pgaas.render.values import GeneratedValues

# Text that no YAML, 1.1 or 1.2, takes for anything but text; all other text is quoted.
_WORD = r"[A-Za-z0-9/_.=@-]+(:[A-Za-z0-9/_.=@-]+)*"
_PLAIN = re.compile(rf"(?=[A-Za-z/_]){_WORD}( {_WORD})*")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_SIMPLE = re.compile(r"[ -~]*")


@lru_cache(maxsize=4096)
def quote(text: str) -> str:
    """Return text as a YAML scalar that every reader takes for exactly this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    if _SIMPLE.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if " " <= character <= "~":
        return "\\" + character if character in '"\\' else character
    code = ord(character)
    return f"\\U{code:08X}" if code > 0xFFFF else f"\\u{code:04X}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None:
        return "null"
    raise TypeError(f"{type(value).__name__} has no place in a values file")


def _block(value: Any, indent: str) -> Iterator[str]:
    deeper = indent + "  "
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, dict | list) and each:
                yield f"{indent}{quote(key)}:\n"
                yield from _block(each, deeper)
            else:
                yield f"{indent}{quote(key)}: {_leaf(each)}\n"
        return
    for each in value:
        if isinstance(each, dict | list) and each:
            first, *rest = _block(each, deeper)
            yield f"{indent}- {first[len(deeper) :]}"
            yield from rest
        else:
            yield f"{indent}- {_leaf(each)}\n"


def _leaf(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    return "[]" if isinstance(value, list) else _scalar(value)


def dump_plain(plain: dict[str, Any]) -> str:
    """Return maps, lists, text, whole numbers and booleans as YAML, in their own order."""
    return "".join(_block(plain, "")) or "{}\n"


def dump_values(values: GeneratedValues) -> str:
    """Return a values file: two lines that say what it was made from, and the values."""
    target = values.target
    if values.restore.enabled:
        asked = f"--ins {target.ins} --env {target.env} --dc {target.dc} --as {values.cluster.name}"
        return (
            f"# Made by `pgaas restore {asked}`: edits will be lost.\n"
            f"# {values.restore.request}\n{dump_plain(values.plain())}"
        )
    environment = resolve_environment(target.env)
    revision = values.cluster.users_revision
    return (
        f"# Made by `pgaas generate --ins {target.ins} --env {target.env} --dc {target.dc}`:"
        " edits will be lost.\n"
        f"# From {environment.admin_folder}/*.yaml and {environment.user_file(target.ins)}"
        f"{f' at {revision}' if revision else ''}\n"
        f"{dump_plain(values.plain())}"
    )
