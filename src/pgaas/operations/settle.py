"""What is left to do once a side has become the primary: write it down, apply it, back it up, check it."""

from __future__ import annotations

import base64
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import client_certificate_name, server_ca_bundle_name
from pgaas.errors import KubernetesError, PgaasError
from pgaas.kube.client import FIELD_MANAGER, Api
from pgaas.kube.databases import LOOKS_BETWEEN, have_looked_at, is_left_waiting
from pgaas.kube.promotion import HELM, owners_of_primary, release_topology
from pgaas.kube.resources import CLUSTER, CONFIG_MAP, DATABASE, SECRET, dig, name_of
from pgaas.kube.snapshot import BACKUP_DONE, backups_of
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.backup import checkpoint, follow_backup, running_backup, start_backup
from pgaas.operations.deploy import sync
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.pair import Pair, Side
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject
from pgaas.tools.wal import parse_lsn

BACKUP_PURPOSE = "new-primary"
CONNECT_SECONDS = 5
# A transaction that has an id of its own writes a commit record: that is a write, and leaves nothing behind.
WRITE = "select pg_current_xact_id()"


@dataclass(frozen=True)
class Written:
    """A write through the client's DNS name: where it went, or why it could not be tried from here."""

    tried: bool
    detail: str
    seconds: float = 0.0


def settle_release(subject: Subject, api: Api, right: Exclusive, progress: Progress) -> bool:
    """Have helm apply what confs say, and give it back the fields that a move took from it.

    Return whether there was anything to do. The live topology must be what confs say already: a primary is
    never moved here.
    """
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    if live is None or FIELD_MANAGER not in owners_of_primary(live):
        return False
    replication = subject.values.replication
    wanted = (replication.self_name, replication.primary, replication.source)
    running = tuple(dig(live, "spec", "replica", key, default="") for key in ("self", "primary", "source"))
    if running != wanted:
        raise KubernetesError(
            f"the live topology of {subject.cluster} is {running}, confs say {wanted}",
            where=f'namespace {subject.namespace}, context "{api.context}"',
            next_step=subject.command("status"),
        )
    right.check()
    sync(subject, progress)
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    if live is None or HELM not in owners_of_primary(live):
        raise KubernetesError(
            f"helm has not taken over the topology of {subject.cluster}: pgaas keeps it",
            where=f'namespace {subject.namespace}, context "{api.context}"',
            next_step=subject.command("create"),
        )
    return release_topology(api, live)


def databases_applied(side: Side, *, timeout: float) -> str:
    """Wait until the operator has looked at every Database of a new primary; return which it has not.

    The operator is asked to look again at those that still wait for the promotion.
    """
    api, namespace = side.reached(), side.subject.namespace
    looks = 0

    def probe() -> Seen:
        nonlocal looks
        looks += 1
        items = []
        for database in api.find(DATABASE, namespace):
            if dig(database, "spec", "cluster", "name") != side.name:
                continue
            applied = dig(database, "status", "applied") is True
            message = str(dig(database, "status", "message", default="not applied"))
            if is_left_waiting(database) and looks % LOOKS_BETWEEN == 1:
                have_looked_at(api, database, namespace)
            items.append(Item(name_of(database), applied, message))
        return Seen(tuple(items))

    waited = wait_for(probe, timeout=timeout, interval=0.5, on_change=lambda _: None)
    return "; ".join(f"{item.name}: {item.detail}" for item in waited.seen.missing)


def new_backup(side: Side, *, progress: Progress) -> str:
    """Ask for a base backup of the present timeline, unless there is one or one is running; return its name.

    A problem is told, not raised, and the name is empty then: the primary is there, and the schedule will
    take the next one.
    """
    api, subject = side.reached(), side.subject
    timeline = side.position.timeline if side.position else 0
    backups = backups_of(api, side.name, subject.namespace, since=side.cluster)
    running = running_backup(backups, BACKUP_PURPOSE)
    if running:
        return running
    for backup in backups:
        begun = str(dig(backup, "status", "beginWal", default=""))
        done = dig(backup, "status", "phase") == BACKUP_DONE
        if done and timeline and begun[:8] == f"{timeline:08X}":
            return name_of(backup)
    try:
        checkpoint(api, subject, side.instance)
        return start_backup(api, subject, BACKUP_PURPOSE, target="primary")
    except PgaasError as error:
        progress.note(f"no base backup of {side.name}: {error.what}")
        return ""


def backup_done(side: Side, name: str, *, timeout: float, progress: Progress) -> str:
    """Follow a base backup to its end; return why it is not complete, or an empty string."""
    done = follow_backup(side.reached(), side.subject, name, timeout=timeout, progress=progress)
    if done.ending is Ending.SUCCEEDED:
        return ""
    return done.seen.hopeless or f"{done.seen.items[0].detail} after {done.seconds:.0f} s"


def write_through(side: Side, name: str, addresses: list[str]) -> Written:
    """Write as the owner of the first database, by the client's DNS name, verified as an application does.

    Nothing is left behind. Not every terminal can reach a client's endpoint, or may read its Secrets: then it
    says so. Raise KubernetesError if the server that the name leads to takes no writes.
    """
    subject = side.subject
    database = next(iter(subject.values.databases), None)
    if database is None:
        return Written(False, "there is no database to write to")
    start = time.monotonic()
    try:
        files = _credentials(side.reached(), subject, database.owner)
    except PgaasError as error:
        return Written(False, f"the certificate of {database.owner} cannot be read: {error.what}")
    import psycopg

    with tempfile.TemporaryDirectory(prefix="pgaas-") as folder:
        for file, content in files.items():
            descriptor = os.open(Path(folder) / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
        try:
            connection = psycopg.connect(
                host=name,
                hostaddr=addresses[0] if addresses else None,
                dbname=database.name,
                user=database.owner,
                sslmode="verify-full",
                sslcert=f"{folder}/tls.crt",
                sslkey=f"{folder}/tls.key",
                sslrootcert=f"{folder}/ca.crt",
                connect_timeout=CONNECT_SECONDS,
                application_name="pgaas",
            )
        except psycopg.Error as error:
            return Written(False, f"{name} could not be reached from here: {' '.join(str(error).split())}")
        with connection:
            try:
                connection.execute(WRITE)
                connection.commit()
            except psycopg.Error as error:
                raise KubernetesError(
                    f"what {name} leads to takes no writes: {' '.join(str(error).split())}",
                    where=f"{addresses[0] if addresses else name}, database {database.name}",
                    next_step=f"pgaas update-dns --ins {subject.target.ins} --env {subject.target.env} shows "
                    "where the name points",
                ) from error
    where = f"{database.name} at {addresses[0] if addresses else name} as {database.owner}"
    return Written(True, where, time.monotonic() - start)


def following(side: Side, primary: Side) -> tuple[bool, str]:
    """Return whether a replica can go on following the primary, and what is seen of it.

    A healthy phase says nothing of it: a side that has diverged looks healthy and follows nothing. It may be
    on an earlier timeline for a while, as long as it is not beyond where the primary left that one.
    """
    if side.error:
        return False, f"unreachable: {side.error}"
    here, there = side.position, primary.position
    if here is None:
        return False, side.position_error or "no instance yet"
    if there is None:
        return False, f"{primary.name} cannot be asked: {primary.error or primary.position_error}"
    if not here.in_recovery:
        return False, "takes writes itself"
    if here.system_id != there.system_id:
        return False, f"of another system ({here.system_id})"
    if here.timeline == there.timeline:
        return True, f"on timeline {here.timeline}"
    left_at = dict(there.history).get(here.timeline)
    if left_at is None:
        return (
            False,
            f"diverged: on timeline {here.timeline}, which is not in the history of {there.timeline}",
        )
    if parse_lsn(here.lsn) > parse_lsn(left_at):
        return False, f"diverged: at {here.lsn} on timeline {here.timeline}, which ended at {left_at}"
    return True, f"still on timeline {here.timeline}; timeline {there.timeline} begins where it is"


def apis_of(pair: Pair) -> Mapping[str, Api | str]:
    """Return each side's API server, or why there is none."""
    return {dc: side.api if side.api and not side.error else side.error for dc, side in pair.sides.items()}


def _credentials(api: Api, subject: Subject, role: str) -> dict[str, bytes]:
    name = client_certificate_name(subject.target, role)
    secret = api.get(SECRET, name, subject.namespace)
    bundle = api.get(CONFIG_MAP, server_ca_bundle_name(subject.target), subject.namespace)
    files = {key: base64.b64decode(dig(secret, "data", key, default="")) for key in ("tls.crt", "tls.key")}
    files["ca.crt"] = str(dig(bundle, "data", "ca.crt", default="")).encode()
    if not all(files.values()):
        raise KubernetesError(f"Secret {name} or the bundle of server CAs is not there yet")
    return files
