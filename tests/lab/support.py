"""What the lab's tests share: running commands, reading objects, and connecting to PostgreSQL."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
from botocore.config import Config

CONTEXT = "cluster1"
CONTEXTS = (CONTEXT, "cluster2")
TARGET = ("--ins", "ic1", "--env", "local", "--dc", "local1")
CLUSTER = "local-ic1-local1"
NAMESPACE = "ic1-local"


# Whether what takes minutes more is tried too.
LONG = bool(os.environ.get("PGAAS_LONG"))


def lab_environment(command: Sequence[str]) -> dict[str, str]:
    """Return this process's environment with what `pgaas-lab env` exports."""
    exports = subprocess.run([*command, "env"], check=True, capture_output=True, text=True).stdout
    shell = ["bash", "-c", f"{exports}\nenv -0"]
    listing = subprocess.run(shell, check=True, capture_output=True, text=True).stdout
    return dict(entry.split("=", 1) for entry in listing.split("\0") if "=" in entry)


@dataclass(frozen=True)
class Lab:
    """The running lab, as seen from one of its datacenters."""

    environment: dict[str, str]
    context: str = CONTEXT

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in this datacenter."""
        command = ["kubectl", "--context", self.context, *arguments]
        done = subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        """Return one object."""
        found: dict[str, Any] = json.loads(
            self.kubectl("-n", namespace, "get", kind, name, "-o", "json").stdout
        )
        return found

    def items(self, kind: str, namespace: str = NAMESPACE, *selector: str) -> list[dict[str, Any]]:
        """Return all objects of a kind in a namespace."""
        listing = self.kubectl("-n", namespace, "get", kind, "-o", "json", *selector).stdout
        found: list[dict[str, Any]] = json.loads(listing)["items"]
        return found

    def secret(self, name: str, namespace: str = NAMESPACE) -> dict[str, bytes]:
        """Return a Secret's data, decoded."""
        data = self.get("secret", name, namespace)["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}

    def superuser(self, sql: str, database: str = "postgres", cluster: str = CLUSTER) -> str:
        """Run SQL as the superuser, in the pod of the cluster's (designated) primary."""
        primary = self.get("cluster.postgresql.cnpg.io", cluster)["status"]["currentPrimary"]
        command = ("exec", primary, "-c", "postgres", "--", "psql", "-X", "-At", "-d", database, "-c", sql)
        return self.kubectl("-n", NAMESPACE, *command).stdout.strip()

    def address(self, service: str, namespace: str = NAMESPACE) -> str:
        """Return the address that the LoadBalancer of a Service answers at."""
        found: str = self.get("service", service, namespace)["status"]["loadBalancer"]["ingress"][0]["ip"]
        return found


@dataclass(frozen=True)
class Pgaas:
    """The command, run as a process with a root of its own."""

    lab: Lab
    root: Path

    def __call__(
        self, *arguments: str, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run pgaas and return what it said; whether it succeeded is for the test to judge."""
        return subprocess.run(
            [sys.executable, "-m", "pgaas", *arguments],
            env={**self.lab.environment, "PGAAS_ROOT": str(self.root), **environment},
            cwd=self.root,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start pgaas in a process group of its own, so that a test can interrupt or kill it."""
        return subprocess.Popen(
            [sys.executable, "-m", "pgaas", *arguments],
            env={**self.lab.environment, "PGAAS_ROOT": str(self.root), **environment},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def storage() -> Any:
    """Return a client of the lab's S3."""
    return boto3.client(
        "s3",
        endpoint_url="http://192.168.49.2:30333",
        aws_access_key_id="admin",
        aws_secret_access_key="admin123",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


def keys(name: str, prefix: str = "") -> list[str]:
    """Return the keys in a bucket of the lab's S3; none if there is no such bucket."""
    client = storage()
    if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        return []
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def empty(name: str) -> None:
    """Remove everything in a bucket of the lab's S3, if there is such a bucket."""
    client = storage()
    if name in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        # Made anew: SeaweedFS would keep the empty folders of what is deleted, and list them.
        client.delete_bucket(Bucket=name)
        client.create_bucket(Bucket=name)


def wait_until(what: str, probe: Callable[[], Any], timeout: float = 180) -> Any:
    """Poll until the probe returns something true."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {timeout:.0f} s: {what}")


@dataclass(frozen=True)
class Credential:
    """A client certificate on disk, as libpq takes it."""

    certificate: Path
    key: Path


def write_credential(folder: Path, name: str, certificate: bytes, key: bytes) -> Credential:
    """Write a certificate and its key with the modes that libpq demands."""
    credential = Credential(folder / f"{name}.crt", folder / f"{name}.key")
    credential.certificate.write_bytes(certificate)
    credential.key.touch(mode=0o600)
    credential.key.write_bytes(key)
    credential.key.chmod(0o600)
    return credential


@dataclass(frozen=True)
class Door:
    """How to reach one cluster from outside Kubernetes."""

    host: str
    address: str
    root: Path

    def connect(
        self, database: str, user: str, credential: Credential | None = None, **options: Any
    ) -> psycopg.Connection[Any]:
        """Connect with verify-full, unless the options say otherwise."""
        parameters: dict[str, Any] = {
            "host": self.host,
            "hostaddr": self.address,
            "port": 5432,
            "dbname": database,
            "user": user,
            "sslmode": "verify-full",
            "sslrootcert": str(self.root),
            "connect_timeout": 10,
            "autocommit": True,
            # No certificate of the person who runs the tests may help: libpq looks in ~/.postgresql.
            "sslcert": str(credential.certificate) if credential else "/nonexistent/none.crt",
            "sslkey": str(credential.key) if credential else "/nonexistent/none.key",
        }
        return psycopg.connect(**(parameters | options))

    def refusal(self, database: str, user: str, credential: Credential | None = None, **options: Any) -> str:
        """Return why the server refused a login; an accepted one fails the test."""
        try:
            connection = self.connect(database, user, credential, **options)
        except psycopg.OperationalError as error:
            return str(error)
        connection.close()
        raise AssertionError(f"{user} was let into {database}")
