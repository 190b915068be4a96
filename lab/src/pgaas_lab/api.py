"""A client of one cluster's API server: plain requests, as little as the lab needs."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from pgaas_lab.datacenters import Datacenter

Object = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"


class Api:
    """Requests to one API server, as its administrator."""

    def __init__(self, datacenter: Datacenter, timeout: float = 10) -> None:
        context = ssl.create_default_context(cafile=str(datacenter.pki / "ca.crt"))
        context.load_cert_chain(datacenter.pki / "admin.crt", datacenter.pki / "admin.key")
        # A proxy of the machine's has no business between the lab and itself.
        self.http = httpx.Client(base_url=datacenter.server, verify=context, timeout=timeout, trust_env=False)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str) -> Object:
        """Return an object. Raise httpx.HTTPError."""
        return dict(self.http.get(path).raise_for_status().json())

    def items(self, path: str) -> list[Object]:
        """Return the objects of a list. Raise httpx.HTTPError."""
        return list(self.get(path).get("items") or [])

    def find(self, path: str) -> Object | None:
        """Return an object, or None if there is none. Raise httpx.HTTPError."""
        answer = self.http.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else dict(answer.raise_for_status().json())

    def create(self, path: str, body: Object) -> None:
        """Create an object unless it is there. Raise httpx.HTTPError."""
        answer = self.http.post(path, json=body)
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()

    def patch(self, path: str, body: Object) -> None:
        """Merge a patch into an object. Raise httpx.HTTPError."""
        headers = {"Content-Type": MERGE_PATCH}
        self.http.patch(path, content=json.dumps(body), headers=headers).raise_for_status()

    def patch_conditions(self, path: str, conditions: list[Object]) -> None:
        """Set some of the conditions in an object's status and leave the others. Raise httpx.HTTPError."""
        body = json.dumps({"status": {"conditions": conditions}})
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        answer = self.http.patch(path, content=body, headers=headers)
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def delete(self, path: str) -> None:
        """Delete an object that may be gone. Raise httpx.HTTPError."""
        answer = self.http.delete(path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def changes(self, path: str, seconds: int = 300) -> Iterator[None]:
        """Yield once per change under a path, for so many seconds. Raise httpx.HTTPError."""
        query = {"watch": "true", "timeoutSeconds": str(seconds)}
        with self.http.stream(
            "GET", path, params=query, timeout=httpx.Timeout(10, read=seconds + 30)
        ) as answer:
            answer.raise_for_status()
            for _ in answer.iter_lines():
                yield None

    def trouble(self) -> str:
        """Return why the API server is not ready, or an empty text."""
        try:
            answer = self.http.get("/readyz", timeout=3)
        except httpx.HTTPError as error:
            return f"API server: {error}"
        return "" if answer.is_success else f"API server: {answer.text.strip()[-200:]}"
