"""Make a line of CloudNativePG's JSON logs readable: who says what, and how bad it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "fatal")
# PostgreSQL's severities and zap's levels; what is in neither is `info`.
LEVEL_OF = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "log": "info",
    "notice": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "dpanic": "fatal",
    "panic": "fatal",
    "fatal": "fatal",
}
# What PostgreSQL says beside the message, in the order and with the words of its own log.
BESIDE = {
    "detail": "DETAIL",
    "hint": "HINT",
    "context": "CONTEXT",
    "query": "STATEMENT",
    "internal_query": "QUERY",
}
# Said already, or the same in every line.
COMMON = ("level", "ts", "logger", "msg", "logging_pod", "record", "caller", "stacktrace")
PLAIN = re.compile(r"\b(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):\s")
WIDTH = 400


@dataclass(frozen=True)
class Entry:
    """What a line says; `beside` are further lines, such as PostgreSQL's hint and statement."""

    level: str
    logger: str
    message: str
    beside: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return all of it, as it is searched."""
        return "\n".join([f"{self.logger}: {self.message}" if self.logger else self.message, *self.beside])


def parse_entry(text: str) -> Entry:
    """Return what a line says; one that is no JSON is its own message."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        match = PLAIN.search(text)
        return Entry(_level(match[1] if match else ""), "", text)
    record = content.get("record")
    logger = str(content.get("logger", ""))
    if isinstance(record, dict) and ("message" in record or "audit" in record):
        return _postgresql(record, logger)
    message = str(content.get("msg", ""))
    extra = {key: value for key, value in content.items() if key not in COMMON}
    return Entry(
        _level(content.get("level")),
        logger,
        " ".join([message, *(f"{key}={_short(value)}" for key, value in extra.items())]).strip(),
    )


def at_least(level: str, wanted: str) -> bool:
    """Return whether a level is as bad as another one, or worse."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def _postgresql(record: dict[str, Any], logger: str) -> Entry:
    """Return a record of PostgreSQL's log, or of pgaudit's."""
    severity = str(record.get("error_severity", "LOG"))
    who = "@".join(str(record[key]) for key in ("user_name", "database_name") if record.get(key))
    message = str(record.get("message", ""))
    audit = record.get("audit")
    if isinstance(audit, dict):
        message = " ".join(str(value) for value in audit.values() if value not in (None, ""))
    state = record.get("sql_state_code")
    code = f" ({state})" if state not in (None, "", "00000") else ""
    beside = tuple(f"{word}: {record[key]}" for key, word in BESIDE.items() if record.get(key))
    return Entry(_level(severity), logger, f"{f'[{who}] ' if who else ''}{severity}: {message}{code}", beside)


def _level(word: object) -> str:
    return LEVEL_OF.get(str(word).lower().rstrip("12345"), "info")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"
