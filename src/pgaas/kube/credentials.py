"""Ask a kubeconfig's exec plugin for a credential (client.authentication.k8s.io v1 and v1beta1)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from pgaas.errors import KubernetesError, TimedOut, ToolFailed, ToolMissing
from pgaas.tools import command

PLUGIN_SECONDS = 60.0


def with_credential(user: Mapping[str, Any], context: str) -> dict[str, Any]:
    """Return the kubeconfig's user with what its exec plugin answered; one without a plugin as it is.

    Raise KubernetesError if the plugin is missing, fails, or answers something else than a credential.
    """
    plugin = user.get("exec")
    if not plugin:
        return dict(user)
    argv = [str(plugin.get("command", "")), *map(str, plugin.get("args") or [])]
    answer = _answer(argv, plugin, context)
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
        raise KubernetesError(
            f'the exec plugin "{argv[0]}" of the kubeconfig gave no credential',
            where=f'context "{context}"',
            next_step=f"run it by hand to see what it says: {' '.join(argv)}",
        )
    kept = {key: value for key, value in user.items() if key != "exec"}
    if status.get("token"):
        kept["token"] = status["token"]
    if status.get("clientCertificateData"):
        kept["client-certificate-data"] = _base64(status["clientCertificateData"])
        kept["client-key-data"] = _base64(status.get("clientKeyData", ""))
    return kept


def _answer(argv: list[str], plugin: Mapping[str, Any], context: str) -> Any:
    version = plugin.get("apiVersion", "client.authentication.k8s.io/v1")
    request = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    extra = {str(entry["name"]): str(entry["value"]) for entry in plugin.get("env") or []}
    env = command.inherited_environment({**extra, "KUBERNETES_EXEC_INFO": json.dumps(request)})
    try:
        printed = command.run(argv, env=env, timeout=PLUGIN_SECONDS).stdout
        return json.loads(printed)
    except ToolMissing as error:
        raise KubernetesError(
            f'the exec plugin "{argv[0]}" that the kubeconfig names is not installed',
            where=f'context "{context}"',
            next_step=str(plugin.get("installHint") or f"install {argv[0]}, or use another context").strip(),
        ) from error
    except (ToolFailed, TimedOut) as error:
        raise KubernetesError(
            f"the exec plugin of the kubeconfig failed: {error.what}",
            where=f'context "{context}"',
            next_step="log in again with your platform's tool, then run the same command",
        ) from error
    except ValueError:
        return None


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
