"""`pgaas client add`, `pgaas client remove` and `pgaas client list`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli import completion
from pgaas.cli.asking import retyped
from pgaas.cli.options import OptionalEnvOption, Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import cell, out, out_json, out_table, say
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.client_add import Added
    from pgaas.operations.client_remove import Plan
    from pgaas.operations.fleet import Fleet


def complete_registered(ctx: Any, incomplete: str) -> Any:
    """Complete INS with the clients that are registered."""
    return completion.registered(ctx.params, incomplete)


def complete_profile(ctx: Any, incomplete: str) -> Any:
    """Complete --profile with the environment's sizes."""
    return completion.profiles(ctx.params, incomplete)


def complete_place(ctx: Any, incomplete: str) -> Any:
    """Complete --dc with the environment's datacenters."""
    return completion.places(ctx.params, incomplete)


def complete_new_env(ctx: Any, incomplete: str) -> Any:
    """Complete --env with every environment."""
    return completion.new_environments(ctx.params, incomplete)


NewInsArgument = Annotated[str, typer.Argument(metavar="INS", help="The client's code, such as ic7.")]
InsArgument = Annotated[
    str,
    typer.Argument(metavar="INS", help="The client's code, such as ic7.", autocompletion=complete_registered),
]
NewEnvOption = Annotated[
    str,
    typer.Option(
        "--env",
        help="The environment: local, perf, pprod, prod, or a sub-environment of hp such as dev1.",
        metavar="ENV",
        autocompletion=complete_new_env,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="The size, one of storageProfiles in postgresql.yaml.",
        metavar="NAME",
        autocompletion=complete_profile,
        show_default=False,
    ),
]
DcsOption = Annotated[
    list[str],
    typer.Option(
        "--dc",
        help="A datacenter, the primary's first; repeatable. By default the only one there is.",
        metavar="DC",
        autocompletion=complete_place,
        show_default=False,
    ),
]
BucketOption = Annotated[
    str | None,
    typer.Option(
        "--bucket",
        help="The S3 bucket; by default INS-ENV-backups, in local INS-backups.",
        metavar="NAME",
        show_default=False,
    ),
]
CidrOption = Annotated[
    list[str],
    typer.Option(
        "--cidr",
        help="A network outside Kubernetes that may reach the cluster; repeatable.",
        metavar="CIDR",
        show_default=False,
    ),
]
MajorOption = Annotated[
    int | None,
    typer.Option(
        "--major",
        help="PostgreSQL's major version; by default the newest on offer.",
        metavar="NUMBER",
        show_default=False,
    ),
]
NoReplicationOption = Annotated[
    bool, typer.Option("--no-replication", help="Several datacenters do not follow one another.")
]
NoPgadminOption = Annotated[bool, typer.Option("--no-pgadmin", help="No pgAdmin, and no LDAP entry for it.")]
CreateEnvOption = Annotated[
    bool, typer.Option("--new-env", help="ENV is a sub-environment of hp that no client has yet.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]
AcceptUnseenOption = Annotated[
    list[str],
    typer.Option(
        "--accept-unseen",
        help="Remove although this datacenter cannot be looked at: nothing of the client lives there; "
        "repeatable.",
        metavar="DC",
        autocompletion=complete_place,
        show_default=False,
    ),
]
ConfirmOption = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        help="The client's namespace (INS-ENV), retyped, instead of the question.",
        metavar="NAME",
        show_default=False,
    ),
]


def add(
    ins: NewInsArgument,
    env: NewEnvOption,
    profile: ProfileOption = None,
    dc: DcsOption = [],  # noqa: B006
    bucket: BucketOption = None,
    cidr: CidrOption = [],  # noqa: B006
    major: MajorOption = None,
    no_replication: NoReplicationOption = False,
    no_pgadmin: NoPgadminOption = False,
    new_env: CreateEnvOption = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Register a client in an environment: a block in clients.yaml, and a databases.yaml that works.

    Everything is checked before anything is written, and both files are written or none. Then it lists what a
    person must still see to: Secrets, the bucket, the LDAP entry, names. Several datacenters replicate with
    one another, but in hp. A databases.yaml that is there already is kept. A client that hp knows needs no
    more than --env for one more sub-environment.

    Examples:
      pgaas client add ic7 --env local --profile S --dc local1 --dc local2
      pgaas client add ic7 --env prod --profile M --dc dc1 --dc dc2 --cidr 10.0.0.0/8 --dry-run
      pgaas client add ic7 --env dev1 --profile S
    """
    from pgaas.config.onboarding import Wish
    from pgaas.operations.client_add import add_client

    wish = Wish(
        profile=profile,
        datacenters=tuple(dc),
        bucket=bucket,
        cidrs=tuple(cidr),
        replicated=not no_replication,
        pgadmin=not no_pgadmin,
        major=major,
        new_env=new_env,
    )
    done = add_client(root_folder(root), ins, env, wish, dry_run=dry_run)
    out_json(asdict(done)) if output is Output.json else show_added(done)


def remove(
    ins: InsArgument,
    env: NewEnvOption,
    accept_unseen: AcceptUnseenOption = [],  # noqa: B006
    confirm: ConfirmOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Take a client out of an environment's files, once nothing of it lives in any datacenter.

    Every datacenter of the environment is looked at. It is refused (exit 8) while a cluster, a volume or a
    release of the client is in one of them, or while one cannot be looked at. Archives, buckets and Secrets
    stay, and are named. In hp the client's block stays for as long as it has another sub-environment. Shows
    what goes, and asks for the client's namespace.

    Examples:
      pgaas client remove ic7 --env local --dry-run
      pgaas client remove ic7 --env local --confirm ic7-local
    """
    from pgaas.operations import client_remove as operation

    progress = progress_for(verbose=False)
    plan = operation.plan_removal(root_folder(root), ins, env, progress, accepted=accept_unseen)
    if not dry_run:
        show_plan(plan)
        operation.check_confirmation(plan, retyped(confirm, "to remove it", plan, what="its namespace"))
        operation.remove(plan)
    out_json(removed_as_json(plan, dry_run)) if output is Output.json else show_removed(plan, dry_run)


def list(env: OptionalEnvOption = None, output: OutputOption = Output.text, root: RootOption = None) -> None:
    """Show who is a client: profile, datacenters, how many clusters live, and what differs.

    One line for each client and environment; `pgaas list` has one for each cluster.

    Examples:
      pgaas client list
      pgaas client list --env prod -o json
    """
    from pgaas.cli.list import raise_if_untold
    from pgaas.operations.fleet import fleet

    seen = fleet(root_folder(root), env, progress_for(verbose=False))
    out_json(clients_as_json(seen)) if output is Output.json else show_clients(seen)
    raise_if_untold(seen)


def show_added(done: Added) -> None:
    """Print what was written, what is still to do, and what comes next."""
    if done.dry_run:
        out("\n".join(done.diff))
        out("")
    out(f"{done.ins} in {done.env}: {'would be registered' if done.dry_run else 'registered'}")
    for name in done.files:
        out(f"  {name}")
    if done.kept:
        out(f"  {done.kept}: was there already, and is kept")
    out("\nto see to:")
    out_table(
        ("what", "name", "where", "detail"),
        [(each.what, each.name, each.where, each.detail) for each in done.todo],
    )
    out("\nnext:")
    for number, each in enumerate(done.next_steps, start=1):
        out(f"  {number}. {each}")


def show_plan(plan: Plan) -> None:
    """Say what goes, where was looked, and what stays."""
    say("goes:")
    for line in plan.diff:
        say(f"  {line}")
    for each in plan.seen:
        what = f"not seen: {each.error}" if each.error else f"nothing lives (context {each.context})"
        say(f"{each.datacenter}: {what}")


def show_removed(plan: Plan, dry_run: bool) -> None:
    """Print what was removed, or would be, and what stays."""
    if dry_run:
        out("\n".join(plan.diff))
        out("")
    what = "would be removed" if dry_run else "removed"
    out(f"{plan.ins} in {plan.env}: {what} from {' and '.join(plan.files)}")
    for dc in plan.unseen:
        out(f"mind: {dc} was not looked at")
    out("stays:")
    for line in plan.left:
        out(f"  {line}")
    out("next: commit these files")


def removed_as_json(plan: Plan, dry_run: bool) -> dict[str, object]:
    """Return what was removed, or would be, for a program."""
    return {
        "ins": plan.ins,
        "env": plan.env,
        "namespace": plan.cluster,
        "files": plan.files,
        "diff": plan.diff,
        "seen": [asdict(each) for each in plan.seen],
        "left": plan.left,
        "dry_run": dry_run,
    }


def clients_as_json(seen: Fleet) -> Any:
    """Return the clients for a program, each with its clusters."""
    from pgaas.cli.list import as_row

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in seen.rows:
        client = found.setdefault(
            (row.ins, row.env),
            {"ins": row.ins, "env": row.env, "profile": row.profile, "replicated": row.replicated},
        )
        client.setdefault("clusters", []).append(as_row(row))
    contexts = [asdict(each) for each in seen.contexts]
    issues = [each._asdict() for each in seen.issues]
    return {"clients": [*found.values()], "contexts": contexts, "issues": issues}


def show_clients(seen: Fleet) -> None:
    """Print a line for each client and environment."""
    from pgaas.cli.list import show_gaps

    rows = []
    for client in clients_as_json(seen)["clients"]:
        clusters = [each for each in client["clusters"] if each["cluster"]]
        live = sum(each["live"] is True for each in clusters)
        unknown = sum(each["live"] is None for each in clusters)
        kinds = dict.fromkeys(finding["kind"] for each in client["clusters"] for finding in each["findings"])
        rows.append(
            (
                client["ins"],
                client["env"],
                client["profile"],
                ", ".join(each["datacenter"] for each in clusters),
                f"{live} of {len(clusters)}{f', {unknown} not seen' if unknown else ''}",
                ", ".join(kinds),
            )
        )
    columns = ("client", "env", "profile", "datacenters", "live", "differs")
    out_table(columns, [tuple(map(cell, row)) for row in rows])
    show_gaps(seen)
