"""The options of `pgaas ci`: each is a pipeline's parameter or setting, in the variable of its name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pgaas.cli import completion
from pgaas.cli.durations import parse_duration


def complete_clients(ctx: Any, incomplete: str) -> list[str]:
    """Complete the last of the clients with those that have a folder below confs/users."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{ins}" for ins in completion.clients(ctx.params, last)]


def complete_env(ctx: Any, incomplete: str) -> list[str]:
    """Complete --env with the environments of the clients given."""
    return completion.environments(ctx.params, incomplete)


def complete_dc(ctx: Any, incomplete: str) -> list[str]:
    """Complete --dc with the datacenters of the clients given."""
    env = ctx.params.get("env_override") or ctx.params.get("env")
    return completion.datacenters({**ctx.params, "env": env}, incomplete)


def complete_action(incomplete: str) -> list[str]:
    """Complete --action."""
    return [action for action in ("create", "upgrade") if action.startswith(incomplete)]


def _variable(
    flag: str, text: str, metavar: str, variable: str, complete: Callable[..., list[str]] | None = None
) -> Any:
    return typer.Option(
        flag,
        help=text,
        metavar=metavar,
        envvar=variable,
        show_envvar=True,
        show_default=False,
        autocompletion=complete,
    )


PgaasVersionOption = Annotated[
    str, _variable("--pgaas-version", "The platform's version, such as 1.2.3.", "VERSION", "PGAAS_VERSION")
]
UsersVersionOption = Annotated[
    str,
    _variable(
        "--users-version", "The version of the users' files, such as 4.5.6.", "VERSION", "USERS_VERSION"
    ),
]
InsOption = Annotated[
    str,
    _variable(
        "--ins",
        "The clients' codes, in the order in which to deploy them.",
        "INS,INS…",
        "INS",
        complete_clients,
    ),
]
EnvOption = Annotated[
    str, _variable("--env", "The environment: perf, pprod or prod.", "ENV", "ENV", complete_env)
]
EnvOverrideOption = Annotated[
    str,
    _variable(
        "--env-override", "A sub-environment of hp, such as dev1; wins over ENV.", "ENV", "ENV_OVERRIDE"
    ),
]
DcOption = Annotated[
    str,
    _variable(
        "--dc", "The datacenter; by default the first one of each client's list.", "DC", "DC", complete_dc
    ),
]
ActionOption = Annotated[
    str, _variable("--action", "create or upgrade.", "ACTION", "ACTION", complete_action)
]
KubeconfigCredOption = Annotated[
    str | None,
    _variable("--kubeconfig-cred", "The ID of Jenkins's kubeconfig credential.", "ID", "KUBECONFIG_CRED"),
]
VaultAddrOption = Annotated[
    str, _variable("--vault-addr", "Vault's address, such as https://vault.example.com.", "URL", "VAULT_ADDR")
]
SecretPathOption = Annotated[
    str,
    _variable(
        "--secret-path",
        "Where the JFrog token is in Vault, such as secret/data/pgaas/jfrog.",
        "PATH",
        "PGAAS_JFROG_PATH",
    ),
]
SecretKeyOption = Annotated[
    str, _variable("--secret-key", "Which key of the secret is the token.", "KEY", "PGAAS_JFROG_KEY")
]
ArtifactoryUrlOption = Annotated[
    str,
    _variable(
        "--artifactory-url",
        "Artifactory's address, such as https://artifactory.example.com/artifactory.",
        "URL",
        "ARTIFACTORY_URL",
    ),
]
RepositoryOption = Annotated[
    str,
    _variable("--repository", "The repository of the artifacts.", "NAME", "ARTIFACTORY_REPOSITORY"),
]
CaFileOption = Annotated[
    Path | None,
    _variable(
        "--ca-file", "A private CA's certificates (PEM), besides the system's.", "FILE", "PGAAS_CA_FILE"
    ),
]
AppRoleMountOption = Annotated[
    str,
    _variable("--approle-mount", "Where Vault's AppRole method is mounted.", "PATH", "VAULT_APPROLE_MOUNT"),
]
VaultNamespaceOption = Annotated[
    str, _variable("--vault-namespace", "The namespace, in Vault Enterprise.", "NAME", "VAULT_NAMESPACE")
]
SilenceOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="How long a server may be silent, such as 30s or 1m; each request is tried four times.",
        metavar="DURATION",
        parser=parse_duration,
    ),
]

# Access's fields by their names in it: what a command that logs in takes, in this order.
ACCESS: dict[str, tuple[str, Any, Any]] = {
    "vault_address": ("vault_addr", VaultAddrOption, ""),
    "secret_path": ("secret_path", SecretPathOption, ""),
    "secret_key": ("secret_key", SecretKeyOption, "token"),
    "artifactory_url": ("artifactory_url", ArtifactoryUrlOption, ""),
    "repository": ("repository", RepositoryOption, ""),
    "ca_file": ("ca_file", CaFileOption, None),
    "vault_mount": ("approle_mount", AppRoleMountOption, "approle"),
    "vault_namespace": ("vault_namespace", VaultNamespaceOption, ""),
    "silence": ("timeout", SilenceOption, "1m"),
}


def with_access(function: Callable[..., None]) -> Callable[..., None]:
    """Give the options that lead to the artifacts to a command that takes `access`, which is made of them."""
    # Access is imported when the command runs: nothing of the network is loaded to print help.
    signature = inspect.signature(function, eval_str=True, locals={"Access": Any})

    @functools.wraps(function)
    def called(**given: Any) -> None:
        from pgaas.operations.ci_access import Access

        access = Access(**{field: given.pop(name) for field, (name, _, _) in ACCESS.items()})
        function(access=access, **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [each.replace(kind=keyword) for each in signature.parameters.values()]
    at = next(number for number, each in enumerate(own) if each.name == "access")
    own[at : at + 1] = [
        inspect.Parameter(name, keyword, default=default, annotation=option)
        for name, option, default in ACCESS.values()
    ]
    # Typer evaluates these too, and `access` is no option.
    called.__annotations__ = {
        name: each for name, each in function.__annotations__.items() if name != "access"
    }
    called.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    return called
