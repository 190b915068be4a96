"""One client's dashboard: the chart puts the client's code in the place of INS."""

from __future__ import annotations

from typing import Any

from dashboards import queries
from dashboards.asked import INS
from dashboards.panels import GREEN, RED, YELLOW, Look, bars, environments, lines, number, page, rows

ONLY = f'ins="{INS}",env=~"$env"'
DATABASES = f"{ONLY},{queries.DATABASES}"
SOME_IS_BAD = ((None, GREEN), (1, RED))
HOUR, DAY = 3600, 86400


def dashboard() -> dict[str, Any]:
    """Return it as Grafana imports it, for a client called INS."""
    return page(
        f"pgaas-{INS}",
        f"PGaaS: {INS}",
        f"The instances of {INS}, in all of its environments and datacenters.",
        {"Now": _now(), "Two datacenters": _pair(), "Load": _load(), "Keeping well": _health()},
        environments(f'label_values(up{{job="cnpg",ins="{INS}"}}, env)'),
    )


def _now() -> list[Any]:
    deadlocks = queries.grown("cnpg_pg_stat_database_deadlocks", ONLY)
    temporary = queries.grown("cnpg_pg_stat_database_temp_bytes", ONLY)
    lag = Look("s", ((None, GREEN), (300, YELLOW), (900, RED)))
    ratio = Look("percentunit", ((None, RED), (0.8, YELLOW), (0.95, GREEN)), nothing="at rest")
    return [
        number("Active connections", f"sum(cnpg_backends_total{{{ONLY}}})", "Of all instances."),
        number("Cache hit ratio", queries.hit_ratio("ins", DATABASES),
               "Blocks found in PostgreSQL's own memory.", ratio, "ratio"),
        number("Transactions per second", f"sum({queries.transactions('ins', ONLY)})",
               "Committed and rolled back.", Look("ops")),
        number("Deadlocks", f"sum({deadlocks})", "In the last hour.", Look(colours=SOME_IS_BAD, decimals=0)),
        number("Replication lag", f"max(cnpg_pg_replication_lag{{{ONLY}}})",
               "By the instance's own clock; behind an archive it grows while the source is idle.", lag),
        number("Temporary files", f"sum({temporary})",
               "Written in the last hour: queries that need more work_mem.", Look("bytes")),
    ]  # fmt: skip


def _pair() -> list[Any]:
    expiry = queries.by("dc, env, name", f"pgaas_certificate_expiry_seconds{{{ONLY}}}", "min")
    archived = f"cnpg_pg_stat_archiver_seconds_since_last_archival{{{ONLY}}} >= 0"
    roles = {"0": ("follows", YELLOW), "1": ("takes writes", GREEN)}
    return [
        number("Role, as PostgreSQL says", queries.takes_writes("dc, env", ONLY),
               "Of each datacenter, from its instances.", Look(meanings=roles), "{{dc}} {{env}}"),
        number("Role, as pgaas sees it", queries.by("dc, env", f"pgaas_side_primary{{{ONLY}}}", "max"),
               "Of each datacenter that pgaas reaches.", Look(meanings=roles), "{{dc}} {{env}}"),
        number("Sides that take writes", queries.by("env", f"pgaas_primaries{{{ONLY}}}", "max"),
               "One is right. Two are a split brain, none is an outage.",
               Look(colours=((None, RED), (1, GREEN), (2, RED))), "{{env}}"),
        number("Name of the primary", queries.by("env", f"pgaas_dns_correct{{{ONLY}}}", "min"),
               "Whether the DNS name leads to the side that takes writes.",
               Look(meanings={"0": ("leads elsewhere", RED), "1": ("right", GREEN)}), "{{env}}"),
        number("RPO now", queries.by("env", f"pgaas_estimated_loss_seconds{{{ONLY}}}", "max"),
               "What losing the primary's datacenter now would cost, as pgaas estimates it.",
               Look("s", ((None, GREEN), (600, YELLOW), (HOUR, RED))), "{{env}}"),
        number("Reached by pgaas", queries.by("dc, env", f"pgaas_up{{{ONLY}}}", "min"),
               "Whether pgaas could look at the side.",
               Look(meanings={"0": ("no", RED), "1": ("yes", GREEN)}), "{{dc}} {{env}}"),
        lines("Not replayed yet, in time",
              queries.by("dc, env", f"pgaas_replay_gap_seconds{{{ONLY}}}", "max"),
              "How far a side that follows is behind its source.", "{{dc}} {{env}}", Look("s")),
        lines("Not replayed yet, in WAL",
              queries.by("dc, env", f"pgaas_replay_gap_bytes{{{ONLY}}}", "max"),
              "How far a side that follows is behind its source.", "{{dc}} {{env}}", Look("bytes")),
        lines("Behind the other side, in WAL", queries.behind("env", ONLY),
              "By the positions that the instances themselves give; no need for pgaas.", "{{dc}} {{env}}",
              Look("bytes")),
        lines("Age of the newest WAL in the archive",
              queries.by("dc, env", f"pgaas_archive_age_seconds{{{ONLY}}}", "max"),
              "Of each side's own archive, as pgaas finds it in S3.", "{{dc}} {{env}}", Look("s")),
        lines("Since the last WAL was archived",
              queries.by("dc, env", archived, "min"),
              "As the archiving instance says it.", "{{dc}} {{env}}", Look("s")),
        lines("Age of the last base backup",
              queries.age("barman_cloud_cloudnative_pg_io_last_available_backup_timestamp", ONLY, "dc, env"),
              "Of each side's own archive, as the Barman Cloud plugin says it.", "{{dc}} {{env}}", Look("s")),
        rows("Certificates that end first", f"bottomk(10, {expiry})",
             "How long each still lasts.",
             Look("s", ((None, RED), (7 * DAY, YELLOW), (21 * DAY, GREEN)))),
    ]  # fmt: skip


def _load() -> list[Any]:
    sizes = f"cnpg_pg_database_size_bytes{{{DATABASES}}}"
    return [
        lines("Active connections by database",
              queries.by("datname", f"cnpg_backends_total{{{ONLY}}}"), "Of all instances.", "{{datname}}"),
        lines("Transactions per second by database", queries.transactions("datname", DATABASES),
              "Committed and rolled back.", "{{datname}}", Look("ops")),
        lines("Cache hit ratio by database", queries.hit_ratio("datname", DATABASES),
              "Blocks found in PostgreSQL's own memory; a database at rest shows nothing.", "{{datname}}",
              Look("percentunit")),
        lines("Replication lag over time",
              queries.by("dc, pod", f"cnpg_pg_replication_lag{{{ONLY}}}", "max"),
              "By the instance's own clock; behind an archive it grows while the source is idle.", "{{pod}}",
              Look("s")),
        bars("Database sizes", queries.by("datname", sizes, "max"), "On disk.", "{{datname}}", Look("bytes")),
        lines("Connections by state", queries.by("state", f"cnpg_pg_activity_count{{{ONLY}}}"),
              "Of clients only, all instances.", "{{state}}"),
    ]  # fmt: skip


def _health() -> list[Any]:
    dead = f"cnpg_pg_stat_user_tables_n_dead_tup{{{ONLY}}}"
    return [
        rows("Most dead rows", queries.topmost("dc, datname, schemaname, relname", dead),
             "The ten tables with the most rows that a vacuum would remove."),
        lines("Longest query by state",
              queries.by("state", f"cnpg_pg_activity_max_query_duration_seconds{{{ONLY}}}", "max"),
              "How long ago the oldest statement of each state began; 0 for idle connections.", "{{state}}",
              Look("s")),
    ]  # fmt: skip
