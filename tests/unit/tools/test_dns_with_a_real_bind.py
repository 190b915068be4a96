"""Updates signed with TSIG, reading back, and what each refusal reads like, against BIND 9."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.tools.named import LOCKED, SECRETS, ZONE, Named, running

from pgaas.errors import ToolFailed
from pgaas.tools import dns_read
from pgaas.tools.dns_read import addresses, ask, ask_all, split_server
from pgaas.tools.dns_update import delete_cname, probe, replace_cname

NAME = f"primary.ic1-prod.{ZONE}"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    with running(tmp_path_factory.mktemp("named")) as server:
        yield server


@pytest.fixture(autouse=True)
def clean(named: Named) -> None:
    delete_cname(named.server(), NAME)


def serial(named: Named) -> str:
    return ask(named.address, ZONE, "SOA").values[0].split()[2]


def test_an_alias_is_made_moved_read_back_and_taken_away(named: Named) -> None:
    assert ask(named.address, NAME, "CNAME") == dns_read.Answer(named.address, (), None, True)
    replace_cname(named.server(), NAME, f"target-one.{ZONE}", 60)
    assert ask(named.address, NAME, "CNAME") == dns_read.Answer(
        named.address, (f"target-one.{ZONE}",), 60, True
    )
    assert addresses([named.address], NAME) == ["127.0.0.11"]
    replace_cname(named.server(), NAME, f"target-two.{ZONE}", 30)
    replace_cname(named.server(), NAME, f"target-two.{ZONE}", 30)
    moved = ask(named.address, NAME, "CNAME")
    assert (moved.values, moved.ttl) == ((f"target-two.{ZONE}",), 30)
    assert addresses([named.address], NAME) == ["::1"]
    delete_cname(named.server(), NAME)
    delete_cname(named.server(), NAME)
    assert ask(named.address, NAME, "CNAME").values == ()
    assert addresses([named.address], NAME) == []


def test_what_else_the_name_had_gives_way(named: Named) -> None:
    replace_cname(named.server(), f"held.{ZONE}", f"target-one.{ZONE}", 60)
    assert addresses([named.address], f"held.{ZONE}") == ["127.0.0.11"]


def test_a_check_asks_for_the_right_and_changes_nothing(named: Named) -> None:
    replace_cname(named.server(), NAME, f"target-one.{ZONE}", 60)
    before = serial(named)
    probe(named.server(), NAME)
    assert serial(named) == before
    assert ask(named.address, NAME, "CNAME").values == (f"target-one.{ZONE}",)


REFUSALS = {
    "a key that it does not know": (
        {"key": "unknown", "secret": SECRETS["unknown"]}, NAME, r"does not know the key unknown.*BADKEY",
    ),
    "another algorithm": ({"algorithm": "hmac-sha512"}, NAME, "expects another algorithm than hmac-sha512"),
    "another secret": ({"secret": SECRETS["unknown"]}, NAME, r"with another secret \(BADSIG\)"),
    "a secret that is none": ({"secret": "%"}, NAME, "the secret of the key mover is not base64"),
    "a key without the right": (
        {"key": "stranger", "secret": SECRETS["stranger"]}, NAME,
        rf"it refuses updates of {NAME} with the key stranger \(REFUSED\)",
    ),
    "a zone without updates": ({"zone": LOCKED}, f"a.{LOCKED}", "it refuses updates of a.locked.test"),
    "a zone that it does not have": (
        {"zone": "elsewhere.test"}, "a.elsewhere.test",
        r"does not serve the zone elsewhere.test as its primary server \(NOTAUTH\)",
    ),
    "a zone that it is not the top of": (
        {"zone": f"ic1-prod.{ZONE}"}, NAME, r"does not serve the zone ic1-prod.pg.test",
    ),
    "a name outside of the zone": ({}, f"a.{LOCKED}", r"a.locked.test does not lie in .* \(NOTZONE\)"),
    "a host that is not there": ({"host": "nowhere.invalid"}, NAME, "name nowhere.invalid leads nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_each_refusal_says_what_is_wrong(named: Named, what: str) -> None:
    changed, name, message = REFUSALS[what]
    server = named.server(**changed)
    for act in (probe, lambda *given: replace_cname(*given, f"target-one.{ZONE}", 60)):
        with pytest.raises(ToolFailed, match=message) as caught:
            act(server, name)
        assert caught.value.next_step
        assert server.zone in caught.value.where
        assert server.secret not in f"{caught.value.what}{caught.value.where}{caught.value.next_step}{server}"
    assert ask(named.address, NAME, "CNAME").values == ()


def test_clocks_that_differ_are_named(named: Named, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    with pytest.raises(ToolFailed, match=r"too far apart \(BADTIME\)") as caught:
        probe(named.server(), NAME)
    assert "NTP" in caught.value.next_step


def test_a_server_that_is_stopped_says_so_and_takes_updates_again_later(tmp_path: Path) -> None:
    with running(tmp_path / "named") as named:
        named.stop()
        with pytest.raises(ToolFailed, match="cannot be reached: Connection refused"):
            replace_cname(named.server(), NAME, f"target-one.{ZONE}", 60)
        answer = ask(named.address, NAME, "CNAME", timeout=0.2)
        assert answer.error == "cannot be reached: connection refused"
        assert (answer.server, answer.values) == (named.address, ())
        named.start()
        replace_cname(named.server(), NAME, f"target-one.{ZONE}", 60)
        silent = ask_all([named.address, "127.0.0.1:1"], NAME, "CNAME")
        assert [each.values for each in silent] == [(f"target-one.{ZONE}",), ()]
        assert silent[1].error
        assert addresses(["127.0.0.1:1", named.address], NAME) == ["127.0.0.11"]


def test_a_server_that_hangs_is_given_up() -> None:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind(("127.0.0.1", 0))
        stream.listen()
        port = stream.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        with pytest.raises(ToolFailed, match=r"it did not answer within 0\.2 s"):
            probe(Named(Path(), port).server(timeout=0.2), NAME)
        assert ask(f"127.0.0.1:{port}", NAME, "A", timeout=0.1).error == "did not answer within 0.1 s"


def test_an_answer_without_a_signature_is_not_believed() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                length = int.from_bytes(connection.recv(2))
                identifier = connection.recv(length)[:2]
                # A response to an update, without an error, without a record.
                response = identifier + b"\xa8\x00" + bytes(8)
                connection.sendall(len(response).to_bytes(2) + response)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ToolFailed, match="makes no sense: response requires a TSIG"):
            probe(Named(Path(), listener.getsockname()[1]).server(timeout=5.0), NAME)
        thread.join()


def test_a_record_that_somebody_else_makes_meanwhile_is_noticed(
    named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dns_read.Answer(named.address, ("elsewhere.test",), 60)
    monkeypatch.setattr("pgaas.tools.dns_update.ask", lambda *_, **__: other)
    with pytest.raises(ToolFailed, match=r"took the update, and answers elsewhere\.test"):
        replace_cname(named.server(), NAME, f"target-one.{ZONE}", 60)


def test_what_a_server_will_not_answer_is_told(named: Named) -> None:
    answer = ask(named.address, "primary.example.com", "CNAME")
    assert answer.error == "refuses to answer for this name (REFUSED)"


def test_an_alias_that_leads_out_of_the_server_is_looked_up_here(named: Named) -> None:
    assert "127.0.0.1" in addresses([named.address], f"outside.{ZONE}")
    assert addresses([named.address], f"loop.{ZONE}") == []


def test_this_machines_own_servers_are_asked_in_turn(named: Named, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_read, "_system_servers", lambda: ["127.0.0.1:1", named.address])
    assert ask(dns_read.SYSTEM, f"ns1.{ZONE}", "A").values == ("127.0.0.1",)
    monkeypatch.setattr(dns_read, "_system_servers", list)
    answer = ask(dns_read.SYSTEM, f"ns1.{ZONE}", "A")
    assert answer.error == "this machine has no DNS server (/etc/resolv.conf)"
    assert answer.server


def test_servers_are_written_with_and_without_a_port() -> None:
    found = [split_server(text) for text in ("192.0.2.1", "192.0.2.1:54", "2001:db8::1", "[::1]:54", "[::1]")]
    assert found == [("192.0.2.1", 53), ("192.0.2.1", 54), ("2001:db8::1", 53), ("::1", 54), ("::1", 53)]


def test_secrets_do_not_show_in_a_servers_text(named: Named) -> None:
    assert base64.b64encode(b"mover" * 8).decode() not in repr(named.server())
