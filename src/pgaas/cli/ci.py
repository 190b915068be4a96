"""`pgaas ci validate-parameters`, `publish`, `fetch` and `deploy`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.ci_options import (
    ActionOption,
    DcOption,
    EnvOption,
    EnvOverrideOption,
    InsOption,
    KubeconfigCredOption,
    PgaasVersionOption,
    UsersVersionOption,
    with_access,
)
from pgaas.cli.durations import parse_duration
from pgaas.cli.options import Output, OutputOption, RootOption, VerboseOption, root_folder
from pgaas.cli.output import cell, out, out_json, out_table, shown_path
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.config.releases import Wanted
    from pgaas.operations.ci_access import Access
    from pgaas.operations.ci_fetch import Fetched
    from pgaas.operations.ci_publish import Published
    from pgaas.operations.ci_runs import Deployment

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Files named NAME-VERSION.ENDING.", show_default=False)
]
TagOption = Annotated[
    str | None,
    typer.Option(
        "--tag",
        help="The tag that is built, such as v1.2.3; in a pipeline it is known.",
        metavar="TAG",
        envvar=["CI_COMMIT_TAG", "TAG_NAME"],
        show_default=False,
    ),
]
IntoOption = Annotated[
    Path, typer.Option("--into", help="The folder to make; one that was fetched before is replaced.")
]
ReportsOption = Annotated[
    Path | None,
    typer.Option(
        "--reports",
        help="A folder for deploy.json and deploy.junit.xml, written after each client.",
        metavar="FOLDER",
        show_default=False,
    ),
]
ClientTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        help="How long to wait for each client; by default 10m to create and 30m to upgrade.",
        metavar="DURATION",
        parser=parse_duration,
        show_default=False,
    ),
]


def validate_parameters(
    pgaas_version: PgaasVersionOption = "",
    users_version: UsersVersionOption = "",
    ins: InsOption = "",
    env: EnvOption = "",
    env_override: EnvOverrideOption = "",
    dc: DcOption = "",
    action: ActionOption = "",
    kubeconfig_cred: KubeconfigCredOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Check a deploy job's parameters before anything is fetched. Exit 2 with all that is wrong.

    Each is taken from the variable of its name, as Jenkins and GitLab set them. ENV_OVERRIDE names a
    sub-environment of hp, and wins over ENV.

    Examples:
      pgaas ci validate-parameters
      pgaas ci validate-parameters --env prod --ins ic1,is1 --action create -o json
    """
    from pgaas.config.releases import Parameters, check_parameters

    given = Parameters(pgaas_version, users_version, ins, env, env_override, dc, action, kubeconfig_cred)
    wanted = check_parameters(given)
    out_json(asdict(wanted)) if output is Output.json else show_wanted(wanted)


@with_access
def publish(
    files: FilesArgument,
    tag: TagOption = None,
    *,
    access: Access,
    output: OutputOption = Output.text,
    verbose: VerboseOption = False,
) -> None:
    """Publish a tag's files to Artifactory, and read each back. Only tags are published.

    Logs in to Vault as the AppRole of VAULT_ROLE_ID and VAULT_SECRET_ID (or of the files that
    VAULT_ROLE_ID_FILE and VAULT_SECRET_ID_FILE name), and takes the JFrog token from there. A file that is
    published already, with the same bytes, is left alone; another content under its version is never
    replaced (exit 8).

    Examples:
      pgaas ci publish dist/pgaas-1.2.3.zip
      pgaas ci publish dist/pgaas-users-4.5.6.zip --tag v4.5.6
    """
    from pgaas.operations import ci_publish as operation

    done = operation.publish(files, tag, access, progress_for(verbose=verbose))
    out_json(asdict(done)) if output is Output.json else show_published(done)


@with_access
def fetch(
    pgaas_version: PgaasVersionOption,
    users_version: UsersVersionOption,
    into: IntoOption,
    access: Access,
    output: OutputOption = Output.text,
    verbose: VerboseOption = False,
) -> None:
    """Fetch a version of the platform and one of the users' files, and make a root of them.

    Both are compared with their checksums. The folder is there as a whole or not at all. What the users'
    archive holds besides clients' folders is left out, and said. Logs in as `publish` does.

    Examples:
      pgaas ci fetch --pgaas-version 1.2.3 --users-version 4.5.6 --into release
    """
    from pgaas.operations import ci_fetch as operation

    done = operation.fetch(into, pgaas_version, users_version, access, progress_for(verbose=verbose))
    out_json(asdict(done)) if output is Output.json else show_fetched(done)


def deploy(
    ins: InsOption = "",
    env: EnvOption = "",
    env_override: EnvOverrideOption = "",
    dc: DcOption = "",
    action: ActionOption = "",
    reports: ReportsOption = None,
    timeout: ClientTimeoutOption = None,
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Create or upgrade clients one after the other. The first failure stops the run.

    Says which clients are done, which failed and which were not begun; the exit code is that of the failure.
    Every client's configuration is checked before the first is touched. To go on, run it again: each
    client's live cluster is asked, and one that is done is found unchanged.

    Examples:
      pgaas ci deploy --ins ic1,is1 --env prod --action create --reports reports
      pgaas ci deploy --ins ic1 --env-override dev1 --action upgrade --root release
    """
    from pgaas.config.releases import Parameters, check_wanted
    from pgaas.operations import ci_deploy as operation

    given = Parameters(ins=ins, env=env, env_override=env_override, dc=dc, action=action)
    operation.deploy_clients(
        root_folder(root),
        check_wanted(given),
        timeout=timeout,
        reports=reports,
        progress=progress_for(verbose=verbose),
        on_end=shown_as(output),
    )


def show_wanted(wanted: Wanted) -> None:
    """Print what a job will act on."""
    where = wanted.dc or "each client's first datacenter"
    out(f"well-formed: {wanted.action} {', '.join(wanted.clients)} in {wanted.env}, {where}")


def show_published(done: Published) -> None:
    """Print where each file is."""
    for each in done.files:
        state = "there already, the same" if each.already else "published"
        out(f"{each.url}: {state} (SHA-256 {each.sha256})")


def show_fetched(done: Fetched) -> None:
    """Print what the root is made of."""
    if done.left_out:
        out(f"left out, for it is no client's: {', '.join(done.left_out)}")
    release = done.release
    out(
        f"{shown_path(done.root)}: pgaas {release.pgaas.version} with the users' files "
        f"{release.users.version}, {len(done.clients)} clients"
    )


def shown_as(output: Output) -> Callable[[Deployment], None]:
    """Return what prints how far each client is."""

    def show(seen: Deployment) -> None:
        from pgaas.operations.ci_report import as_json

        if output is Output.json:
            out_json(as_json(seen))
            return
        rows = [
            (each.ins, each.cluster, each.state, each.changed, f"{each.seconds:.0f} s")
            for each in seen.clients
        ]
        out_table(("client", "cluster", "state", "changed", "took"), [tuple(map(cell, row)) for row in rows])

    return show
