"""A fake API server: it keeps objects in a dictionary, records each request, and fails where told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pgaas.kube.client import Api
from pgaas.kube.resources import Kind

SERVER = "https://fake.example:6443"
KUBECONFIG = f"""
apiVersion: v1
kind: Config
current-context: fake
clusters:
- name: fake
  cluster: {{server: "{SERVER}", insecure-skip-tls-verify: true}}
users:
- name: fake
  user: {{token: secret-token}}
contexts:
- name: fake
  context: {{cluster: fake, user: fake}}
- name: other
  context: {{cluster: fake, user: fake}}
"""

Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass
class Asked:
    """One request as the server got it."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: Any


@dataclass
class FakeServer:
    """Objects by path; `answers` overrule them for a "METHOD /path"."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    versions: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, kind: Kind, obj: dict[str, Any]) -> None:
        """Keep an object."""
        metadata = obj["metadata"]
        full = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        self.objects[path_of(kind, metadata.get("namespace"), metadata["name"])] = full

    def writes(self) -> list[Asked]:
        """Return the requests that are no reads."""
        return [asked for asked in self.asked if asked.method != "GET"]

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        path, method = request.url.path, request.method
        body = json.loads(request.content) if request.content else None
        query = dict(request.url.params)
        self.asked.append(Asked(method, path, query, request.headers.get("content-type", ""), body))
        answer = self.answers.get(f"{method} {path}")
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer if isinstance(answer, httpx2.Response) else answer(request)
        if path in self.raw:
            raw = self.raw[path]
            return httpx2.Response(200, text=raw) if isinstance(raw, str) else httpx2.Response(200, json=raw)
        return getattr(self, f"_{method.lower()}")(path, query, body)

    def _get(self, path: str, query: dict[str, str], _: Any) -> httpx2.Response:
        if path in self.objects:
            return httpx2.Response(200, json=self.objects[path])
        last = path.rpartition("/")[2]
        prefix = f"{path}/"
        selector = [part for part in query.get("labelSelector", "").split(",") if part]
        wanted = dict(part.split("=", 1) for part in selector if "!=" not in part)
        unwanted = [tuple(part.split("!=", 1)) for part in selector if "!=" in part]
        everywhere = not path.startswith(("/api/v1/namespaces/", "/apis/")) or "/namespaces/" not in path
        items = [
            obj
            for where, obj in self.objects.items()
            if (where.startswith(prefix) or (everywhere and f"/{last}/" in where))
            and wanted.items() <= (obj["metadata"].get("labels") or {}).items()
            and not (obj["metadata"].get("labels") or {}).items() & set(unwanted)
        ]
        if last.endswith("s") and (items or "-" not in last):
            return httpx2.Response(200, json={"items": items, "metadata": {"resourceVersion": "1"}})
        return failure(404, "NotFound", f"{last} not found")

    def _post(self, path: str, _: dict[str, str], body: Any) -> httpx2.Response:
        where = f"{path}/{body['metadata']['name']}"
        with self.lock:
            if where in self.objects:
                return failure(409, "AlreadyExists", f"{where} already exists")
            self.objects[where] = self.versioned(body)
            return httpx2.Response(201, json=self.objects[where])

    def _put(self, path: str, _: dict[str, str], body: Any) -> httpx2.Response:
        with self.lock:
            old = self.objects.get(path)
            if old is None:
                return failure(404, "NotFound", f"{path} not found")
            if body["metadata"].get("resourceVersion") != old["metadata"].get("resourceVersion"):
                return failure(409, "Conflict", f"{path}: the object has been modified")
            self.objects[path] = self.versioned(body)
            return httpx2.Response(200, json=self.objects[path])

    def versioned(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Return an object with a resourceVersion that no other one has had."""
        self.versions += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.versions)}}

    def _patch(self, path: str, query: dict[str, str], body: Any) -> httpx2.Response:
        path = path.removesuffix("/status")
        result = merged(self.objects.get(path, {}), body)
        if query.get("dryRun") != "All":
            self.objects[path] = result
        return httpx2.Response(200, json=result)

    def _delete(self, path: str, _: dict[str, str], __: Any) -> httpx2.Response:
        if self.objects.pop(path, None) is None:
            return failure(404, "NotFound", f"{path} not found")
        return httpx2.Response(200, json={"kind": "Status", "status": "Success"})


def merged(low: Any, high: Any) -> Any:
    """Return high over low, maps deep: near enough to a server-side apply that owns everything."""
    if isinstance(low, dict) and isinstance(high, dict):
        return low | {key: merged(low.get(key), value) for key, value in high.items()}
    return high


def path_of(kind: Kind, namespace: str | None, name: str = "") -> str:
    """Return where the API serves an object, or a kind."""
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    middle = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{middle}/{kind.plural}{f'/{name}' if name else ''}"


def failure(code: int, reason: str, message: str) -> httpx2.Response:
    """Return what the API server answers when it refuses."""
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return httpx2.Response(code, json=status, headers={"Content-Type": "application/json"})


def use_kubeconfig(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = KUBECONFIG) -> Path:
    """Write a kubeconfig and let KUBECONFIG name it."""
    path = folder / "kubeconfig"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def fake_api(server: FakeServer) -> Api:
    """Return an Api that speaks to the fake server."""
    return Api("fake", transport=httpx2.MockTransport(server))
