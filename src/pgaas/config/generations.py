"""Which life of a cluster archives, kept in clients.yaml: an archive is used once.

A cluster that is made anew writes to a new folder (NAME-g2, …): CloudNativePG refuses one that is not empty.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pgaas.config.environments import ADMIN_FOLDER, check_target
from pgaas.config.load import Document, load_document, parse_document
from pgaas.config.naming import Target, cluster_name
from pgaas.errors import ConfigError, UsageError

KEY = "archiveGenerations"


def next_generation(root: Path, target: Target) -> int:
    """Return the generation after a cluster's own. Raise ConfigError if clients.yaml can't be read."""
    client = _client(_read(root, target)[1], target)
    kept = client.get(KEY)
    current = kept.get(cluster_name(target), 1) if isinstance(kept, dict) else 1
    return current + 1 if type(current) is int else 2


def write_generation(root: Path, target: Target, generation: int) -> Path:
    """Write a cluster's generation into clients.yaml, and return that file.

    All else in it stays, comments too. The file is replaced as a whole, or not at all.
    """
    if generation < 1:
        raise ValueError(generation)
    path = _path(root, target)
    with _locked(path.parent):
        name, document = _read(root, target)
        _client(document, target)
        text = _with_generation(path.read_bytes(), target, generation)
        if not _differs_only_there(document, parse_document(name, text), target, generation):
            raise ConfigError(
                [
                    document.issue(
                        ("clients", target.ins), f"can't be changed by a program: set {KEY} by hand"
                    )
                ],
                next_step=f"write {KEY}: {{{cluster_name(target)}: {generation}}} for {target.ins} there",
            )
        _replace(path, text)
    return path


def _path(root: Path, target: Target) -> Path:
    folder = root / ADMIN_FOLDER / check_target(target).team_env
    # A link stays a link: what it leads to is replaced.
    return Path(os.path.realpath(folder / "clients.yaml"))


def _read(root: Path, target: Target) -> tuple[str, Document]:
    file = (ADMIN_FOLDER / check_target(target).team_env / "clients.yaml").as_posix()
    document = load_document(root / file, root)
    return file, document


def _client(document: Document, target: Target) -> dict[str, Any]:
    clients = (document.data or {}).get("clients")
    client = clients.get(target.ins) if isinstance(clients, dict) else None
    if isinstance(client, dict):
        return client
    raise UsageError(f"unknown client {target.ins!r}", where=document.file, next_step="register it there")


def _with_generation(content: bytes, target: Target, generation: int) -> bytes:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.util import load_yaml_guess_indent

    text = content.decode()
    _, indent, offset = load_yaml_guess_indent(text)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.indent(mapping=2, sequence=indent or 4, offset=offset if indent else 2)
    tree = yaml.load(text)
    client = tree["clients"][target.ins]
    if not isinstance(client.get(KEY), dict):
        client[KEY] = CommentedMap()
    client[KEY][cluster_name(target)] = generation
    out = io.BytesIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _differs_only_there(old: Document, new: Document, target: Target, generation: int) -> bool:
    client = dict(_client(old, target))
    kept = client.get(KEY)
    client[KEY] = {**(kept if isinstance(kept, dict) else {}), cluster_name(target): generation}
    expected = {**(old.data or {}), "clients": {**(old.data or {})["clients"], target.ins: client}}
    return not new.issues and new.data == expected


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other pgaas processes from writing the same file in between."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)

        raise
