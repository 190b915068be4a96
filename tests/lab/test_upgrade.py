"""A rolling image update with two instances, while a client writes."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from tests.lab.support import CLUSTER, TARGET, Credential, Door, Lab, Pgaas, write_credential

OLD = "ghcr.io/cloudnative-pg/postgresql:17-standard-trixie"
NEW = "ghcr.io/cloudnative-pg/postgresql:17-minimal-trixie"


@dataclass
class Writer:
    """Insert numbers one by one, reconnecting as an application would, and remember what was acknowledged."""

    door: Door
    credential: Credential
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def run(self) -> None:
        """Write until told to stop; a failed write is counted, and its number is not used again."""
        connection: psycopg.Connection[object] | None = None
        number, last = 0, time.monotonic()
        while not self.stop.is_set():
            number += 1
            try:
                if connection is None:
                    connection = self.door.connect("app_db", "app_user", self.credential, connect_timeout=2)
                connection.execute("insert into written values (%s)", [number])
            except psycopg.Error as error:
                self.failed.append(str(error))
                with suppress(psycopg.Error):
                    if connection:
                        connection.close()
                connection = None
                self.stop.wait(0.1)
            else:
                self.acknowledged.append(number)
                self.longest_gap = max(self.longest_gap, time.monotonic() - last)
                last = time.monotonic()
                self.stop.wait(0.02)
        if connection:
            connection.close()


@contextmanager
def writing(door: Door, credential: Credential) -> Iterator[Writer]:
    """Keep a client writing in the background."""
    writer = Writer(door, credential)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.stop.set()
        thread.join(timeout=30)


def test_a_rolling_upgrade_keeps_a_writing_client_running(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str], door: Door, tmp_path: Path
) -> None:
    admin = pgaas.root / "confs/admin/local/postgresql.yaml"
    written = admin.read_text()
    assert "instances: 1" in written
    assert OLD in written
    admin.write_text(written.replace("instances: 1", "instances: 2"))
    grown = pgaas("create", *TARGET)
    assert grown.returncode == 0, grown.stderr

    secret = lab.secret(f"{CLUSTER}-client-app-user")
    credential = write_credential(tmp_path, "app_user", secret["tls.crt"], secret["tls.key"])
    with door.connect("app_db", "app_user", credential) as connection:
        connection.execute("create table if not exists written (number int primary key)")
        connection.execute("truncate written")

    admin.write_text(admin.read_text().replace(OLD, NEW))
    with writing(door, credential) as writer:
        upgraded = pgaas("upgrade", *TARGET)
    assert upgraded.returncode == 0, upgraded.stderr
    print(
        f"upgrade: {len(writer.acknowledged)} writes acknowledged, {len(writer.failed)} failed,"
        f" longest gap {writer.longest_gap:.1f} s"
    )

    seen = json.loads(pgaas("status", *TARGET, "-o", "json").stdout)
    assert {instance["image"] for instance in seen["instances"]} == {NEW}
    with door.connect("app_db", "app_user", credential) as connection:
        kept = {row[0] for row in connection.execute("select number from written")}
    assert set(writer.acknowledged) <= kept
    # It went on after the switchover: the last of its writes came after the last failure.
    assert len(writer.acknowledged) > 100

    again = pgaas("upgrade", *TARGET)
    assert again.returncode == 0, again.stderr


def test_a_users_file_alone_never_changes_the_major_version(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    admin = pgaas.root / "confs/admin/local/postgresql.yaml"
    user = pgaas.root / "confs/users/ic1/local/databases.yaml"
    offered, wanted = admin.read_text(), user.read_text()
    if "major: 18" not in offered:
        admin.write_text(
            offered.replace(
                "    - major: 17\n",
                "    - major: 18\n      image: ghcr.io/cloudnative-pg/postgresql:18-standard-trixie\n"
                "    - major: 17\n",
            )
        )
    assert "majorVersion: 17" in wanted
    user.write_text(wanted.replace("majorVersion: 17", "majorVersion: 18"))
    try:
        for verb in ("upgrade", "create"):
            refused = pgaas(verb, *TARGET)
            assert refused.returncode == 8, f"{verb}: {refused.stderr}"
    finally:
        admin.write_text(offered)
        user.write_text(wanted)
    assert lab.superuser("show server_version").startswith("17")
