"""The demo's own copy of confs and charts: a switchover writes clients.yaml, and the checkout stays clean."""

import shutil
from pathlib import Path

from pgaas_lab import paths
from pgaas_lab.errors import ToolFailed

COPIED = ("charts", "helmfile-checks", "local-infra", "manifests")
CLIENTS = "admin/local/clients.yaml"
INS, ENV = "ic1", "local"
USED = "used-before"


def folder() -> Path:
    """Return where the copy is; it goes with the lab."""
    return paths.state() / "demo"


def prepare(*, any_live: bool) -> Path:
    """Copy the checkout's configuration, and return the copy.

    While something of the client lives, clients.yaml stays as pgaas left it: it says where the primary is and
    what the archives are called.
    """
    root = folder()
    root.mkdir(parents=True, exist_ok=True)
    confs, new, old = root / "confs", root / "confs.new", root / "confs.old"
    for name in COPIED:
        shutil.rmtree(root / name, ignore_errors=True)
        shutil.copytree(paths.REPOSITORY / name, root / name)
    shutil.copy(paths.REPOSITORY / "helmfile.yaml", root)
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(paths.REPOSITORY / "confs", new, ignore=shutil.ignore_patterns("_generated"))
    # A demo that was killed between the two renamings has left the old one alone.
    former = next((each / CLIENTS for each in (confs, old) if (each / CLIENTS).exists()), None)
    if former:
        (root / USED).touch()
    if former and any_live:
        shutil.copy(former, new / CLIENTS)
    if confs.exists():
        shutil.rmtree(old, ignore_errors=True)
        confs.rename(old)
    new.rename(confs)
    shutil.rmtree(old, ignore_errors=True)
    return root


def copy(root: Path) -> None:
    """Copy the checkout's configuration and charts as they are into a folder of their own."""
    root.mkdir(parents=True, exist_ok=True)
    for name in (*COPIED, "confs"):
        shutil.rmtree(root / name, ignore_errors=True)
        shutil.copytree(paths.REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("_generated"))
    shutil.copy(paths.REPOSITORY / "helmfile.yaml", root)


def was_used(root: Path) -> bool:
    """Return whether a demo has run here before: what it created may be in S3 still."""
    return (root / USED).exists()


def primary(root: Path) -> str:
    """Return the datacenter that the copy calls the primary. Raise ToolFailed if it cannot be read."""
    from pgaas.config.registry import read_client
    from pgaas.errors import PgaasError

    try:
        return str(read_client(root, INS, ENV).get("primaryDatacenter") or "")
    except PgaasError as error:
        raise ToolFailed(f"{root / 'confs' / CLIENTS}: {error.what}") from error


def write_primary(root: Path, dc: str) -> None:
    """Write into the copy where the primary is. Raise ToolFailed if it cannot be written."""
    from pgaas.config import registry
    from pgaas.errors import PgaasError

    if primary(root) == dc:
        return
    try:
        registry.write_primary(root, INS, ENV, dc)
    except PgaasError as error:
        raise ToolFailed(f"{root / 'confs' / CLIENTS}: {error.what}") from error
