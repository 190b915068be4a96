"""The one place that talks to a Kubernetes API server: plain dictionaries in and out, one kind of error."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pgaas.errors import KubernetesError, PgaasError
from pgaas.kube.credentials import with_credential
from pgaas.kube.errors import Asked, translated
from pgaas.kube.execute import execute
from pgaas.kube.forward import forwarded
from pgaas.kube.kubeconfig import SERVICE_ACCOUNT, kubeconfig_paths, load_kubeconfig, select_context
from pgaas.kube.models import FIRST_USE, model_of
from pgaas.kube.resources import KNOWN_KINDS, Kind, Object, dig, name_of

if TYPE_CHECKING:
    import httpx2
    from lightkube import Client
    from lightkube.config.kubeconfig import SingleConfig

FIELD_MANAGER = "pgaas"
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
APPLY_SECONDS = 40.0

Result = TypeVar("Result")


class Api:
    """One context's API server.

    Reads return None or an empty list for what is not there; everything else raises KubernetesError. May be
    used by several threads at once.
    """

    def __init__(self, context: str | None = None, *, transport: httpx2.BaseTransport | None = None) -> None:
        """Read the kubeconfig; connect when first asked. `transport` replaces the network in tests."""
        self._transport = transport
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], Kind] = dict(KNOWN_KINDS)
        self._selected = _select(context)
        self.context = str(self._selected["name"])
        # For other programs: they go to the same cluster, though the current context may change meanwhile.
        self.kubeconfig_context = None if self._selected.get("in_cluster") else self.context
        self.server = str(self._selected["cluster"].get("server", ""))
        self._connected: tuple[Client, httpx2.Client] | None = None

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None if it, its namespace or its very kind is not there."""
        asked = self._asked("get", kind, name, namespace)
        return self._call(
            asked, lambda client: dict(client.get(model_of(kind), name, **_in(kind, namespace))), missing=None
        )

    def find(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: Mapping[str, Any] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """Return the objects of a kind in a namespace (None: in all), those with these labels and fields.

        A label's value may be one of lightkube's operators.
        """
        asked = self._asked("list", kind, "", namespace)
        where = {"namespace": namespace or "*"} if kind.namespaced else {}

        def ask(client: Any) -> list[Object]:
            found = client.list(model_of(kind), **where, labels=dict(labels or {}), fields=dict(fields or {}))
            return [dict(item) for item in found]

        return self._call(asked, ask, missing=[])

    def apply(
        self, obj: Object, *, manager: str = FIELD_MANAGER, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Apply an object server-side and return the result; raise KubernetesConflict on a foreign field."""
        kind = self.kind_of(obj)
        namespace = dig(obj, "metadata", "namespace")
        asked = self._asked("apply", kind, name_of(obj), namespace)

        def ask(client: Any) -> Object:
            sent = model_of(kind)(obj)
            options = {"field_manager": manager, "force": force, "dry_run": dry_run}
            return dict(client.apply(sent, name_of(obj), **_in(kind, namespace), **options))

        return self._call(asked, ask)

    def create(self, kind: Kind, obj: Object) -> Object:
        """Create an object as field manager pgaas; raise KubernetesConflict if there is one of this name."""
        namespace = dig(obj, "metadata", "namespace")
        asked = self._asked("create", kind, name_of(obj), namespace)
        named = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}

        def ask(client: Any) -> Object:
            sent = model_of(kind)(named)
            where = _in(kind, namespace)
            return dict(client.create(sent, name_of(obj), **where, field_manager=FIELD_MANAGER))

        return self._call(asked, ask)

    def replace(self, kind: Kind, obj: Object) -> Object:
        """Put an object in place of the one that was read, as field manager pgaas, and return the result.

        Raise KubernetesConflict if it has changed since: its metadata.resourceVersion is another by now.
        """
        namespace = dig(obj, "metadata", "namespace")
        asked = self._asked("replace", kind, name_of(obj), namespace)
        named = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}

        def ask(client: Any) -> Object:
            where = _in(kind, namespace)
            return dict(
                client.replace(model_of(kind)(named), name_of(obj), **where, field_manager=FIELD_MANAGER)
            )

        return self._call(asked, ask)

    def delete(self, kind: Kind, name: str, namespace: str | None = None) -> bool:
        """Ask for an object's deletion; return whether there was one. It may still be there for a while."""
        asked = self._asked("delete", kind, name, namespace)

        def ask(client: Any) -> bool:
            client.delete(model_of(kind), name, **_in(kind, namespace))
            return True

        return self._call(asked, ask, missing=False)

    def patch_status(self, kind: Kind, name: str, namespace: str, status: Object) -> None:
        """Change fields of an object's status, which are its operator's: only to have it look again."""
        asked = self._asked("patch", kind, name, namespace)
        path = f"/apis/{kind.api_version}/namespaces/{namespace}/{kind.plural}/{name}/status"

        def ask(_: Any) -> None:
            response = self._connection()[1].patch(
                path,
                json={"status": status},
                params={"fieldManager": FIELD_MANAGER},
                headers={"Content-Type": "application/merge-patch+json"},
            )
            response.raise_for_status()

        self._call(asked, ask)

    def logs(self, pod: str, container: str, namespace: str, *, tail: int) -> list[str]:
        """Return the last lines of a container's log, or none if it has not started or is gone."""
        asked = Asked(f"log {namespace}/{pod} {container}", self.context, self.server)
        try:
            return self._call(
                asked,
                lambda client: list(
                    client.log(pod, namespace=namespace, container=container, tail_lines=tail, newlines=False)
                ),
                missing=[],
            )
        except KubernetesError:
            # A container that has not started yet answers 400.
            return []

    def execute(self, pod: str, container: str, namespace: str, argv: list[str], *, timeout: float) -> str:
        """Run a program in a container and return its stdout; raise KubernetesError if it fails."""
        asked = Asked(f"exec {namespace}/{pod} {container}", self.context, self.server)

        def ask(_: Any) -> tuple[int, str, str]:
            return execute(self._connection()[1], pod, container, namespace, argv, timeout=timeout)

        code, stdout, stderr = self._call(asked, ask)
        if code:
            raise KubernetesError(
                f"{argv[0]} ended with {code}: {' '.join(stderr.split())}",
                where=asked.where,
                next_step="look at the pod's log",
            )
        return stdout

    def stream(
        self,
        pod: str,
        container: str,
        namespace: str,
        argv: list[str],
        take: Callable[[str], bool],
        *,
        timeout: float,
    ) -> None:
        """Run a program in a container and hand over its output line by line, until `take` returns true.

        It ends quietly after `timeout` seconds too; raise KubernetesError if the program cannot be run.
        """
        import httpx2

        asked = Asked(f"exec {namespace}/{pod} {container}", self.context, self.server)

        def ask(_: Any) -> None:
            with contextlib.suppress(httpx2.ReadTimeout):
                execute(self._connection()[1], pod, container, namespace, argv, timeout=timeout, take=take)

        self._call(asked, ask)

    @contextlib.contextmanager
    def forward(self, pod: str, namespace: str, port: int) -> Iterator[int]:
        """Make a pod's port one of this machine's own while the block lasts, and return its number.

        What the API server or the kubelet says against it is raised as KubernetesError, at the block's end.
        """
        complaints: list[str] = []
        failed: BaseException | None = None
        with forwarded(self._connection()[1], pod, namespace, port, complaints.append) as near:
            try:
                yield near
            except PgaasError as error:
                failed = error
        if failed is not None and complaints:
            raise KubernetesError(
                f"port {port} of pod {namespace}/{pod} cannot be reached: {complaints[0]}",
                where=f'context "{self.context}", {self.server}',
                next_step="look at the pod's log; the right to create pods/portforward is needed",
            ) from failed
        if failed is not None:
            raise failed

    def raw(self, path: str) -> Object | None:
        """Return what the API server answers at a path such as /version, or None if it has no such path."""

        def ask(client: httpx2.Client) -> Object | None:
            response = client.get(path)
            response.raise_for_status()
            return dict(response.json())

        return self.plain(f"get {path}", ask, missing=None)

    def plain(self, action: str, ask: Callable[[httpx2.Client], Result], **missing: Result) -> Result:
        """Ask in a way of one's own, with the client for plain paths; `action` is for messages."""
        asked = Asked(action, self.context, self.server)
        return self._call(asked, lambda _: ask(self._connection()[1]), **missing)

    def served(self, group: str, version: str) -> dict[str, Kind]:
        """Return the kinds that are served in a group's version, by kind; empty if there are none."""
        found = self.raw(f"/apis/{group}/{version}" if group else f"/api/{version}") or {}
        kinds: dict[str, Kind] = {}
        for entry in found.get("resources", []):
            if "/" not in entry["name"]:
                kinds[entry["kind"]] = Kind(
                    group, version, entry["kind"], entry["name"], bool(entry["namespaced"])
                )
        return kinds

    def kind_of(self, obj: Object) -> Kind:
        """Return an object's kind, asking the API server for one that pgaas does not know by itself."""
        key = (str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
        if key not in self._kinds:
            group, _, version = key[0].rpartition("/")
            for kind in self.served(group, version).values():
                self._kinds.setdefault((kind.api_version, kind.kind), kind)
        if key not in self._kinds:
            raise KubernetesError(
                f"the API server does not know {key[1]} of {key[0]}",
                where=f'context "{self.context}", {self.server}',
                next_step="install the operator that brings this kind; the README's prerequisites list them",
            )
        return self._kinds[key]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connected, self._connected = self._connected, None
        for client in connected or ():
            client.close()

    def _asked(self, verb: str, kind: Kind, name: str, namespace: str | None) -> Asked:
        place = f"{namespace}/{name}" if namespace else name
        return Asked(f"{verb} {kind.resource} {place}".rstrip(), self.context, self.server, kind.group)

    def _call(self, asked: Asked, ask: Callable[[Any], Result], **missing: Result) -> Result:
        """Ask; a 404 returns `missing`, where given; a 401 asks the exec plugin once for a new credential."""
        import httpx2

        for attempt in (1, 2):
            with translated(asked):
                client = self._connection()[0]
                try:
                    return ask(client)
                except httpx2.HTTPStatusError as error:
                    code = error.response.status_code
                    if code == 404 and "missing" in missing:
                        return missing["missing"]
                    if code != 401 or attempt == 2 or not self._selected["user"].get("exec"):
                        raise
            self.close()
        raise AssertionError("unreachable")

    def _connection(self) -> tuple[Client, httpx2.Client]:
        with self._lock:
            if self._connected is None:
                self._connected = _connect(self._selected, self._transport)
            return self._connected


@cache
def api_for(context: str | None = None) -> Api:
    """Return the API of a context, the same one each time."""
    return Api(context)


def _select(context: str | None) -> dict[str, Any]:
    paths = kubeconfig_paths(os.environ)
    in_cluster = (SERVICE_ACCOUNT / "token").is_file()
    if context is None and in_cluster and not any(path.is_file() for path in paths):
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return {
            "name": "in-cluster",
            "in_cluster": True,
            "cluster": {"server": server, "certificate-authority": str(SERVICE_ACCOUNT / "ca.crt")},
            "user": {"tokenFile": str(SERVICE_ACCOUNT / "token")},
            "namespace": None,
        }
    where = ", ".join(str(path) for path in paths)
    return select_context(load_kubeconfig(os.environ), context, where)


def _connect(
    selected: Mapping[str, Any], transport: httpx2.BaseTransport | None
) -> tuple[Client, httpx2.Client]:
    """Make the client for objects and the one for plain paths."""
    import httpx2
    from lightkube import Client
    from lightkube.config import client_adapter
    from lightkube.core.decoders import decode_status

    from pgaas.kube.transport import kubeconfig_transport

    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=APPLY_SECONDS)
    where = f'context "{selected["name"]}"'
    user = with_credential(selected["user"], str(selected["name"]))
    try:
        with FIRST_USE:
            config = _single_config(selected, user)
            decode_status(b"{}")
        options: dict[str, Any] = {
            "timeout": timeout,
            "transport": kubeconfig_transport(selected, config, transport),
            "proxy": selected["cluster"].get("proxy-url"),
        }
        return Client(config=config, **options), client_adapter.Client(
            config, client_adapter.ConnectionParams(**options)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        # ssl.SSLError is an OSError; bad base64 and wrong types are ValueErrors of binascii and msgspec.
        raise KubernetesError(
            f"the kubeconfig's credential cannot be used: {' '.join(str(error).split())}",
            where=where,
            next_step="repair the kubeconfig, or fetch it again from your platform",
        ) from error
    except Exception as error:
        if type(error).__module__.startswith(("lightkube", "msgspec")):
            raise KubernetesError(
                f"the kubeconfig cannot be used: {error}", where=where, next_step="repair the kubeconfig"
            ) from error
        raise


def _single_config(selected: Mapping[str, Any], user: Mapping[str, Any]) -> SingleConfig:
    from lightkube.config.kubeconfig import KubeConfig

    return KubeConfig.from_dict(
        {
            "current-context": "selected",
            "clusters": [{"name": "selected", "cluster": selected["cluster"]}],
            "users": [{"name": "selected", "user": dict(user)}],
            "contexts": [
                {
                    "name": "selected",
                    "context": {
                        "cluster": "selected",
                        "user": "selected",
                        "namespace": selected["namespace"] or "default",
                    },
                }
            ],
        }
    ).get()  # type: ignore[return-value]


def _in(kind: Kind, namespace: str | None) -> dict[str, str]:
    return {"namespace": namespace or "default"} if kind.namespaced else {}
