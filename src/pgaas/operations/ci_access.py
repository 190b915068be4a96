"""The way to the published artifacts: AppRole, Vault token, JFrog token, Artifactory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgaas.errors import UsageError
from pgaas.operations.progress import Progress, step
from pgaas.tools.artifactory import Artifactory
from pgaas.tools.vault import AppRole, logged_in, read_secret
from pgaas.tools.web import Web, check_address

ROLE_ID, SECRET_ID = "VAULT_ROLE_ID", "VAULT_SECRET_ID"
SECRET_LIMIT = 4096
# Parts that begin with a letter, a digit or an underscore: never `..`.
PATH = re.compile(r"/?[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?")


@dataclass(frozen=True)
class Access:
    """Where Vault and Artifactory are; nothing in it is secret. `silence` is in seconds."""

    vault_address: str
    secret_path: str
    secret_key: str
    artifactory_url: str
    repository: str
    ca_file: Path | None = None
    vault_mount: str = "approle"
    vault_namespace: str = ""
    silence: float = 60.0


@contextmanager
def artifacts(access: Access, environment: Mapping[str, str], progress: Progress) -> Iterator[Artifactory]:
    """Log in, and give the repository of the artifacts; the Vault token is revoked in the end.

    The secrets come from the environment, or from files that it names. Raise UsageError for what is not set,
    ToolFailed or TimedOut for what Vault says.
    """
    _check_settings(access, environment)
    url = check_address("ARTIFACTORY_URL", access.artifactory_url)
    role = AppRole(
        check_address("VAULT_ADDR", access.vault_address),
        secret_from(environment, ROLE_ID),
        secret_from(environment, SECRET_ID),
        access.vault_mount.strip("/"),
        access.vault_namespace,
    )
    web = Web(ca_file=access.ca_file, silence=access.silence, echo=progress.command, tell=progress.detail)
    with ExitStack() as stack:
        with step(progress, f"logging in to Vault at {role.address}"):
            vault_token = stack.enter_context(logged_in(web, role))
            token = read_secret(web, role, vault_token, access.secret_path, access.secret_key)
        yield Artifactory(web, f"{url}/{access.repository.strip('/')}", token)


def _check_settings(access: Access, environment: Mapping[str, str]) -> None:
    """Raise UsageError naming all that is not set, or cannot be part of an address."""
    paths = {
        "PGAAS_JFROG_PATH": access.secret_path,
        "ARTIFACTORY_REPOSITORY": access.repository,
        "VAULT_APPROLE_MOUNT": access.vault_mount,
        "VAULT_NAMESPACE": access.vault_namespace,
    }
    settings = {"VAULT_ADDR": access.vault_address, "ARTIFACTORY_URL": access.artifactory_url, **paths}
    for name in (ROLE_ID, SECRET_ID):
        settings[name] = environment.get(name, "") or environment.get(f"{name}_FILE", "")
    unset = [name for name, value in settings.items() if not value and name != "VAULT_NAMESPACE"]
    if unset:
        raise UsageError(
            f"{', '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set",
            next_step="docs/ci.md says what each is, and where it is set",
        )
    for name, value in paths.items():
        if value and not PATH.fullmatch(value):
            raise UsageError(f"{name} {value!r} is not a path of letters, digits, '.', '_' and '-'")


def secret_from(environment: Mapping[str, str], name: str) -> str:
    """Return a secret from a variable, or from the file that NAME_FILE names. Raise UsageError without it."""
    value, file = environment.get(name, ""), environment.get(f"{name}_FILE", "")
    if value and file:
        raise UsageError(f"both {name} and {name}_FILE are set", next_step="unset one of them")
    if file:
        try:
            with Path(file).open("rb") as content:
                value = content.read(SECRET_LIMIT).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(f"can't read {name}_FILE: {why}", where=file) from error
    if not value:
        raise UsageError(
            f"{name} is not set",
            next_step=f"set {name}, or {name}_FILE to a file that holds it; docs/ci.md says where it is from",
        )
    if not value.isprintable():
        raise UsageError(f"{name} holds more than one line, or a character that is no text")
    return value
