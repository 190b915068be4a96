"""The README's first command: a client in two datacenters, queried over TLS before and after a switchover."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from pgaas_lab import balancer, demo_root, infra, paths
from pgaas_lab.api import Api, Object
from pgaas_lab.command import environment, shown
from pgaas_lab.datacenters import ALL
from pgaas_lab.demo_query import ROLE, ask, bundle, secret
from pgaas_lab.errors import TimedOut, ToolFailed
from pgaas_lab.steps import Step, Steps, wait_until

CLIENT = ("--ins", "ic1", "--env", "local")
NAMESPACE = "ic1-local"
SIDES = dict(zip(("local1", "local2"), ALL, strict=True))
FIRST, SECOND = SIDES
PRIMARY_NAME = f"primary.{NAMESPACE}.pgaas.local"
TITLES = ("role", "database", "server", "TLS", "cipher", "client certificate", "takes writes")
CLUSTERS = f"/apis/postgresql.cnpg.io/v1/namespaces/{NAMESPACE}/clusters"


def run(steps: Steps) -> None:
    """Install what a client needs, create ic1 in both datacenters, move its primary, and query it.

    Run again, it installs and creates nothing, and moves the primary to the other side. The client's
    configuration is a copy, for a switchover writes it: the checkout stays as it is. Raise ToolFailed if
    pgaas refuses.
    """
    root = demo_root.prepare(any_live=bool(primaries()))
    infra.forget(ALL)
    pgaas(steps.console, root, "infra", "install")
    infra.remember(ALL)
    left_behind = not finish_what_was_begun(steps.console, root) and demo_root.was_used(root)
    create(steps.console, root, FIRST, left_behind)
    pgaas(steps.console, root, "status", *CLIENT, "--dc", FIRST)
    query(steps, FIRST, f"{cluster(FIRST)}-rw", f"Query over TLS with the client certificate of {ROLE}")
    create(steps.console, root, SECOND, left_behind)
    if left_behind:
        # The first one learns what the second one's archive is called now.
        create(steps.console, root, FIRST, False)
    target = other(primaries()[FIRST])
    pgaas(steps.console, root, "switchover", *CLIENT, "--to", target)
    query(steps, target, PRIMARY_NAME, "Query the new primary with the same certificate")
    pgaas(steps.console, root, "status", *CLIENT)
    steps.console.print(f"\nThis client's configuration is a copy: [bold]export PGAAS_ROOT={root}[/]")


def finish_what_was_begun(console: Console, root: Path) -> bool:
    """Bring the copy of confs in line with the live primary, ending a move that was interrupted.

    Return whether anything of the client is there.
    """
    named = primaries()
    if not named:
        return False
    if len(set(named.values())) > 1:
        pgaas(console, root, "switchover", *CLIENT, "--to", other(cluster(demo_root.primary(root))))
        named = primaries()
    demo_root.write_primary(root, next(dc for dc in SIDES if cluster(dc) in named.values()))
    return True


def primaries() -> dict[str, str]:
    """Return, for each datacenter that has a cluster, the name of the cluster that it calls the primary."""
    named = {}
    for dc, datacenter in SIDES.items():
        with Api(datacenter) as api:
            found = api.find(f"{CLUSTERS}/{cluster(dc)}")
        if found:
            named[dc] = primary_of(found) or cluster(dc)
    return named


def primary_of(found: Object) -> str:
    """Return the primary that a Cluster's topology names, or nothing if it has no topology."""
    return str((found["spec"].get("replica") or {}).get("primary") or "")


def cluster(dc: str) -> str:
    """Return the name of the client's cluster in a datacenter."""
    return f"local-ic1-{dc}"


def other(name: str) -> str:
    """Return the datacenter that a primary's cluster is not in."""
    return SECOND if name == cluster(FIRST) else FIRST


def create(console: Console, root: Path, dc: str, left_behind: bool) -> None:
    """Create the client's cluster in a datacenter; what an earlier one left in S3 is not in its way."""
    pgaas(console, root, "create", *CLIENT, "--dc", dc, *(["--next-generation"] if left_behind else []))


def pgaas(console: Console, root: Path, *words: str) -> None:
    """Run pgaas as a user would. Raise ToolFailed if it refuses."""
    argv = [sys.executable, "-m", "pgaas", *words]
    variables: Mapping[str, str] = {**infra.hand_environment(), "PGAAS_ROOT": str(root)}
    console.print(f"\n[bold]$ pgaas {' '.join(words)}[/]")
    code = subprocess.run(argv, env=environment(variables), cwd=paths.REPOSITORY).returncode
    if code:
        raise ToolFailed(f"`{shown(['pgaas', *words])}` ended with code {code}; its own message is above")


def query(steps: Steps, dc: str, name: str, title: str) -> None:
    """Ask a datacenter's database something, by a name, with the certificate that the first one issued."""
    steps.console.print()
    with steps.step(title) as step:
        address, client, roots = wait_for_door(dc, step)
        step.note = f"{name}, {address}:5432"
        row = ask(name, address, client, roots)
    for what, value in zip(TITLES, row, strict=True):
        steps.console.print(f"  {what:<18} [bold]{value}[/]")


def wait_for_door(dc: str, step: Step) -> tuple[str, dict[str, bytes], bytes]:
    """Return a cluster's address, the client's certificate and key, and the roots that it trusts.

    Raise TimedOut if they are not there soon.
    """
    service = f"{cluster(dc)}-rw-lb"
    certificate, trusted = (
        f"{cluster(FIRST)}-client-{ROLE.replace('_', '-')}",
        f"{cluster(FIRST)}-server-ca-bundle",
    )
    address, client, roots = "", {}, b""
    with Api(SIDES[dc]) as there, Api(SIDES[FIRST]) as first:

        def missing() -> str:
            nonlocal address, client, roots
            found = there.find(f"/api/v1/namespaces/{NAMESPACE}/services/{service}")
            address = balancer.address_of(found) if found else ""
            client = secret(first, NAMESPACE, certificate)
            roots = bundle(first, NAMESPACE, trusted)
            parts = {service: address, certificate: client.get("tls.key"), trusted: roots}
            return ", ".join(name for name, value in parts.items() if not value)

        wait_until(
            missing,
            timeout=60,
            step=step,
            on_timeout=lambda what: TimedOut(f"not there within 60 s in namespace {NAMESPACE}: {what}"),
        )
    return address, client, roots
