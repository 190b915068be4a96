"""The names that there are to ask for: each from who gives it."""

from __future__ import annotations

import yaml
from tests.charts.support import CHART

from pgaas.operations.exporter_samples import FAMILIES

# CloudNativePG 1.30.0's exporter, and the Barman Cloud plugin's part of it.
EXPORTER = {
    "barman_cloud_cloudnative_pg_io_first_recoverability_point",
    "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp",
    "barman_cloud_cloudnative_pg_io_last_failed_backup_timestamp",
    "cnpg_backends_max_tx_duration_seconds",
    "cnpg_backends_total",
    "cnpg_backends_waiting_total",
    "cnpg_collector_fencing_on",
    "cnpg_collector_last_collection_error",
    "cnpg_collector_pg_wal",
    "cnpg_collector_pg_wal_archive_status",
    "cnpg_collector_replica_mode",
    "cnpg_collector_up",
    "cnpg_pg_database_size_bytes",
    "cnpg_pg_database_xid_age",
    "cnpg_pg_replication_in_recovery",
    "cnpg_pg_replication_is_wal_receiver_up",
    "cnpg_pg_replication_lag",
    "cnpg_pg_replication_streaming_replicas",
    "cnpg_pg_settings_setting",
    "cnpg_pg_stat_archiver_archived_count",
    "cnpg_pg_stat_archiver_failed_count",
    "cnpg_pg_stat_archiver_seconds_since_last_archival",
    "cnpg_pg_stat_archiver_seconds_since_last_failure",
    "cnpg_pg_stat_database_blks_hit",
    "cnpg_pg_stat_database_blks_read",
    "cnpg_pg_stat_database_deadlocks",
    "cnpg_pg_stat_database_temp_bytes",
    "cnpg_pg_stat_database_xact_commit",
    "cnpg_pg_stat_database_xact_rollback",
}
# controller-runtime's, as the operator serves them.
OPERATOR = {
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_reconcile_time_seconds_bucket",
    "workqueue_depth",
}
# The collector's own.
COLLECTOR = {"otelcol_exporter_queue_size", "otelcol_exporter_sent_metric_points", "up"}
# What `pgaas exporter` serves.
PGAAS = set(FAMILIES)


def custom() -> set[str]:
    """Return what charts/core's own queries give."""
    queries = yaml.safe_load((CHART / "files/monitoring-queries.yaml").read_text())
    return {
        f"cnpg_{name}_{column}"
        for name, query in queries.items()
        for metric in query["metrics"]
        for column, described in metric.items()
        if described["usage"] != "LABEL"
    }


def all_names() -> set[str]:
    """Return every name."""
    return EXPORTER | OPERATOR | COLLECTOR | PGAAS | custom()
