"""Look at what came back: where recovery ended, databases and roles, whether tables can be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pgaas.errors import KubernetesError, PgaasError
from pgaas.kube.client import Api
from pgaas.kube.postgres import CONTAINER, ask, ask_in, own_conninfo, position
from pgaas.kube.resources import CLUSTER, dig
from pgaas.operations.progress import Progress, step
from pgaas.operations.restore_wait import Recovery
from pgaas.operations.subject import Subject
from pgaas.render.topology import BOOTSTRAP_DATABASE

LOOK_SECONDS = 600.0
DEEP_SECONDS = 6 * 3600.0
# Each table that is looked at stays locked until the transaction's end.
AT_ONCE = 500
POSTGRES = "postgres"
DATABASES = """
select coalesce(json_agg(json_build_object('name', d.datname, 'owner', pg_get_userbyid(d.datdba),
       'bytes', pg_database_size(d.oid)) order by d.datname), '[]')
from pg_database d where d.datallowconn and not d.datistemplate
"""
ROLES = "select coalesce(json_agg(rolname order by rolname), '[]') from pg_roles where rolname !~ '^pg_'"
REASON = """
select coalesce((select (regexp_matches(pg_read_file(
  'pg_wal/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.history', 0, 1048576, true),
  '([^\\t\\n]*)\\s*$'))[1]), '')
"""
RELATIONS = """
select coalesce(json_agg(c.oid order by c.oid), '[]') from pg_class c
where c.relkind in ('r', 'm') and c.relispopulated and c.relpersistence <> 't'
"""
CLIENTS_TABLES = """
select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
"""
# The column ctid can only be read from the table itself, never from an index alone.
LOOK = """
create function pg_temp.look(wanted oid[]) returns table(relation text, why text) language plpgsql as $look$
declare shown text; found tid;
begin
  for shown in select format('%I.%I', n.nspname, c.relname) from pg_class c
               join pg_namespace n on n.oid = c.relnamespace where c.oid = any(wanted) order by c.oid
  loop
    begin
      execute 'select ctid from only ' || shown || ' limit 1' into found;
    exception when others then relation := shown; why := sqlerrm; return next;
    end;
  end loop;
end $look$
"""
# In a transaction that is taken back: the restored database stays as it is.
AMCHECK = """
do $make$ begin
  if not exists (select from pg_extension where extname = 'amcheck') then
    create schema pgaas_amcheck; create extension amcheck schema pgaas_amcheck;
  end if;
end $make$
"""
LOOK_DEEP = """
create function pg_temp.look(wanted oid[]) returns table(relation text, why text) language plpgsql as $look$
declare place text; each record; bad record;
begin
  select n.nspname into place from pg_extension e join pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'amcheck';
  for each in select c.oid, format('%I.%I', n.nspname, c.relname) shown from pg_class c
              join pg_namespace n on n.oid = c.relnamespace where c.oid = any(wanted) order by c.oid
  loop
    begin
      for bad in execute format('select blkno, msg from %I.verify_heapam($1::oid::regclass) limit 3', place)
                 using each.oid
      loop relation := each.shown; why := format('block %s: %s', bad.blkno, bad.msg); return next;
      end loop;
    exception when others then relation := each.shown; why := sqlerrm; return next;
    end;
  end loop;
  for each in select i.indexrelid oid, format('%I.%I', n.nspname, c.relname) shown from pg_index i
              join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
              join pg_am a on a.oid = c.relam
              where i.indrelid = any(wanted) and a.amname = 'btree' and i.indisvalid and c.relkind = 'i'
              order by c.oid
  loop
    begin
      execute format('select %I.bt_index_check($1::oid::regclass, true)', place) using each.oid;
    exception when others then relation := each.shown; why := sqlerrm; return next;
    end;
  end loop;
end $look$
"""


@dataclass(frozen=True)
class RestoredDatabase:
    """A database that is there, or that databases.yaml wants; sizes are in bytes.

    `tables` are the client's own, `read` how many relations were looked into, `problems` what was wrong.
    """

    name: str
    wanted: bool
    there: bool
    owner: str = ""
    bytes: int = 0
    tables: int = 0
    read: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class RestoredRole:
    """A role that is there, or that databases.yaml wants."""

    name: str
    wanted: bool
    there: bool


@dataclass(frozen=True)
class Checked:
    """What came back; `problems` are why it is not all that was wanted.

    Recovery ended at `end_lsn` of `end_timeline`, for `end_reason` as PostgreSQL's history says it.
    `last_transaction` is the last one that was replayed, empty if the log was gone before it could be read.
    """

    instance: str
    timeline: int
    end_timeline: int
    end_lsn: str
    end_reason: str
    last_transaction: str
    databases: tuple[RestoredDatabase, ...]
    roles: tuple[RestoredRole, ...]
    deep: bool
    problems: tuple[str, ...]


def check_restored(
    subject: Subject, source: Subject, api: Api, recovery: Recovery, *, deep: bool, progress: Progress
) -> Checked:
    """Look at a restored cluster and compare it with what the source's configuration wants.

    Raise KubernetesError if it cannot be asked at all; what is wrong with a part of it is in `problems`.
    """
    cluster = api.get(CLUSTER, subject.cluster, subject.namespace)
    instance = str(dig(cluster, "status", "currentPrimary", default=""))
    look = _Look(api, instance, subject.namespace, deep)
    with step(progress, f"checking what came back{', every page of it' if deep else ''}") as outcome:
        where = position(api, instance, subject.namespace)
        if where.in_recovery:
            raise KubernetesError(f"{instance} is still in recovery", next_step=subject.command("create"))
        databases = _databases(look, source, progress)
        roles = _roles(look, source)
        problems = _problems(databases, roles)
        outcome.text = f"{sum(each.there for each in databases)} databases"
        outcome.problem = f"{len(problems)} problems" if problems else ""
    timeline, lsn = where.history[-1] if where.history else (0, "")
    return Checked(
        instance=instance,
        timeline=where.timeline,
        end_timeline=timeline,
        end_lsn=lsn,
        end_reason=look.ask(REASON),
        last_transaction=recovery.last_transaction,
        databases=databases,
        roles=roles,
        deep=deep,
        problems=problems,
    )


@dataclass(frozen=True)
class _Look:
    api: Api
    instance: str
    namespace: str
    deep: bool

    def ask(self, sql: str) -> str:
        return ask(self.api, self.instance, self.namespace, sql, timeout=LOOK_SECONDS)

    def ask_in(self, database: str, *statements: str, timeout: float = LOOK_SECONDS) -> str:
        return ask_in(self.api, self.instance, self.namespace, database, *statements, timeout=timeout)

    def relations(self, database: str, relations: list[int]) -> tuple[str, ...]:
        """Look into tables, and into their indexes if it is to be deep; return what is wrong."""
        found: list[str] = []
        for start in range(0, len(relations), AT_ONCE):
            wanted = ",".join(map(str, relations[start : start + AT_ONCE]))
            told = (
                "select coalesce(json_agg(json_build_array(relation, why)), '[]') "
                f"from pg_temp.look('{{{wanted}}}')"
            )
            made = [AMCHECK, LOOK_DEEP] if self.deep else [LOOK]
            timeout = DEEP_SECONDS if self.deep else LOOK_SECONDS
            answer = self.ask_in(database, "begin", *made, told, "rollback", timeout=timeout)
            found += [f"{relation}: {why}" for relation, why in json.loads(answer)]
        return tuple(found)

    def dump(self, database: str) -> str:
        """Read the whole catalog as pg_dump does; return why it could not, or an empty string."""
        argv = ["pg_dump", "--schema-only", "--file", "/dev/null", "--dbname", own_conninfo(database)]
        try:
            self.api.execute(self.instance, CONTAINER, self.namespace, argv, timeout=LOOK_SECONDS)
        except KubernetesError as error:
            return error.what
        return ""


def _databases(look: _Look, source: Subject, progress: Progress) -> tuple[RestoredDatabase, ...]:
    wanted = {each.name: each.owner for each in source.values.databases}
    there: list[dict[str, Any]] = json.loads(look.ask(DATABASES))
    found = []
    for each in there:
        name = str(each["name"])
        progress.detail(f"database {name}")
        problems: list[str] = []
        tables = read = 0
        try:
            tables = int(look.ask_in(name, CLIENTS_TABLES))
            relations = [int(oid) for oid in json.loads(look.ask_in(name, RELATIONS))]
            problems += look.relations(name, relations)
            read = len(relations)
        except (PgaasError, ValueError) as error:
            problems.append(str(error))
        if why := look.dump(name):
            problems.append(why)
        if name in wanted and each["owner"] != wanted[name]:
            problems.append(f"its owner is {each['owner']}, not {wanted[name]}")
        found.append(
            RestoredDatabase(
                name,
                name in wanted,
                True,
                str(each["owner"]),
                int(each["bytes"]),
                tables,
                read,
                tuple(problems),
            )
        )
    known = {each.name for each in found}
    missing = [
        RestoredDatabase(name, True, False, owner) for name, owner in wanted.items() if name not in known
    ]
    return (*found, *missing)


def _roles(look: _Look, source: Subject) -> tuple[RestoredRole, ...]:
    wanted = [role.name for role in source.values.cluster.roles if role.ensure == "present"]
    there = [str(name) for name in json.loads(look.ask(ROLES))]
    names = list(dict.fromkeys([*wanted, *there]))
    return tuple(RestoredRole(name, name in wanted, name in there) for name in names)


def _problems(databases: tuple[RestoredDatabase, ...], roles: tuple[RestoredRole, ...]) -> tuple[str, ...]:
    since = "databases.yaml wants it, and it was not there yet, or not any more, at that moment"
    gone = [f"database {each.name} is missing: {since}" for each in databases if not each.there]
    gone += [f"role {each.name} is missing: {since}" for each in roles if not each.there]
    wrong = [f"database {each.name}: {problem}" for each in databases for problem in each.problems]
    return (*gone, *wrong)


def shown_to_client(database: RestoredDatabase) -> bool:
    """Whether a database is a client's: the server has one of its own, and pgaas another."""
    return database.name not in (POSTGRES, BOOTSTRAP_DATABASE)
