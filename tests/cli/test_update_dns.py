"""`pgaas update-dns` against a real BIND, and with a program; the datacenters cannot be reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.support import Ran, fake_tool
from tests.unit.tools.named import SECRETS, Named, running

from pgaas.tools.dns_read import ask
from pgaas.tools.dns_update import delete_cname

NAME = "primary.ic1-prod.pg.test"
FILE = "confs/admin/prod/datacenters.yaml"
ASKED = ("update-dns", "--ins", "ic1", "--env", "prod")
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    with running(tmp_path_factory.mktemp("named")) as server:
        yield server


@pytest.fixture
def prod(root: Path, named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let prod use this BIND for both of its datacenters."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("PGAAS_TSIG_SECRET", SECRETS["mover"])
    edit(
        root,
        ("zone: example.com", "zone: pg.test"),
        ("server: ns1.example.com", "server: 127.0.0.1"),
        ("port: 53", f"port: {named.port}"),
        ("tsigName: pgaas.example.com", "tsigName: mover"),
        ("roPrefix: ro-dc1", f"roPrefix: ro-dc1\n      resolver: {named.address}"),
        ("roPrefix: ro-dc2", f"roPrefix: ro-dc2\n      resolver: {named.address}"),
    )
    delete_cname(named.server(), NAME)
    return root


def edit(root: Path, *changes: tuple[str, str]) -> None:
    text = (root / FILE).read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (root / FILE).write_text(text)


def report(ran: Ran) -> dict[str, object]:
    found = json.loads(ran.out)
    assert isinstance(found, dict)
    return found


def test_the_alias_is_shown_moved_and_shown_again(prod: Path, named: Named, pgaas: Run) -> None:
    before = report(pgaas(*ASKED, "-o", "json"))
    assert (before["name"], before["points_to"], before["values"], before["writable"]) == (NAME, "", [], None)
    assert before["roles"] == {"dc1": "unreachable", "dc2": "unreachable"}
    for dc in ("dc2", "dc1", "dc2"):
        moved = pgaas(*ASKED, "--to", dc, "--force", "-o", "json")
        assert moved.code == 0, moved.err
        seen = report(moved)
        assert (seen["points_to"], seen["changed"], seen["ttl"], seen["drift"]) == (dc, True, 60, "")
        assert ask(named.address, NAME, "CNAME").values == (f"prod-ic1-{dc}-rw.ic1-prod.{dc}.example.com",)
    shown = pgaas(*ASKED)
    assert shown.code == 0
    assert "CNAME prod-ic1-dc2-rw.ic1-prod.dc2.example.com" in shown.out
    assert "rfc2136" in shown.out
    assert SECRETS["mover"] not in shown.out + shown.err


def test_a_side_that_is_not_known_to_be_the_primary_is_refused(prod: Path, pgaas: Run) -> None:
    ran = pgaas(*ASKED, "--to", "dc1")
    assert ran.code == 8
    assert "dc1 is not the primary" in ran.err
    assert "no primary can be seen" in ran.err
    assert "next: make it the primary first, or --force" in ran.err
    unknown = pgaas(*ASKED, "--to", "dc9")
    assert unknown.code == 2
    assert "name one of: dc1, dc2" in unknown.err


def test_a_check_says_whether_a_move_would_be_taken(
    prod: Path, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = pgaas(*ASKED, "--check", "-o", "json")
    assert good.code == 0
    assert report(good)["writable"] is True
    monkeypatch.setenv("PGAAS_TSIG_SECRET", SECRETS["unknown"])
    bad = pgaas(*ASKED, "--check", "-o", "json")
    assert bad.code == 5
    assert report(bad)["writable"] is False
    assert "knows the key mover, but with another secret (BADSIG)" in bad.err
    monkeypatch.delenv("PGAAS_TSIG_SECRET")
    none = pgaas(*ASKED, "--to", "dc1", "--force")
    assert none.code == 5
    assert "there is no TSIG secret" in none.err
    assert "environment variable PGAAS_TSIG_SECRET" in none.err


def test_the_secret_may_be_in_a_file(prod: Path, tmp_path: Path, pgaas: Run) -> None:
    edit(prod, ("environment: PGAAS_TSIG_SECRET", f"file: {tmp_path}/key"))
    missing = pgaas(*ASKED, "--check")
    assert missing.code == 5
    assert f"No such file or directory ({tmp_path}/key)" in missing.err
    (tmp_path / "key").write_text(f"{SECRETS['mover']}\n")
    assert pgaas(*ASKED, "--check").code == 0


def test_dns_that_does_not_follow_is_noticed(prod: Path, pgaas: Run) -> None:
    fake_tool(prod / "bin", "move", "exit 0")
    use_program(prod)
    ran = pgaas(*ASKED, "--to", "dc1", "--force", "--timeout", "1s")
    assert ran.code == 7
    assert f"{NAME} does not lead to dc1 after 1 s" in ran.err


def test_a_program_moves_it(prod: Path, pgaas: Run) -> None:
    fake_tool(prod / "bin", "move", 'echo "$@" >> calls; echo no such zone >&2; [ "$1" = check ]')
    use_program(prod)
    assert pgaas(*ASKED, "--check").code == 0
    ran = pgaas(*ASKED, "--to", "dc1", "--force")
    assert ran.code == 5
    assert "(exit code 1): no such zone" in ran.err
    assert (prod / "calls").read_text().splitlines() == [
        f"check {NAME} CNAME  60",
        f"set {NAME} CNAME prod-ic1-dc1-rw.ic1-prod.dc1.example.com 60",
    ]


def use_program(root: Path) -> None:
    text = (root / FILE).read_text()
    start, end = text.index("  provider: rfc2136"), text.index("datacenters:\n")
    settings = "  provider: hook\n  hook: {program: bin/move}\n\n"
    (root / FILE).write_text(text[:start] + settings + text[end:])
