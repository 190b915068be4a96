"""The platform team's dashboard: all clients."""

from __future__ import annotations

from typing import Any

from dashboards import queries
from dashboards.panels import GREEN, RED, YELLOW, Look, bars, environments, lines, number, page, rows

ONLY = 'env=~"$env"'
SOME_IS_BAD = ((None, GREEN), (1, RED))
DATABASES = f"{ONLY},{queries.DATABASES}"
PRIMARIES = {"0": ("none", RED), "1": ("one", GREEN), "2": ("two", RED)}


def dashboard() -> dict[str, Any]:
    """Return it as Grafana imports it."""
    return page(
        "pgaas-admin",
        "PGaaS: all clusters",
        "Every client's instances, the operator, and the way that the numbers take.",
        {
            "Now": _now(),
            "Load": _load(),
            "Clients in two datacenters": _pairs(),
            "Operator and collectors": _platform(),
        },
        environments('label_values(up{job="cnpg"}, env)'),
    )


def _now() -> list[Any]:
    failures = queries.grown("cnpg_pg_stat_archiver_failed_count", ONLY)
    errors = queries.grown("controller_runtime_reconcile_errors_total", queries.OPERATOR)
    lag = Look("s", ((None, GREEN), (300, YELLOW), (900, RED)))
    return [
        number("Instances up", f"sum(cnpg_collector_up{{{ONLY}}})", "Instances whose PostgreSQL answers.",
               Look(colours=((None, RED), (1, GREEN)))),
        number("Instances down", queries.down(ONLY),
               "Instances that do not answer the collector, or whose PostgreSQL is down.",
               Look(colours=SOME_IS_BAD)),
        number("Active connections", f"sum(cnpg_backends_total{{{ONLY}}})", "Connections of all clients."),
        number("WAL archive failures", f"sum({failures})", "Failed attempts to archive, in the last hour.",
               Look(colours=SOME_IS_BAD, decimals=0)),
        number("Longest replication lag", f"max(cnpg_pg_replication_lag{{{ONLY}}})",
               "By an instance's own clock. Behind an archive it grows while the source is idle: "
               "see the clients in two datacenters.", lag),
        number("Reconcile errors", f"sum({errors})",
               "The operator's, in the last hour. It tries again: each new cluster brings some.",
               Look(colours=((None, GREEN), (100, YELLOW), (1000, RED)), decimals=0)),
    ]  # fmt: skip


def _load() -> list[Any]:
    sizes = f"cnpg_pg_database_size_bytes{{{DATABASES}}}"
    dead = f"cnpg_pg_stat_user_tables_n_dead_tup{{{ONLY}}}"
    return [
        lines("Active connections by cluster", queries.by("cluster", f"cnpg_backends_total{{{ONLY}}}"),
              "Connections of clients.", "{{cluster}}"),
        lines("Transactions per second by cluster", queries.transactions("cluster", ONLY),
              "Committed and rolled back.", "{{cluster}}", Look("ops")),
        lines("Replication lag by instance",
              queries.by("cluster, pod", f"cnpg_pg_replication_lag{{{ONLY}}}", "max"),
              "By the instance's own clock; behind an archive it grows while the source is idle.", "{{pod}}",
              Look("s")),
        lines("WAL files by cluster",
              queries.by("cluster", f'cnpg_collector_pg_wal{{{ONLY},value="count"}}', "max"),
              "Segments in pg_wal: they pile up when they can't be archived.", "{{cluster}}"),
        bars("Database sizes", queries.by("cluster, datname", sizes, "max"), "On disk.",
             "{{cluster}} {{datname}}", Look("bytes")),
        lines("Cache hit ratio by cluster", queries.hit_ratio("cluster", ONLY),
              "Blocks found in PostgreSQL's own memory; a cluster at rest shows nothing.", "{{cluster}}",
              Look("percentunit")),
        rows("Most dead rows", queries.topmost("cluster, datname, schemaname, relname", dead),
             "The ten tables with the most rows that a vacuum would remove."),
        lines("Longest transaction by cluster",
              queries.by("cluster", f"cnpg_backends_max_tx_duration_seconds{{{ONLY}}}", "max"),
              "It keeps vacuum from removing what is dead.", "{{cluster}}", Look("s")),
    ]  # fmt: skip


def _pairs() -> list[Any]:
    return [
        rows("Where writes go", queries.takes_writes("ins, env, dc", ONLY),
             "1 for a datacenter with an instance that takes writes, 0 for one that follows.",
             Look(meanings={"0": ("follows", YELLOW), "1": ("takes writes", GREEN)})),
        bars("Sides that take writes", queries.by("ins, env", f"pgaas_primaries{{{ONLY}}}", "max"),
             "One is right. Two are a split brain, none is an outage.", "{{ins}} {{env}}",
             Look(colours=((None, RED), (1, GREEN), (2, RED)), meanings=PRIMARIES)),
        lines("What losing the primary now would cost",
              queries.by("ins, env", f"pgaas_estimated_loss_seconds{{{ONLY}}}", "max"),
              "The last writes that no other datacenter could have: the RPO, as pgaas estimates it.",
              "{{ins}} {{env}}", Look("s")),
        lines("Behind the other side, in WAL", queries.behind("ins, env", ONLY),
              "By the positions that the instances themselves give; no need for pgaas.",
              "{{ins}} {{env}} {{dc}}", Look("bytes")),
        lines("Age of the newest WAL in the archive",
              queries.by("ins, env, dc", f"pgaas_archive_age_seconds{{{ONLY}}}", "max"),
              "Of each side's own archive.", "{{ins}} {{env}} {{dc}}", Look("s")),
    ]  # fmt: skip


def _platform() -> list[Any]:
    duration = queries.rate("controller_runtime_reconcile_time_seconds_bucket", queries.OPERATOR)
    return [
        lines("Reconcile duration, 95th percentile",
              f"histogram_quantile(0.95, {queries.by('le, dc', duration)})", "The operator's.", "{{dc}}",
              Look("s")),
        lines("Reconcile queue", queries.by("dc, name", f"workqueue_depth{{{queries.OPERATOR}}}", "max"),
              "What waits for the operator.", "{{dc}} {{name}}"),
        lines("Samples that collectors send",
              queries.by("dc", queries.rate("otelcol_exporter_sent_metric_points", queries.COLLECTOR)),
              "Per second, to Prometheus.", "{{dc}}"),
        lines("What waits in collectors",
              queries.by("dc", f"otelcol_exporter_queue_size{{{queries.COLLECTOR}}}", "max"),
              "Batches that Prometheus has not taken: above zero for long, metrics will be lost. "
              "A collector that can't write at all is a gap here.", "{{dc}}"),
    ]  # fmt: skip
