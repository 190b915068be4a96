"""Ask a PostgreSQL instance, in its own container and over its own socket: no network, no password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api

CONTAINER = "postgres"
ASK_SECONDS = 20.0
# A replica knows its timeline from the last WAL that it applied: its control file's checkpoint may be older.
POSITION = """
select pg_is_in_recovery(),
       case when pg_is_in_recovery() then r.min_recovery_end_timeline
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
       s.system_identifier,
       coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp()), -1),
       coalesce(a.last_archived_wal, ''),
       coalesce(extract(epoch from now() - a.last_archived_time), -1)
from pg_control_recovery() r, pg_control_system() s, pg_stat_archiver a
"""
# Ends by itself after its time, and as soon as nobody reads what psql writes.
WATCH = r"""
end=$((SECONDS + $3))
while [ $SECONDS -lt $end ]; do
  if [ "$4" = 1 ]; then
    startup=$(psql -XAtqc "select pid from pg_stat_activity where backend_type = 'startup'" 2>/dev/null)
    [ -n "$startup" ] &&
      (while [ $SECONDS -lt $end ] && kill -HUP "$startup" 2>/dev/null; do sleep "$2"; done) &
  fi
  printf '%s \\watch %s\n' "$1" "$2" | timeout "$3" psql -XAtq 2>/dev/null || true
  [ -n "${!:-}" ] && kill "$!" 2>/dev/null
  printf '\n' || exit 0
  sleep 0.2
done
"""


@dataclass(frozen=True)
class Position:
    """Where an instance is in its WAL.

    `lsn` is the last position written, or replayed if it is in recovery; `replay_age` are the seconds since
    the last transaction that it replayed was committed, and `archive_age` those since it archived
    `archived_wal`; each is None where there is none.
    """

    in_recovery: bool
    timeline: int
    lsn: str
    system_id: str
    replay_age: float | None
    archived_wal: str
    archive_age: float | None


def ask(api: Api, pod: str, namespace: str, sql: str, *, timeout: float = ASK_SECONDS) -> str:
    """Return what an instance answers, columns separated by `|`; raise KubernetesError if it does not."""
    argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]
    return api.execute(pod, CONTAINER, namespace, argv, timeout=timeout).strip()


def position(api: Api, pod: str, namespace: str) -> Position:
    """Return where an instance is; raise KubernetesError if it cannot be asked."""
    return parse_position(ask(api, pod, namespace, POSITION), pod)


def parse_position(line: str, pod: str = "") -> Position:
    """Return the position that a line of the query says; raise KubernetesError if it says none."""
    parts = line.strip().split("|")
    try:
        recovering, timeline, lsn, system_id, replayed, archived, archived_ago = parts
        return Position(
            in_recovery={"t": True, "f": False}[recovering],
            timeline=int(timeline or 0),
            lsn=lsn,
            system_id=system_id,
            replay_age=_age(replayed),
            archived_wal=archived,
            archive_age=_age(archived_ago),
        )
    except (ValueError, KeyError) as error:
        raise KubernetesError(
            f"{pod or 'the instance'} answered something else than its position: {line[:200]!r}",
            next_step="look at the pod's log",
        ) from error


def _age(seconds: str) -> float | None:
    found = float(seconds)
    return None if found < 0 else found


def watch_positions(
    api: Api,
    pod: str,
    namespace: str,
    take: Callable[[Position], bool],
    *,
    every: float,
    timeout: float,
    wake: bool = False,
) -> bool:
    """Hand over an instance's position again and again, until `take` returns true or the time is over.

    Return whether `take` did. It is one process in the container for the whole watch, which survives
    restarts of PostgreSQL. With `wake`, a recovering instance asks its archive for the next WAL at once,
    again and again: its startup process waits `wal_retrieve_retry_interval` (5 s) between two tries, and
    SIGHUP wakes it up (StartupProcSigHupHandler in PostgreSQL's startup.c). Only that process gets it: a
    reload of the whole server would make the operator see settings that wait for a restart, and restart it.
    """
    done = False

    def line(text: str) -> bool:
        nonlocal done
        try:
            found = parse_position(text)
        except KubernetesError:
            return False
        done = take(found)
        return done

    argv = [
        "bash",
        "-c",
        WATCH,
        "watch",
        " ".join(POSITION.split()),
        str(every),
        str(int(timeout) + 1),
        str(int(wake)),
    ]
    api.stream(pod, CONTAINER, namespace, argv, line, timeout=timeout)
    return done
