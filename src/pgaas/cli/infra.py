"""`pgaas infra install`, `status`, `test` and `delete`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.asking import retyped
from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import Output, OutputOption, RootOption, VerboseOption, complete_dc, root_folder
from pgaas.cli.output import out, out_json, out_table, say
from pgaas.cli.progress import progress_for
from pgaas.cli.steps import out_steps, plain_steps
from pgaas.errors import NotHealthy

if TYPE_CHECKING:
    from pgaas.operations.infra_delete import Gone, Plan
    from pgaas.operations.infra_install import Installed
    from pgaas.operations.infra_status import Part
    from pgaas.operations.infra_test import Tested

EnvOption = Annotated[
    str, typer.Option("--env", help="The environment; only local has an infrastructure.", metavar="ENV")
]
DcOption = Annotated[
    str | None,
    typer.Option(
        "--dc",
        help="One datacenter; by default all of them.",
        metavar="DC",
        autocompletion=complete_dc,
        show_default=False,
    ),
]
ChartsOption = Annotated[
    Path | None,
    typer.Option(
        "--charts",
        help="A folder of unpacked charts to use instead of upstream's repositories.",
        metavar="FOLDER",
        envvar="PGAAS_CHARTS",
        show_envvar=True,
        show_default=False,
    ),
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without", help="A release to leave out, such as openldap. Repeat it for more.", metavar="RELEASE"
    ),
]
KeepCrdsOption = Annotated[
    bool, typer.Option("--keep-crds", help="Keep the kinds of the operators, and what there is of them.")
]
ConfirmOption = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        help="The datacenter's name, or the environment's for all of them, instead of the question.",
        metavar="NAME",
        show_default=False,
    ),
]


def install(
    dc: DcOption = None,
    env: EnvOption = "local",
    charts: ChartsOption = None,
    without: WithoutOption = None,
    timeout: TimeoutOption = "10m",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Bring the local datacenters from bare Kubernetes to all that `create` needs. Again, it changes nothing.

    Each datacenter gets a storage class if it has none of the name, cert-manager with a root of its own, the
    CloudNativePG operator, the Barman Cloud plugin, OpenLDAP and a metrics collector; the first one also S3
    (SeaweedFS), Prometheus and Grafana. What somebody else installed is left alone. Versions are in
    helmfile.yaml. Where S3 and DNS answer is written to datacenters.yaml, and the clients' buckets are made.

    A charts folder replaces upstream's repositories, on a machine without internet: FOLDER/cert-manager,
    FOLDER/cloudnative-pg and FOLDER/plugin-barman-cloud. FOLDER/values/RELEASE.yaml, if it is there, has
    values for a release that win over all others.

    Examples:
      pgaas infra install
      pgaas infra install --dc local1 --without pgaas-observability
      pgaas infra install --charts ~/charts
    """
    from pgaas.operations import infra_install as operation

    choices = operation.Choices(env, dc, charts, tuple(without or ()), timeout)
    done = operation.install(root_folder(root), choices, progress_for(verbose=verbose))
    out_json(as_json(done)) if output is Output.json else show_installed(done)


def status(
    dc: DcOption = None,
    env: EnvOption = "local",
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Show how each part of the local infrastructure is. Exit 9 when one is not as it should be.

    Examples:
      pgaas infra status
      pgaas infra status --dc local2 -o json
    """
    from pgaas.operations.infra_status import status as look

    parts = look(root_folder(root), env, dc)
    out_json([asdict(part) for part in parts]) if output is Output.json else show_parts(parts)
    raise_if_bad([f"{part.datacenter}: {part.name}: {part.detail}" for part in parts if not part.ok])


def test(
    dc: DcOption = None,  # noqa: PT028
    env: EnvOption = "local",  # noqa: PT028
    timeout: TimeoutOption = "1m",  # type: ignore[assignment] # noqa: PT028
    output: OutputOption = Output.text,  # noqa: PT028
    root: RootOption = None,  # noqa: PT028
    verbose: VerboseOption = False,  # noqa: PT028
) -> None:
    """Try the local infrastructure as its clients use it. Exit 9 when something does not work.

    In each datacenter: every client writes, lists, reads and deletes in its bucket with its own keys, which
    must not reach anybody else's; its user is found in the directory and logs in; a certificate is issued and
    chained to the root; Prometheus has metrics. Nothing that is tried stays.

    Examples:
      pgaas infra test
      pgaas infra test --dc local1 -o json
    """
    from pgaas.operations.infra_test import try_out

    rows = try_out(root_folder(root), env, dc, progress_for(verbose=verbose), timeout=timeout)
    out_json([asdict(row) for row in rows]) if output is Output.json else show_tested(rows)
    raise_if_bad([f"{row.datacenter}: {row.what}: {row.why}" for row in rows if not row.ok])


def delete(
    dc: DcOption = None,
    env: EnvOption = "local",
    confirm: ConfirmOption = None,
    keep_crds: KeepCrdsOption = False,
    timeout: TimeoutOption = "5m",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Remove the local infrastructure, with the backups, users and metrics in it. Asks first.

    Refused while a client's cluster lives on it. What somebody else installed stays. Interrupted, run it
    again.

    Examples:
      pgaas infra delete
      pgaas infra delete --dc local2 --confirm local2
      pgaas infra delete --keep-crds --confirm local
    """
    from pgaas.operations import infra_delete as operation

    plan = operation.plan_deletion(root_folder(root), env, dc)
    show_plan(plan)
    typed = retyped(confirm, "to remove its infrastructure", plan, what="the name")
    operation.check_confirmation(plan, typed)
    done = operation.delete(
        plan, keep_crds=keep_crds, timeout=timeout, progress=progress_for(verbose=verbose)
    )
    out_json(gone_as_json(done)) if output is Output.json else show_gone(done)


def show_installed(done: Installed) -> None:
    """Print the steps, and where S3 is."""
    out_steps(done.steps)
    for each in done.written:
        before = each.before or "not there"
        out(f"datacenters.yaml: {each.datacenter}.{each.key} is {each.after}, was {before}")
    if done.endpoint:
        out(f"S3: {done.endpoint}")
    out(f"took {done.seconds:.0f} s; `pgaas infra test` tries it")


def as_json(done: Installed) -> dict[str, object]:
    """Return what was done for a program."""
    return {
        "steps": plain_steps(done.steps),
        "written": [asdict(each) for each in done.written],
        "endpoint": done.endpoint,
        "seconds": round(done.seconds, 1),
    }


def show_parts(parts: list[Part]) -> None:
    """Print a table of the parts."""
    rows = [(part.datacenter, part.name, "ok" if part.ok else "NOT OK", part.detail) for part in parts]
    out_table(("datacenter", "part", "state", "detail"), rows)


def show_tested(rows: list[Tested]) -> None:
    """Print a table of what was tried."""
    cells = [
        (row.datacenter, row.what, "ok" if row.ok else "FAILED", f"{row.seconds:.2f} s", row.why)
        for row in rows
    ]
    out_table(("datacenter", "what", "result", "took", "seen"), cells)


def show_plan(plan: Plan) -> None:
    """Say what goes."""
    say("goes:")
    for line in plan.goes or ("no release of pgaas's; what an earlier deletion left will be removed",):
        say(f"  {line}")
    for doubt in plan.doubts:
        say(f"mind: {doubt}")


def show_gone(done: Gone) -> None:
    """Print what was removed."""
    out_steps(done.steps)
    for line in done.kept:
        out(f"kept: {line}")
    out(f"{done.name}: the infrastructure is removed ({done.seconds:.0f} s)")


def gone_as_json(done: Gone) -> dict[str, object]:
    """Return what was removed for a program."""
    return {
        "name": done.name,
        "steps": plain_steps(done.steps),
        "kept": list(done.kept),
        "seconds": round(done.seconds, 1),
    }


def raise_if_bad(bad: list[str]) -> None:
    """Raise NotHealthy for what is not as it should be."""
    if bad:
        lines = "".join(f"\n  {line}" for line in bad)
        raise NotHealthy(
            f"{len(bad)} things are not as they should be:{lines}",
            next_step="pgaas infra install mends what is missing or stopped half way",
        )
