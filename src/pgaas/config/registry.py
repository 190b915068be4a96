"""What operations write into clients.yaml: where the primary is, and what each cluster's life began with.

Only the wanted values of one client change; every comment, and everything else, stays as a person wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pgaas.config.edit import CannotEdit, edit, inline
from pgaas.config.environments import known, nearest, resolve_environment
from pgaas.config.files import read_to_change, replace_file
from pgaas.config.load import Document, load_document, parse_document
from pgaas.config.models.clients import Client, ClientsFile
from pgaas.config.naming import Target, cluster_name
from pgaas.config.validate import validate
from pgaas.errors import ConfigError, ConfigIssue, RefusedAsUnsafe, UsageError

Changes = Mapping[str, Any]
CLIENTS = "clients"
PRIMARY, ORIGIN, LOST = "primaryDatacenter", "originDatacenter", "lostDatacenters"
GENERATIONS, RECOVERED = "archiveGenerations", "recoveredFrom"


def write_client(root: Path, client: Target | tuple[str, str], changes: Changes) -> Path:
    """Change keys of one client in clients.yaml, and return that file; None takes a key away.

    A key is one of the client's, such as `primaryDatacenter`, or one below it, such as
    `recoveredFrom.CLUSTER`. The file is replaced as a whole, or not at all, and is left alone if it says the
    same already. Raise UsageError if there is no such client or the file can't be written, and ConfigError,
    with the lines to write by hand, if only a person can change it.
    """
    return _write(root, client[0], client[1], lambda _: changes)


def write_primary(root: Path, ins: str, env: str, dc: str, *, lost: str | None = None) -> Path:
    """Write where a client's primary is from now on, and pin which datacenter was its first.

    `lost` is the datacenter that a promotion without a token gives up, marked in the same write. Raise
    RefusedAsUnsafe if the new primary is itself marked as lost, unless another is lost now.
    """

    def changes(client: Client) -> Changes:
        _own(client, ins, dc)
        marked = [each for each in client.lost_datacenters if each != dc]
        if lost is None and marked != client.lost_datacenters:
            raise RefusedAsUnsafe(
                f"{dc} is marked as lost: its data is older than what the others have",
                where=f"{_file(env)}: clients.{ins}.{LOST}",
                next_step=f"rebuild it first: pgaas rebuild --ins {ins} --env {env} --dc {dc}",
            )
        if lost is not None:
            _own(client, ins, lost)
            if lost == dc:
                raise UsageError(f"{dc} can't be both the new primary and the lost datacenter")
            marked += [lost] if lost not in marked else []
        return {PRIMARY: dc, ORIGIN: client.origin, **_marks(client, marked)}

    return _write(root, ins, env, lambda client: changes(_model(client, ins, env)))


def write_rebuilt(root: Path, target: Target, generation: int, source_dc: str) -> Path:
    """Write, in one, that a cluster begins a new life, from which datacenter's data, and is lost no more."""
    name = cluster_name(target)
    if generation < 1:
        raise ValueError(generation)

    def changes(client: Client) -> Changes:
        _own(client, target.ins, target.dc)
        _own(client, target.ins, source_dc)
        if source_dc == target.dc:
            raise UsageError(f"{name} can't be recovered from itself")
        if source_dc in client.lost_datacenters:
            raise RefusedAsUnsafe(
                f"{source_dc} is marked as lost: its data is older than what the others have",
                where=f"{_file(target.env)}: clients.{target.ins}.{LOST}",
                next_step="recover from the datacenter that has the primary",
            )
        return {
            f"{GENERATIONS}.{name}": generation,
            f"{RECOVERED}.{name}": source_dc,
            # Pinned, for by default it is the first of a list that people may put into another order.
            ORIGIN: client.origin,
            **_marks(client, [each for each in client.lost_datacenters if each != target.dc]),
        }

    return _write(root, target.ins, target.env, lambda raw: changes(_model(raw, target.ins, target.env)))


def write_lost(root: Path, ins: str, env: str, dc: str, lost: bool) -> Path:
    """Mark a datacenter as lost, or as lost no more. Raise RefusedAsUnsafe if it is to hold the primary."""

    def changes(client: Client) -> Changes:
        _own(client, ins, dc)
        if lost and dc == client.primary:
            raise RefusedAsUnsafe(
                f"{dc} has the primary: it can't be marked as lost",
                where=f"{_file(env)}: clients.{ins}.{PRIMARY}",
                next_step="write first where the primary is",
            )
        marked = [each for each in client.lost_datacenters if lost or each != dc]
        return _marks(client, [*marked, dc] if lost and dc not in marked else marked)

    return _write(root, ins, env, lambda client: changes(_model(client, ins, env)))


def read_client(root: Path, ins: str, env: str) -> dict[str, Any]:
    """Return what clients.yaml holds for a client, as it is written.

    Raise UsageError if there is no such client, and ConfigError if the file can't be read.
    """
    document = load_document(root / _file(env), root)
    return _client(document, ins)


def _write(root: Path, ins: str, env: str, decide: Callable[[dict[str, Any]], Changes]) -> Path:
    name = _file(env)
    load_document(root / name, root)
    with read_to_change(root, name) as (path, content, old):
        changes = decide(_client(old, ins))
        wanted = _with(old.data or {}, ins, changes)
        if not _same(old.data, wanted):
            written = _edited(old, content, ins, changes, wanted)
            _refuse_new_issues(old, parse_document(name, written))
            replace_file(path, name, written, _by_hand(old, ins, changes))
    return path


def _file(env: str) -> str:
    return (resolve_environment(env).admin_folder / "clients.yaml").as_posix()


def _client(document: Document, ins: str) -> dict[str, Any]:
    clients = (document.data or {}).get(CLIENTS)
    client = clients.get(ins) if isinstance(clients, dict) else None
    if isinstance(client, dict):
        return client
    raise UsageError(f"unknown client {ins!r}", where=document.file, next_step="register it there")


def _model(client: dict[str, Any], ins: str, env: str) -> Client:
    """Return a client as a model. Raise ConfigError if any of its keys is wrong."""
    try:
        return Client.model_validate(client)
    except ValidationError:
        issue = ConfigIssue(_file(env), 0, f"{CLIENTS}.{ins}", "has issues: nothing was written")
        next_step = f"`pgaas explain --ins {ins} --env {env}` lists them: mend them, then try again"
        raise ConfigError([issue], next_step=next_step) from None


def _marks(client: Client, marked: list[str]) -> Changes:
    return {} if marked == client.lost_datacenters else {LOST: marked or None}


def _own(client: Client, ins: str, dc: str) -> None:
    names = client.datacenters
    if dc not in names:
        raise UsageError(
            f"{ins} has no datacenter {dc!r}{nearest(dc, names)}",
            next_step=f"name one of its datacenters ({known(names)})",
        )


def _with(data: dict[str, Any], ins: str, changes: Changes) -> dict[str, Any]:
    """Return the file's data as they are to be."""
    client = dict(data[CLIENTS][ins])
    for dotted, value in changes.items():
        key, _, inner = dotted.partition(".")
        if inner:
            below = client.get(key)
            kept = dict(below) if isinstance(below, dict) else {}
            if value is None:
                if kept.pop(inner, None) is None:
                    continue
            else:
                kept[inner] = value
            value = kept or None
        if value is None:
            client.pop(key, None)
        else:
            client[key] = value
    return {**data, CLIENTS: {**data[CLIENTS], ins: client}}


def _same(first: Any, second: Any) -> bool:
    """Tell whether two trees have the same order and types too: 1, 1.0 and true are not the same."""
    return json.dumps(first) == json.dumps(second)


def _edited(old: Document, content: bytes, ins: str, changes: Changes, wanted: dict[str, Any]) -> bytes:
    """Return the file's content with the changes and no others. Raise ConfigError if that can't be done."""
    paths = {tuple(dotted.split(".", 1)): value for dotted, value in changes.items()}
    reason = "others refer to what would change"
    try:
        written = edit(content.decode(), (CLIENTS, ins), paths).encode()
        new = parse_document(old.file, written)
        if not new.issues and _same(new.data, wanted):
            return written
    except CannotEdit as error:
        reason = str(error)
    issue = old.issue((CLIENTS, ins), f"can't be changed by a program ({reason}): change it by hand")
    raise ConfigError([issue], next_step=_by_hand(old, ins, changes))


def _by_hand(old: Document, ins: str, changes: Changes) -> str:
    """Return what a person would write: each key of the client whole, as it is to be."""
    before, after = (data[CLIENTS][ins] for data in (old.data or {}, _with(old.data or {}, ins, changes)))
    keys = dict.fromkeys(dotted.partition(".")[0] for dotted in changes)
    lines = [
        f"write {key}: {inline(after[key])}" if key in after else f"remove {key}"
        for key in keys
        if not _same(before.get(key), after.get(key))
    ]
    return f"in {old.file}, for {ins}: {'; '.join(lines)}"


def _refuse_new_issues(old: Document, new: Document) -> None:
    """Raise ConfigError if a file without issues would have some: nothing could be read any more."""
    model, issues = validate(new, ClientsFile)
    if model is None and validate(old, ClientsFile)[0] is not None:
        raise ConfigError(issues, next_step="nothing was written; this is a mistake of pgaas: report it")
