"""When PostgreSQL takes up a changed parameter: what real servers say (`python -m settings`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("postgresql_settings.json")
# Libraries that CloudNativePG preloads as long as any parameter of theirs is set (ManagedExtensions in its
# pkg/postgres/configuration.go).
PRELOADED = ("auto_explain", "pg_failover_slots", "pg_stat_statements", "pgaudit")
# What a standby must have at least as much of as its primary, and what counts where nobody says: PostgreSQL's
# own defaults, but for max_worker_processes, which CloudNativePG 1.30 sets (GlobalDefaultSettings there).
STANDBY_DEFAULTS = {
    "max_connections": 100,
    "max_worker_processes": 32,
    "max_wal_senders": 10,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 64,
}


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(FILE.read_text())
    return table


def majors() -> list[int]:
    """Return the major versions that the table knows."""
    return sorted(map(int, _table()["servers"]))


def context(name: str, major: int) -> str:
    """Return a parameter's context in a major version, or an empty text if it is not known there.

    What a library brings is the same with every version of the server.
    """
    by_context: dict[str, list[int]] = _table()["contexts"].get(name, {})
    if "." in name:
        return next(iter(by_context), "")
    return next((found for found, known in by_context.items() if major in known), "")


def library_of(name: str) -> str:
    """Return the preloaded library that a parameter belongs to, or an empty text."""
    prefix = name.partition(".")[0]
    return prefix if "." in name and prefix in PRELOADED else ""
