"""Plain scalars of YAML 1.2's core schema: yes, no, on and off are text."""

from __future__ import annotations

import re

WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL_OR_HEXADECIMAL = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
NUMBER_START = frozenset("0123456789+-.")
# Longer numbers are no value of any file, and long enough ones cost time to convert.
NUMBER_LIMIT = 40


def plain_scalar(text: str) -> str | int | float | bool | None:
    """Return what an unquoted text stands for."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMBER_START or len(text) > NUMBER_LIMIT:
        return text
    if INTEGER.fullmatch(text):
        return int(text)
    if OCTAL_OR_HEXADECIMAL.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if FLOAT.fullmatch(text):
        return float(text)
    if NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def shown(value: object, limit: int = 60) -> str:
    """Return a value for a message: on one line, without control characters, and not too long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
