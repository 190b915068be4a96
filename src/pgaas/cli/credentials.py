"""`pgaas credentials`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli.options import (
    DcOption,
    EnvOption,
    InsOption,
    RoleOption,
    RootOption,
    root_folder,
)
from pgaas.cli.output import out, out_json, out_yaml, say_note, shown_path
from pgaas.errors import UsageError

if TYPE_CHECKING:
    from pgaas.config.naming import Target
    from pgaas.operations.credentials import Credentials


class Form(StrEnum):
    """How credentials are given."""

    text = "text"
    json = "json"
    k8s = "k8s"


OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The folder to write; by default CLUSTER-client-ROLE in the current one.",
        metavar="DIR",
        show_default=False,
    ),
]
FormOption = Annotated[
    Form,
    typer.Option(
        "--output",
        "-o",
        help="Tell of the folder as text or json; or print a Secret instead, the key included: k8s.",
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        help="With -o k8s: the application's namespace; without it, whichever it is applied to.",
        metavar="NAME",
        show_default=False,
    ),
]


def credentials(
    ins: InsOption,
    env: EnvOption,
    role: RoleOption,
    dc: DcOption = None,
    out_folder: OutOption = None,
    form: FormOption = Form.text,
    namespace: NamespaceOption = None,
    root: RootOption = None,
) -> None:
    """Export a role's certificate and key, and whom to trust, in the forms that drivers take.

    The folder (0700, its files 0600) has PEM for libpq, PKCS#8 and PKCS#12 for Java, a pg_service.conf, JDBC
    URLs, and a README.md with the command lines, for each database that the role may connect to. It is
    written whole or not at all, and replaces nothing but an earlier export of the same role.

    With -o k8s a Secret for an application's namespace is printed instead: mount it at /etc/pgaas. It holds
    the private key; nothing else that is printed does. What was exported is not renewed: export it again
    before it ends.

    Exit 9 when the certificate is not there, not ready, or has expired. docs/connect.md has the rest.

    Examples:
      pgaas credentials --ins ic1 --env prod --role app_user
      pgaas credentials --ins ic1 --env prod --role app_user --out /run/app/db -o json
      pgaas credentials --ins ic1 --env prod --role app_user -o k8s --namespace shop | kubectl apply -f -
    """
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    target = find_target(folder, ins, env, dc)
    done = export(folder, target, role, form, out_folder, namespace)
    PRINT[form](done)
    for warning in done.warnings:
        say_note(warning)


def export(
    folder: Path, target: Target, role: str, form: Form, out_folder: Path | None, namespace: str | None
) -> Credentials:
    """Export into a folder or as a manifest. Raise UsageError for options that do not go together."""
    from pgaas.operations import credentials as operation

    if form is Form.k8s:
        if out_folder is not None:
            raise UsageError("-o k8s writes no folder", next_step="leave out --out, or -o k8s")
        return operation.export_manifest(folder, target, role, namespace)
    if namespace is not None:
        raise UsageError("--namespace is the manifest's", next_step="write -o k8s too, or leave it out")
    return operation.export_folder(folder, target, role, out_folder)


def show(done: Credentials) -> None:
    """Print where everything is, and the first command to try."""
    from pgaas.render.connect import psql_command

    out(f"{done.role}: {shown_path(Path(done.folder))} ({len(done.files)} files)")
    out(f"  certificate  {done.subject}, until {done.not_after} ({done.days_left} days)")
    out(f"  primary      {done.primary_host}:{done.port}")
    out(f"  standbys     {done.read_only_host}:{done.port}")
    for way in done.ways:
        out(f"  {way.service:<12} {psql_command(way, done.folder)}")


def show_json(done: Credentials) -> None:
    """Print what was exported for a program; no key is in it."""
    out_json(as_json(done))


def show_manifest(done: Credentials) -> None:
    """Print the Secret."""
    out_yaml(done.manifest)


def as_json(done: Credentials) -> dict[str, Any]:
    """Return what was exported for a program."""
    return {
        "cluster": done.cluster,
        "datacenter": done.datacenter,
        "role": done.role,
        "subject": done.subject,
        "common_name": done.common_name,
        "not_after": done.not_after,
        "days_left": done.days_left,
        "hosts": {"primary": done.primary_host, "read_only": done.read_only_host, "port": done.port},
        "connections": [
            {
                "service": way.service,
                "database": way.database,
                "access": way.access,
                "host": way.host,
                "hostaddr": way.address or None,
            }
            for way in done.ways
        ],
        "folder": done.folder,
        "files": done.files,
        "warnings": list(done.warnings),
    }


PRINT = {Form.text: show, Form.json: show_json, Form.k8s: show_manifest}
