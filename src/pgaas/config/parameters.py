"""PostgreSQL parameters: their names, their values, and those that CloudNativePG keeps to itself."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pgaas.config.models.base import Check
from pgaas.config.models.types import check_text

# Upper case is refused although PostgreSQL takes it: the operator's checks, and ours, go by the exact name.
PARAMETER_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")

ARCHIVE = "CloudNativePG archives through the Barman Cloud plugin"
FILES = "CloudNativePG decides where files lie"
LOGS = "CloudNativePG reads the log itself"
RECOVERY = "CloudNativePG sets up replication and recovery"
TLS = "the certificates come from cert-manager"
NETWORK = "Services and policies rely on it"
SERVER = "CloudNativePG owns this setting"
# CloudNativePG 1.30's fixed and blocked parameters, and why.
FIXED_PARAMETERS = {
    "allow_system_table_mods": SERVER,
    "archive_cleanup_command": ARCHIVE,
    "archive_command": ARCHIVE,
    "archive_library": ARCHIVE,
    "archive_mode": ARCHIVE,
    "bonjour": NETWORK,
    "bonjour_name": NETWORK,
    "cluster_name": SERVER,
    "config_file": FILES,
    "data_directory": FILES,
    "data_sync_retry": SERVER,
    "event_source": SERVER,
    "external_pid_file": FILES,
    "hba_file": FILES,
    "hot_standby": RECOVERY,
    "ident_file": FILES,
    "jit_provider": SERVER,
    "listen_addresses": NETWORK,
    "log_destination": LOGS,
    "log_directory": LOGS,
    "log_file_mode": LOGS,
    "log_filename": LOGS,
    "log_rotation_age": LOGS,
    "log_rotation_size": LOGS,
    "log_truncate_on_rotation": LOGS,
    "logging_collector": LOGS,
    "pg_failover_slots.primary_dsn": RECOVERY,
    "pg_failover_slots.standby_slot_names": RECOVERY,
    "port": NETWORK,
    "primary_conninfo": RECOVERY,
    "primary_slot_name": RECOVERY,
    "promote_trigger_file": RECOVERY,
    "recovery_end_command": RECOVERY,
    "recovery_min_apply_delay": RECOVERY,
    "recovery_target": RECOVERY,
    "recovery_target_action": RECOVERY,
    "recovery_target_inclusive": RECOVERY,
    "recovery_target_lsn": RECOVERY,
    "recovery_target_name": RECOVERY,
    "recovery_target_time": RECOVERY,
    "recovery_target_timeline": RECOVERY,
    "recovery_target_xid": RECOVERY,
    "restart_after_crash": SERVER,
    "restore_command": RECOVERY,
    "shared_preload_libraries": "CloudNativePG has a field of its own for it",
    "ssl": TLS,
    "ssl_ca_file": TLS,
    "ssl_cert_file": TLS,
    "ssl_crl_dir": TLS,
    "ssl_crl_file": TLS,
    "ssl_dh_params_file": TLS,
    "ssl_ecdh_curve": TLS,
    "ssl_key_file": TLS,
    "ssl_passphrase_command": TLS,
    "ssl_passphrase_command_supports_reload": TLS,
    "ssl_prefer_server_ciphers": TLS,
    "stats_temp_directory": FILES,
    "synchronized_standby_slots": RECOVERY,
    "synchronous_standby_names": RECOVERY,
    "syslog_facility": LOGS,
    "syslog_ident": LOGS,
    "syslog_sequence_numbers": LOGS,
    "syslog_split_messages": LOGS,
    "temp_tablespaces": FILES,
    "unix_socket_directories": FILES,
    "unix_socket_group": FILES,
    "unix_socket_permissions": FILES,
}

MEMORY, TIME, INTEGER, NUMBER, BOOLEAN = "memory", "time", "integer", "number", "boolean"
# What a value that PostgreSQL would refuse looks like is known here for the parameters that are set most:
# found out only by the server, it would keep a cluster from starting.
PARAMETER_KINDS = {
    "archive_timeout": TIME,
    "autovacuum": BOOLEAN,
    "autovacuum_max_workers": INTEGER,
    "autovacuum_naptime": TIME,
    "autovacuum_work_mem": MEMORY,
    "checkpoint_completion_target": NUMBER,
    "checkpoint_timeout": TIME,
    "deadlock_timeout": TIME,
    "default_statistics_target": INTEGER,
    "effective_cache_size": MEMORY,
    "effective_io_concurrency": INTEGER,
    "fsync": BOOLEAN,
    "full_page_writes": BOOLEAN,
    "hot_standby_feedback": BOOLEAN,
    "idle_in_transaction_session_timeout": TIME,
    "idle_session_timeout": TIME,
    "jit": BOOLEAN,
    "lock_timeout": TIME,
    "log_checkpoints": BOOLEAN,
    "log_connections": BOOLEAN,
    "log_lock_waits": BOOLEAN,
    "log_min_duration_statement": TIME,
    "log_temp_files": MEMORY,
    "maintenance_work_mem": MEMORY,
    "max_connections": INTEGER,
    "max_locks_per_transaction": INTEGER,
    "max_parallel_workers": INTEGER,
    "max_parallel_workers_per_gather": INTEGER,
    "max_prepared_transactions": INTEGER,
    "max_replication_slots": INTEGER,
    "max_slot_wal_keep_size": MEMORY,
    "max_wal_senders": INTEGER,
    "max_wal_size": MEMORY,
    "max_worker_processes": INTEGER,
    "min_wal_size": MEMORY,
    "pg_stat_statements.max": INTEGER,
    "random_page_cost": NUMBER,
    "seq_page_cost": NUMBER,
    "shared_buffers": MEMORY,
    "statement_timeout": TIME,
    "temp_buffers": MEMORY,
    "temp_file_limit": MEMORY,
    "track_io_timing": BOOLEAN,
    "wal_buffers": MEMORY,
    "wal_keep_size": MEMORY,
    "work_mem": MEMORY,
}
KIND_PATTERNS = {
    MEMORY: (
        r"-?[0-9]+(\.[0-9]+)?\s*(B|kB|MB|GB|TB)?",
        "an amount of memory such as 64MB (B, kB, MB, GB or TB)",
    ),
    TIME: (r"-?[0-9]+(\.[0-9]+)?\s*(us|ms|s|min|h|d)?", "a time such as 30s (us, ms, s, min, h or d)"),
    INTEGER: (r"-?[0-9]+", "a whole number"),
    NUMBER: (r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", "a number"),
    BOOLEAN: (r"(?i:on|off|true|false|yes|no|1|0)", "on or off"),
}


def parameter_problem(name: str, value: str) -> str:
    """Say why PostgreSQL would refuse a parameter's value for its form, or return an empty text."""
    if name not in PARAMETER_KINDS:
        return ""
    pattern, example = KIND_PATTERNS[PARAMETER_KINDS[name]]
    # ASCII alone: PostgreSQL knows no other digits and blanks.
    return "" if re.fullmatch(pattern, value, re.ASCII) else f"{value!r} is not {example}"


def check_parameter_name(name: str) -> str:
    """Return a parameter's name. Raise ValueError if it is none, or one that CloudNativePG sets itself."""
    if not PARAMETER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a PostgreSQL parameter in lower case")
    if name in FIXED_PARAMETERS:
        raise ValueError(f"{name} can't be set: {FIXED_PARAMETERS[name]}")
    return name


def parameter_text(value: Any) -> Any:
    """Return a number or a truth value as PostgreSQL writes it, and anything else as it is."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | float) else value


ParameterName = Annotated[str, Check(check_parameter_name)]
ParameterValue = Annotated[str, Check(check_text, parameter_text)]
