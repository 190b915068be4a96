"""Stubs of Vault and Artifactory: real HTTP servers on loopback that answer as far as pgaas asks."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROLE_ID, SECRET_ID = "role-id-7d1f0c5e", "secret-id-b2a94e61"
VAULT_TOKEN, JFROG_TOKEN = "hvs.vault-token-55aa", "jfrog-token-c0ffee99"
SECRETS = (ROLE_ID, SECRET_ID, VAULT_TOKEN, JFROG_TOKEN)
SECRET_PATH = "secret/data/pgaas/jfrog"
REPOSITORY = "pgaas-release"
# What the tests publish, and where it goes.
CONTENT = b"PK\x05\x06" + os.urandom(300_000)
PATH = f"/{REPOSITORY}/pgaas/1.2.3/pgaas-1.2.3.zip"
SECRET = f"GET /v1/{SECRET_PATH}"
LOGIN = "POST /v1/auth/approle/login"


@dataclass(frozen=True)
class Asked:
    """One request as a stub got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Stub(ThreadingHTTPServer):
    """A service; `instead` has what answers a METHOD or "METHOD /path" before the service itself does.

    Each of those answers once, in order; the last one stays if `stays` says so.
    """

    daemon_threads = True
    # A test that holds an answer back lets it go with this.
    block_on_close = False

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[Asked] = []
        self.instead: dict[str, list[Callable[[Handler, Asked], None]]] = defaultdict(list)
        self.stays = False
        self.released = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """Stay silent about clients that hang up, or do not trust this server."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def answer(self, handler: Handler, asked: Asked) -> None:
        raise AssertionError(asked)

    def paths(self, method: str) -> list[str]:
        return [asked.path for asked in self.asked if asked.method == method]


class Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def handle_any(self) -> None:
        server = self.server
        key = f"{self.command} {self.path}"
        queue = server.instead.get(key) or server.instead.get(self.command) or []
        overruled = (queue[0] if server.stays and len(queue) == 1 else queue.pop(0)) if queue else None
        if overruled is cut:
            self.rfile.read(min(10, int(self.headers.get("Content-Length", 0))))
            server.asked.append(Asked(self.command, self.path, {}, b""))
            self.hang_up()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        server.asked.append(asked)
        (overruled or server.answer)(self, asked)

    do_GET = do_PUT = do_POST = do_HEAD = handle_any

    def say(self, status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


def cut(_: Handler, __: Asked) -> None:
    """Cut the connection in the middle of what is sent."""


def saying(
    status: int, body: dict[str, Any] | bytes = b"", **headers: str
) -> Callable[[Handler, Asked], None]:
    """Answer this."""
    return lambda handler, _: handler.say(status, body, **headers)


def half(content: bytes) -> Callable[[Handler, Asked], None]:
    """Promise a content, and give half of it."""

    def answer(handler: Handler, _: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.hang_up()

    return answer


def silent(handler: Handler, _: Asked) -> None:
    """Say nothing until the test is over."""
    handler.server.released.wait(60)
    handler.hang_up()


class StubVault(Stub):
    """One AppRole, one token, one secret that the token may read."""

    secrets: dict[str, dict[str, Any]]

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.secrets = {SECRET_PATH: {"data": {"token": JFROG_TOKEN}, "metadata": {"version": 3}}}

    def answer(self, handler: Handler, asked: Asked) -> None:
        path = asked.path.removeprefix("/v1/")
        if path == "auth/approle/login":
            given = json.loads(asked.body)
            if given == {"role_id": ROLE_ID, "secret_id": SECRET_ID}:
                handler.say(200, {"auth": {"client_token": VAULT_TOKEN, "lease_duration": 1200}})
            else:
                handler.say(400, {"errors": ["invalid role or secret ID"]})
        elif asked.headers.get("x-vault-token") != VAULT_TOKEN:
            handler.say(403, {"errors": ["permission denied"]})
        elif path == "auth/token/revoke-self":
            handler.say(204)
        elif path in self.secrets:
            handler.say(200, {"data": self.secrets[path]})
        else:
            handler.say(404, {"errors": []})


class StubArtifactory(Stub):
    """Files by path; those sent are compared with the checksum that came with them."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.files: dict[str, bytes] = {}
        self.with_checksums = True

    def answer(self, handler: Handler, asked: Asked) -> None:
        if asked.headers.get("authorization") != f"Bearer {JFROG_TOKEN}":
            handler.say(401, {"errors": [{"status": 401, "message": "Bad props auth token"}]})
        elif asked.method == "PUT":
            self.put(handler, asked)
        elif asked.path in self.files:
            content = self.files[asked.path]
            sums = {"X_Checksum_Sha256": sha256(content)} if self.with_checksums else {}
            handler.say(200, content, **sums)
        elif asked.path.removesuffix(".sha256") in self.files:
            handler.say(200, sha256(self.files[asked.path.removesuffix(".sha256")]).encode())
        else:
            handler.say(404, {"errors": [{"status": 404, "message": "File not found."}]})

    def put(self, handler: Handler, asked: Asked) -> None:
        sums = {name: hashlib.new(name, asked.body).hexdigest() for name in ("sha256", "sha1", "md5")}
        if any(asked.headers.get(f"x-checksum-{name}") != found for name, found in sums.items()):
            handler.say(409, {"errors": [{"status": 409, "message": "Checksum error"}]})
            return
        self.files[asked.path] = asked.body
        handler.say(201, {"checksums": sums})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Services:
    """Both stubs, and the environment of a job that uses them."""

    vault: StubVault
    artifactory: StubArtifactory
    ca_file: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        found = {
            "VAULT_ADDR": self.vault.url,
            "VAULT_ROLE_ID": ROLE_ID,
            "VAULT_SECRET_ID": SECRET_ID,
            "PGAAS_JFROG_PATH": SECRET_PATH,
            "ARTIFACTORY_URL": self.artifactory.url,
            "ARTIFACTORY_REPOSITORY": REPOSITORY,
        }
        return found | ({"PGAAS_CA_FILE": str(self.ca_file)} if self.ca_file else {})


@contextmanager
def serving(*stubs: Stub) -> Iterator[None]:
    """Serve on free ports of this machine."""
    threads = [threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}) for stub in stubs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for stub in stubs:
            stub.released.set()
            stub.shutdown()
            stub.server_close()
        for thread in threads:
            thread.join()
