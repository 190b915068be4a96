"""What a kubeconfig can ask of a connection and lightkube does not know: impersonation, a TLS name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig


def kubeconfig_transport(
    selected: Mapping[str, Any], config: SingleConfig, inner: httpx2.BaseTransport | None = None
) -> httpx2.BaseTransport | None:
    """Return the transport that connects as the kubeconfig says, or None if the client's own will do.

    `inner` replaces the network in tests.
    """
    from lightkube.config.client_adapter import verify_cluster

    headers = impersonation(selected["user"])
    name = str(selected["cluster"].get("tls-server-name") or "")
    if not headers and not name:
        return inner
    if inner is None:
        assert config.user is not None
        context = verify_cluster(config.cluster, config.user, config.abs_file)
        inner = httpx2.HTTPTransport(verify=context, proxy=proxy_for(selected["cluster"]))
    return Decorated(inner, headers, name)


def proxy_for(cluster: Mapping[str, Any]) -> str | None:
    """Return the proxy that the kubeconfig or else the environment names for a cluster's API server."""
    if cluster.get("proxy-url"):
        return str(cluster["proxy-url"])
    server = urlsplit(str(cluster.get("server", "")))
    if not server.hostname or proxy_bypass(server.hostname):
        return None
    return getproxies().get(server.scheme)


def impersonation(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headers that ask the API server to act as somebody else, as kubectl sends them."""
    headers = [("Impersonate-User", str(user["as"]))] if user.get("as") else []
    headers += [("Impersonate-Uid", str(user["as-uid"]))] if user.get("as-uid") else []
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or []]
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values]
    return headers


class Decorated(httpx2.BaseTransport):
    """Add headers to each request, and expect another name in the server's certificate."""

    def __init__(self, inner: httpx2.BaseTransport, headers: list[tuple[str, str]], server_name: str) -> None:
        self._inner = inner
        self._headers = headers
        self._server_name = server_name

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        request.headers = httpx2.Headers([*request.headers.multi_items(), *self._headers])
        if self._server_name:
            request.extensions = {**request.extensions, "sni_hostname": self._server_name}
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()
