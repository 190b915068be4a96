"""Ask a PostgreSQL instance, in its own container and over its own socket: no network, no password."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api

CONTAINER = "postgres"
ASK_SECONDS = 20.0
# An owner may set these for a database, and its functions must not be found before PostgreSQL's own: who asks
# is the superuser.
OWN_SETTINGS = (
    "search_path=pg_catalog",
    "default_transaction_read_only=off",
    "statement_timeout=0",
    "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
)
LSN = re.compile("[0-9A-F]+/[0-9A-F]+")
# No function tells which timeline a replica applies, and its control file only learns of it with a
# restartpoint: the newest file of the segment that was applied last does.
POSITION = """
select pg_is_in_recovery() recovering,
       case when pg_is_in_recovery() then coalesce((
              select max(('x' || substr(name, 1, 8))::bit(32)::int) from pg_ls_waldir()
              where substr(name, 9) = (
                select upper(lpad(to_hex(div(n, 4294967296)::bigint), 8, '0')
                    || lpad(to_hex(div(mod(n, 4294967296), size)::bigint), 8, '0'))
                from (select pg_last_wal_replay_lsn() - '0/1'::pg_lsn n,
                             (select setting::bigint from pg_settings where name = 'wal_segment_size') size) x
              )), r.min_recovery_end_timeline)
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
       s.system_identifier,
       coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp()), -1),
       coalesce(a.last_archived_wal, ''),
       coalesce(extract(epoch from now() - a.last_archived_time), -1),
       case when pg_is_in_recovery() then '' else coalesce(translate(pg_read_file(
         'pg_wal/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.history', 0, 1048576, true),
         chr(10) || chr(9) || chr(124), '; '), '') end
from pg_control_recovery() r, pg_control_system() s, pg_stat_archiver a
"""
# Ends by itself: at the goal, or after its time. Each look is a connection of its own: one that stayed
# open would hold up a restart of PostgreSQL, which waits for its clients.
# It sleeps by reading from a pipe that never says anything: a `sleep` that outlived it would stay a zombie,
# as the instance manager, which is process 1 here, waits for none but its own children.
WATCH = r"""
exec {quiet}<> <(:)
waker=""
trap '[ -n "$waker" ] && kill "$waker" 2>/dev/null; wait' EXIT
end=$((SECONDS + $3))
startup=""
while [ $SECONDS -lt $end ]; do
  if [ "$4" = 1 ] && ! kill -0 $startup 2>/dev/null; then
    startup=$(psql -XAtqc "select pid from pg_stat_activity where backend_type = 'startup'" 2>/dev/null)
    if [ -n "$startup" ]; then
      while [ $SECONDS -lt $end ] && kill -HUP "$startup"; do
        read -rt "$2" -u "$quiet"
      done >/dev/null 2>&1 &
      waker=$!
    fi
  fi
  answer=$(psql -XAtqc "$1" 2>/dev/null)
  IFS='|' read -r reached line <<< "$answer"
  [ -n "$line" ] && printf '%s\n' "$line"
  [ "$reached" = t ] && exit 0
  read -rt "$2" -u "$quiet"
done
"""


@dataclass(frozen=True)
class Position:
    """Where an instance is in its WAL.

    `lsn` is the last position written, or replayed if it is in recovery; `replay_age` are the seconds since
    the last transaction that it replayed was committed, and `archive_age` those since it archived
    `archived_wal`; each is None where there is none. `history` is a primary's own: each earlier timeline and
    the LSN at which it was left.
    """

    in_recovery: bool
    timeline: int
    lsn: str
    system_id: str
    replay_age: float | None
    archived_wal: str
    archive_age: float | None
    history: tuple[tuple[int, str], ...] = ()


def ask(api: Api, pod: str, namespace: str, sql: str, *, timeout: float = ASK_SECONDS) -> str:
    """Return what an instance answers, columns separated by `|`; raise KubernetesError if it does not."""
    argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]
    return api.execute(pod, CONTAINER, namespace, argv, timeout=timeout).strip()


def ask_in(
    api: Api, pod: str, namespace: str, database: str, *statements: str, timeout: float = ASK_SECONDS
) -> str:
    """Return what a database answers to the last of some statements of one session, as `ask` does.

    What the database's owner has set for it does not count.
    """
    argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", own_conninfo(database)]
    argv += [part for statement in statements for part in ("-c", statement)]
    return api.execute(pod, CONTAINER, namespace, argv, timeout=timeout).strip()


def own_conninfo(database: str) -> str:
    """Return a database as libpq takes it, for a session in which the settings of its owner do not count."""
    return f"{conninfo(database)} options='{' '.join(f'-c {each}' for each in OWN_SETTINGS)}'"


def conninfo(database: str) -> str:
    """Return a database's name as libpq takes it whatever it is: a bare `a=b` would be options."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def position(api: Api, pod: str, namespace: str) -> Position:
    """Return where an instance is; raise KubernetesError if it cannot be asked."""
    return parse_position(ask(api, pod, namespace, POSITION), pod)


def parse_position(line: str, pod: str = "") -> Position:
    """Return the position that a line of the query says; raise KubernetesError if it says none."""
    parts = line.strip().split("|")
    try:
        recovering, timeline, lsn, system_id, replayed, archived, archived_ago, history = parts
        return Position(
            in_recovery={"t": True, "f": False}[recovering],
            timeline=int(timeline or 0),
            lsn=_lsn(lsn),
            system_id=system_id,
            replay_age=_age(replayed),
            archived_wal=archived,
            archive_age=_age(archived_ago),
            history=_history(history),
        )
    except (ValueError, KeyError) as error:
        raise KubernetesError(
            f"{pod or 'the instance'} answered something else than its position: {line[:200]!r}",
            next_step="look at the pod's log",
        ) from error


def _lsn(text: str) -> str:
    if not LSN.fullmatch(text):
        raise ValueError(text)
    return text


def _age(seconds: str) -> float | None:
    found = float(seconds)
    return None if found < 0 else found


def _history(text: str) -> tuple[tuple[int, str], ...]:
    """Return what a timeline history file says; its lines end in a reason, which is for people."""
    found = []
    for line in text.split(";"):
        words = line.split()
        if len(words) > 1 and words[0].isdigit():
            found.append((int(words[0]), words[1]))
    return tuple(found)


def watch_positions(
    api: Api,
    pod: str,
    namespace: str,
    take: Callable[[Position], None],
    *,
    goal: int | None,
    every: float,
    timeout: float,
    wake: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Hand over an instance's position again and again, until it takes writes, or the time is over.

    With a `goal` it ends at that LSN too, and as soon as `stopped` says so. It is one process in the
    container for the whole watch, which survives restarts of PostgreSQL. With `wake`, a recovering instance
    asks its archive for the next WAL at once, again and again: its startup process waits
    `wal_retrieve_retry_interval` (5 s) between two tries, and SIGHUP wakes it up (StartupProcSigHupHandler in
    PostgreSQL's startup.c). Only that process gets it: a reload of the whole server would make the operator
    see settings that wait for a restart, and restart it.
    """

    def line(text: str) -> bool:
        try:
            take(parse_position(text))
        except KubernetesError:
            return False
        return stopped()

    reached = "not pg_is_in_recovery()"
    if goal is not None:
        reached += f" or pg_last_wal_replay_lsn() >= '{goal >> 32:X}/{goal & 0xFFFFFFFF:X}'::pg_lsn"
    query = f"select coalesce({reached}, false), p.* from ({' '.join(POSITION.split())}) p"
    argv = ["bash", "-c", WATCH, "watch", query, str(every), str(int(timeout) + 1), str(int(wake))]
    api.stream(pod, CONTAINER, namespace, argv, line, timeout=timeout + 5)
