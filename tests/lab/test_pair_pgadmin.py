"""pgAdmin on the lab, as a person meets it: through HTTPS, the directory, and PostgreSQL's own rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from playwright.sync_api import Browser, Error, Page, Playwright, sync_playwright
from tests.lab import stranger
from tests.lab.browser import SIZE, Pgadmin, chromium, log_in, try_to_log_in
from tests.lab.metrics import install
from tests.lab.pair import Pair, Side
from tests.lab.support import NAMESPACE, empty, wait_until

# A folder for pictures, when somebody wants them.
PICTURES = os.environ.get("PGAAS_PICTURES")


@dataclass(frozen=True)
class Front:
    """A client's pgAdmin on one side, and a browser that trusts the datacenter's root."""

    side: Side
    browser: Browser
    ins: str = "ic1"

    @property
    def name(self) -> str:
        return pgadmin_of(self.side, self.ins)

    @property
    def url(self) -> str:
        return f"https://{self.name}.{self.ins}-local.svc.cluster.local/"

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Give a page of a new session."""
        context = self.browser.new_context(viewport=SIZE)
        try:
            yield context.new_page()
        finally:
            context.close()

    @contextmanager
    def person(self) -> Iterator[Pgadmin]:
        """Log in as the client's own person, in a new session."""
        with self.page() as page:
            person = log_in(page, self.url, self.ins, self.ins, f"{self.ins} local")
            yield person
            person.leave(self.url)

    def ask(self, server: str, sql: str, database: str = "app_db") -> list[list[str]]:
        """Log in anew, and ask a server something."""
        with self.person() as person:
            person.open_server(server)
            answer = person.query(database, sql)
        assert answer.message == ""
        return answer.rows

    def pod(self) -> dict[str, Any]:
        [pod] = self.side.lab.items("pods", NAMESPACE, "-l", f"app.kubernetes.io/instance={self.name}")
        return pod


def pgadmin_of(side: Side, ins: str) -> str:
    return f"local-{ins}-{side.dc}-pgadmin"


def hosts(side: Side, ins: str = "ic1") -> dict[str, str]:
    name, space = pgadmin_of(side, ins), f"{ins}-local"
    return {f"{name}.{space}.svc.cluster.local": side.lab.address(name, space)}


def wait_for_rollout(side: Side, ins: str = "ic1") -> None:
    rollout = ("rollout", "status", f"deployment/{pgadmin_of(side, ins)}", "--timeout=420s")
    side.lab.kubectl("-n", f"{ins}-local", *rollout)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def front(pair: Pair, playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Wait for the first side's pgAdmin, and put a person with a browser in front of it."""
    side, folder = pair.sides["local1"], tmp_path_factory.mktemp("browser")
    wait_for_rollout(side)
    root = folder / "datacenter.crt"
    root.write_bytes(side.lab.secret(f"{side.cluster}-server")["ca.crt"])
    leader = pair.primary()
    leader.sql("drop table if exists orders", "app_db")
    leader.sql("create table orders as select 7 as id, 'kettle' as article", "app_db")
    with chromium(playwright, folder / "home", hosts(side), root) as browser:
        yield Front(side, browser)


@pytest.fixture(scope="module")
def neighbour(
    pair: Pair, front: Front, playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """Create another client beside this one, with its own pgAdmin and people, and take it away again."""
    side, folder = front.side, tmp_path_factory.mktemp("neighbour")
    side.lab.kubectl("delete", "namespace", stranger.NAMESPACE, "--ignore-not-found", "--wait")
    stranger.add_stranger(pair.pgaas.root)
    try:
        install(pair)
        empty(stranger.BUCKET)
        created = pair.pgaas("create", *stranger.TARGET)
        assert created.returncode == 0, created.stderr
        wait_for_rollout(side, stranger.INS)
        root = folder / "datacenter.crt"
        root.write_bytes(side.lab.secret(f"{stranger.CLUSTER}-server", stranger.NAMESPACE)["ca.crt"])
        with chromium(playwright, folder / "home", hosts(side, stranger.INS), root) as browser:
            yield Front(side, browser, stranger.INS)
    finally:
        options = ("--skip-final-backup", "--confirm", stranger.CLUSTER)
        deleted = pair.pgaas("delete", *stranger.TARGET, *options)
        stranger.remove_stranger(pair.pgaas.root)
        install(pair)
        empty(stranger.BUCKET)
    assert deleted.returncode == 0, deleted.stderr


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def test_a_person_opens_the_shared_server_without_a_prompt_reads_and_does_not_write(front: Front) -> None:
    with front.person() as person:
        assert person.servers() == ["local1", "local2", "primary"]
        person.open_server("primary")
        answer = person.query("app_db", "select id, article from orders")
        picture(person.page, "pgadmin-query")
        assert answer.rows == [["7", "kettle"]]
        refused = person.query("app_db", "delete from orders")
        picture(person.page, "pgadmin-refused")
        assert "permission denied for table orders" in refused.message
        assert "permission denied" in person.query("app_db", "create table public.mine (id int)").message


def test_the_other_side_is_shown_from_here_by_a_name_that_stays_with_it(front: Front, pair: Pair) -> None:
    # The databases of a replica are there as well: its name is all that tells it from the primary.
    sql = "select current_setting('cluster_name'), pg_is_in_recovery()"
    for side in pair.sides.values():
        following = "false" if side.cluster == pair.primary().cluster else "true"
        assert front.ask(side.dc, sql) == [[side.cluster, following]]


def test_the_session_is_pgadmins_own_role_by_its_certificate_over_tls(front: Front) -> None:
    sql = "select current_user, ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()"
    assert front.ask("primary", sql) == [["pgadmin_readonly", "true", "/CN=pgadmin_readonly.ic1.local"]]


@pytest.mark.parametrize(
    ("person", "password"),
    [
        ("ic1", "wrong"),
        # Another client's person, with the right password: the filter finds only this client's.
        ("is1", "is1"),
        ("*", "ic1"),
        ("ic1)(uid=*", "ic1"),
        ("pgadmin-ic1", "pgadmin-ic1"),
        # The account that owns the shared servers, by its right password.
        ("pgadmin@ic1-local.local", "changeme"),
    ],
)
def test_nobody_else_gets_in(front: Front, person: str, password: str) -> None:
    with front.page() as page:
        refusal = try_to_log_in(page, front.url, person, password)
        assert "password" in refusal or "directory" in refusal or "LDAP" in refusal
        page.goto(front.url)
        assert "/login" in page.url


@pytest.mark.long
def test_another_clients_pgadmin_lets_in_that_clients_people_and_shows_its_server_only(
    neighbour: Front, front: Front
) -> None:
    with neighbour.person() as person:
        assert person.everything() == {"is1 local": ["is1 local"]}
    with front.person() as person:
        assert list(person.everything()) == ["ic1 local"]
    # Each with the right password, at the other's door.
    for door, name in ((neighbour, "ic1"), (front, "is1")):
        with door.page() as page:
            refusal = try_to_log_in(page, door.url, name, name)
            assert "password" in refusal or "directory" in refusal or "LDAP" in refusal
            page.goto(door.url)
            assert "/login" in page.url


def test_a_browser_that_does_not_know_the_datacenters_root_goes_no_further(
    front: Front, playwright: Playwright, tmp_path: Path
) -> None:
    with chromium(playwright, tmp_path, hosts(front.side)) as browser:
        page = browser.new_page()
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            page.goto(front.url)


def test_a_copy_that_a_person_has_edited_is_stopped_by_postgresql(front: Front) -> None:
    with front.person() as person:
        person.servers()
        try:
            for role in ("app_user", "postgres", "streaming_replica"):
                reason = person.edit("primary", username=role)
                assert "pg_hba.conf rejects connection" in reason or "certificate authentication" in reason
            assert "not found" in person.edit("primary", username="pgadmin_readonly", service="is1")
        finally:
            assert person.edit("primary", username="pgadmin_readonly", service="primary") == ""


def test_a_renewed_certificate_is_used_by_the_next_connection_without_a_restart(front: Front) -> None:
    secret = f"{front.side.cluster}-client-pgadmin-readonly"
    sql = "select client_serial from pg_stat_ssl where pid = pg_backend_pid()"
    before, pod = serial(front.side.lab.secret(secret)["tls.crt"]), front.pod()
    assert front.ask("primary", sql) == [[str(before)]]
    front.side.lab.kubectl("-n", NAMESPACE, "delete", "secret", secret)

    def renewed() -> int:
        found = front.side.lab.kubectl("-n", NAMESPACE, "get", "secret", secret, check=False)
        now = 0 if found.returncode else serial(front.side.lab.secret(secret)["tls.crt"])
        return 0 if now == before else now

    after = wait_until("a new certificate", renewed)
    mounted = ("exec", pod["metadata"]["name"], "--", "cat", "/pgadmin4/tls/tls.crt")
    wait_until(
        "the new certificate in the pod",
        lambda: serial(front.side.lab.kubectl("-n", NAMESPACE, *mounted).stdout.encode()) == after,
    )
    assert front.ask("primary", sql) == [[str(after)]]
    now = front.pod()
    assert now["metadata"]["uid"] == pod["metadata"]["uid"]
    assert [each["restartCount"] for each in now["status"]["containerStatuses"]] == [0]


def serial(certificate: bytes) -> int:
    return x509.load_pem_x509_certificate(certificate).serial_number


def test_after_a_switchover_the_primary_is_the_other_side_and_the_own_side_is_a_replica(
    front: Front, pair: Pair
) -> None:
    sql = "select current_setting('cluster_name'), pg_is_in_recovery()"
    before = pair.primary()
    target = pair.other(before)
    assert front.ask("primary", sql) == [[before.cluster, "false"]]
    pair.move(target)
    assert front.ask("primary", sql) == [[target.cluster, "false"]]
    own = "false" if target.dc == front.side.dc else "true"
    with front.person() as person:
        person.open_server("local1")
        assert person.query("app_db", sql).rows == [[front.side.cluster, own]]
        picture(person.page, "pgadmin-sides")
