"""HashiCorp Vault: log in as an AppRole, read one secret, and give the token back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pgaas.errors import PgaasError, ToolFailed
from pgaas.tools.web import Answer, Web, shown


@dataclass(frozen=True)
class AppRole:
    """Who logs in to which Vault; `namespace` is Vault Enterprise's, empty elsewhere."""

    address: str
    role_id: str = field(repr=False)
    secret_id: str = field(repr=False)
    mount: str = "approle"
    namespace: str = ""


@contextmanager
def logged_in(web: Web, role: AppRole) -> Iterator[str]:
    """Log in, give the token, and revoke it in the end. Raise ToolFailed if Vault refuses the AppRole."""
    url = f"{role.address}/v1/auth/{role.mount}/login"
    credentials = {"role_id": web.hide(role.role_id), "secret_id": web.hide(role.secret_id)}
    headers = _headers(role) | {"Content-Type": "application/json"}
    answer = web.ask("POST", url, headers=headers, body=json.dumps(credentials).encode())
    if answer.status != 200:
        raise _refused(
            web,
            answer,
            "Vault refused the AppRole",
            url,
            "check VAULT_ROLE_ID and VAULT_SECRET_ID: a secret ID ends after its time or its number of uses",
        )
    auth = _json(answer, url).get("auth")
    token = web.hide(_text(auth.get("client_token") if isinstance(auth, dict) else None, "token", url))
    try:
        yield token
    finally:
        with suppress(PgaasError):
            web.ask(
                "POST",
                f"{role.address}/v1/auth/token/revoke-self",
                headers=_headers(role, token),
                once=True,  # it ends by itself too, and whoever waits here has waited for enough
            )


def read_secret(web: Web, role: AppRole, token: str, path: str, key: str) -> str:
    """Return one key of a secret, of either version of the key-value engine or of any other engine.

    Raise ToolFailed if the token may not read it, or if there is no such secret or key.
    """
    url = f"{role.address}/v1/{path.strip('/')}"
    answer = web.ask("GET", url, headers=_headers(role, token))
    match answer.status:
        case 200:
            pass
        case 404:
            raise _refused(
                web, answer, "Vault has no such secret", url, f"check its path {path!r}: {KV_VERSION_2}"
            )
        case 403:
            advice = f"let the AppRole's policy read {path!r}: {KV_VERSION_2}"
            raise _refused(web, answer, "Vault does not let this AppRole read the secret", url, advice)
        case _:
            raise _refused(web, answer, "Vault did not give the secret", url, "look at Vault's own log")
    content = _json(answer, url).get("data")
    found = content if isinstance(content, dict) else {}
    if isinstance(found.get("data"), dict):
        found = found["data"]
    if key not in found:
        names = ", ".join(sorted(map(str, found))) or "none"
        raise ToolFailed(
            f"the secret has no key {key!r}; its keys: {names}",
            where=shown(url),
            next_step="name the key that holds the JFrog token with PGAAS_JFROG_KEY",
        )
    return web.hide(_text(found[key], f"key {key!r}", url))


KV_VERSION_2 = "version 2 of the key-value engine has `data` after its mount, as in secret/data/pgaas/jfrog"


def _headers(role: AppRole, token: str = "") -> dict[str, str]:
    headers = {"X-Vault-Token": token} if token else {}
    return headers | ({"X-Vault-Namespace": role.namespace} if role.namespace else {})


def _refused(web: Web, answer: Answer, what: str, url: str, next_step: str) -> ToolFailed:
    return ToolFailed(f"{what} ({answer.status}{web.said(answer)})", where=shown(url), next_step=next_step)


def _json(answer: Answer, url: str) -> dict[str, Any]:
    try:
        content = json.loads(answer.text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ToolFailed(
            "what answers is no Vault: it sends no JSON",
            where=shown(url),
            next_step="check VAULT_ADDR",
        )
    return content


def _text(value: object, what: str, url: str) -> str:
    """Return a secret that can be sent in a header. Raise ToolFailed, which does not show it, if it can't."""
    if isinstance(value, str) and value and value.isascii() and value.isprintable() and " " not in value:
        return value
    raise ToolFailed(f"Vault's {what} is not a token: it is empty, or has blanks in it", where=shown(url))
