"""The queries, made of the names that CloudNativePG, the Barman Cloud plugin, pgaas and the collector give.

`only` selects the series of one dashboard: labels of the collector, without braces.
"""

from __future__ import annotations

# So that a panel shows no template databases, nor what belongs to none: shared catalogs have an empty name.
DATABASES = 'datname!~"template.*|"'
RATE = "$__rate_interval"
OPERATOR = 'job="cnpg-operator"'
COLLECTOR = 'job="otel-collector"'


def rate(metric: str, only: str) -> str:
    """Return how fast a counter grows."""
    return f"rate({metric}{{{only}}}[{RATE}])"


def grown(metric: str, only: str, time: str = "1h") -> str:
    """Return by how much a counter has grown."""
    return f"increase({metric}{{{only}}}[{time}])"


def by(labels: str, query: str, how: str = "sum") -> str:
    """Return one series for each value of some labels."""
    return f"{how} by ({labels}) ({query})"


def transactions(labels: str, only: str) -> str:
    """Return transactions per second, committed or not."""
    commits, rollbacks = (
        by(labels, rate(f"cnpg_pg_stat_database_{end}", only)) for end in ("xact_commit", "xact_rollback")
    )
    return f"{commits} + {rollbacks}"


def hit_ratio(labels: str, only: str) -> str:
    """Return which part of the blocks was found in memory; a database at rest has none, and no ratio."""
    hits, reads = (
        by(labels, rate(f"cnpg_pg_stat_database_{end}", only)) for end in ("blks_hit", "blks_read")
    )
    return f"{hits} / ({hits} + {reads} > 0)"


def down(only: str) -> str:
    """Return how many instances do not answer the collector, or say that PostgreSQL is down."""
    silent = f'up{{job="cnpg",{only}}} == 0'
    return f"count({silent} or cnpg_collector_up{{{only}}} == 0) or vector(0)"


def topmost(labels: str, metric: str) -> str:
    """Return the ten largest, as the labels tell them apart."""
    return f"topk(10, {by(labels, metric, 'max')})"


def takes_writes(labels: str, only: str) -> str:
    """Return 1 for what has an instance that takes writes, 0 for what follows."""
    return by(labels, f"1 - cnpg_pg_replication_in_recovery{{{only}}}", "max")


def behind(labels: str, only: str) -> str:
    """Return how many bytes of WAL each datacenter is behind the one that is furthest."""
    position = f"cnpg_pg_wal_position_bytes{{{only}}}"
    furthest, own = by(labels, position, "max"), by(f"dc, {labels}", position, "max")
    return f"{furthest} - on ({labels}) group_right () {own}"


def age(metric: str, only: str, labels: str) -> str:
    """Return how long ago the latest of some times was; 0 stands for never, and is left out."""
    return f"time() - {by(labels, f'{metric}{{{only}}} > 0', 'max')}"
