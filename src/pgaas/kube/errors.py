"""Turn whatever the Kubernetes client raises into an error that says what, where and what next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pgaas.errors import (
    KubernetesConflict,
    KubernetesError,
    KubernetesForbidden,
    KubernetesUnavailable,
)
from pgaas.kube.resources import BARMAN_GROUP, CERT_MANAGER_GROUP, CNPG_GROUP, EXTERNAL_DNS_GROUP

OPERATORS = {
    CNPG_GROUP: "the CloudNativePG operator",
    BARMAN_GROUP: "the Barman Cloud plugin",
    CERT_MANAGER_GROUP: "cert-manager",
    EXTERNAL_DNS_GROUP: "external-dns",
}
WEBHOOK = re.compile(r'admission webhook "([^"]+)" denied the request: (.*)', re.DOTALL)
WEBHOOK_DOWN = re.compile(r'failed calling webhook "([^"]+)": (.*)', re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """What was asked of which API server; `action` is like "get pods ic1-local/x"."""

    action: str
    context: str
    server: str
    group: str = ""

    @property
    def where(self) -> str:
        """Return the place for a message."""
        return f'{self.action}, context "{self.context}", {self.server}'


@contextmanager
def translated(asked: Asked) -> Iterator[None]:
    """Let nothing but KubernetesError out of the block."""
    import httpx2
    from lightkube.core.exceptions import ApiError

    try:
        yield
    except ApiError as error:
        raise _refusal(asked, error) from error
    except httpx2.HTTPStatusError as error:
        raise _plain_status(asked, error.response.status_code, error.response.text[:300]) from error
    except httpx2.TimeoutException as error:
        raise KubernetesUnavailable(
            f'the API server of context "{asked.context}" did not answer in time',
            where=asked.where,
            next_step="check the network and the load of the cluster, then run the same command again",
        ) from error
    except httpx2.HTTPError as error:
        raise unreachable(asked, str(error)) from error
    except Exception as error:
        # What exec meets over its WebSocket is no HTTPError.
        if not type(error).__module__.startswith("httpx2"):
            raise
        response = getattr(error, "response", None)
        if response is None:
            raise unreachable(asked, str(error)) from error
        raise _plain_status(asked, response.status_code, f"{asked.action} was refused") from error


def unreachable(asked: Asked, reason: str) -> KubernetesError:
    """Return the error for an API server that no connection could be made to, or kept with."""
    lowered = reason.lower()
    if "certificate" in lowered and "alert" in lowered:
        return KubernetesError(
            f"the API server refuses this client certificate: {reason}",
            where=asked.where,
            next_step="it has expired or belongs to another cluster: fetch the kubeconfig again",
        )
    if "certificate" in lowered or "ssl" in lowered or "tls" in lowered:
        return KubernetesError(
            f"the TLS connection to the API server failed: {reason}",
            where=asked.where,
            next_step="check certificate-authority and server in the kubeconfig (was the cluster made anew?)",
        )
    return KubernetesUnavailable(
        f'the API server of context "{asked.context}" cannot be reached: {reason or "connection lost"}',
        where=asked.where,
        next_step="check that the cluster runs and that this machine may reach it (VPN, proxy, KUBECONFIG)",
    )


def _refusal(asked: Asked, error: Exception) -> KubernetesError:
    status = getattr(error, "status", None)
    code = int(getattr(status, "code", 0) or 0)
    reason = str(getattr(status, "reason", "") or "")
    message = str(getattr(status, "message", "") or error)
    denied = WEBHOOK.search(message)
    if denied:
        return KubernetesError(
            f"refused by {_operator_of(denied[1])}: {denied[2].strip()}",
            where=f"{asked.where}, webhook {denied[1]}",
            next_step="correct what the message names in confs/, then run the same command again",
        )
    down = WEBHOOK_DOWN.search(message)
    if down:
        return KubernetesUnavailable(
            f"{_operator_of(down[1])} does not answer the API server: {down[2].strip()}",
            where=f"{asked.where}, webhook {down[1]}",
            next_step="look at the operator's pods; it may be restarting",
        )
    if code == 409 or reason in ("Conflict", "AlreadyExists"):
        return KubernetesConflict(
            message,
            where=asked.where,
            next_step="somebody else changed or owns this: look at managedFields (kubectl get -o yaml "
            "--show-managed-fields), then run the same command again",
        )
    return _plain_status(asked, code, message)


def _plain_status(asked: Asked, code: int, message: str) -> KubernetesError:
    if code == 401:
        return KubernetesError(
            f'the credential of context "{asked.context}" is not accepted: it has expired or was revoked',
            where=asked.where,
            next_step="log in again with your platform's tool, or fetch a new kubeconfig",
        )
    if code == 403:
        return KubernetesForbidden(
            f"not allowed: {message}",
            where=asked.where,
            next_step="ask the platform team for this right, or use a context that has it",
        )
    if code == 404:
        owner = OPERATORS.get(asked.group)
        what = f"{owner} is not installed: the API server does not know this kind" if owner else message
        return KubernetesError(
            what, where=asked.where, next_step="install what is missing; the README's prerequisites list it"
        )
    if code == 429 or code >= 500 or code == 0:
        return KubernetesUnavailable(
            f"the API server failed ({code or 'no code'}): {message}",
            where=asked.where,
            next_step="it is overloaded or restarting: run the same command again in a while",
        )
    return KubernetesError(
        f"the API server refused ({code}): {message}",
        where=asked.where,
        next_step="correct what the message names, then run the same command again",
    )


def _operator_of(webhook: str) -> str:
    if "cnpg" in webhook:
        return "the CloudNativePG operator"
    if "cert-manager" in webhook:
        return "cert-manager"
    return "an admission webhook"
