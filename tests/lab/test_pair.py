"""Two datacenters: create both, trust both, move the primary back and forth under a writing client."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from tests.lab.pair import BUCKET, CLUSTERS, Pair, Side, begins, clean, ends, running
from tests.lab.support import LONG, keys, storage, wait_until
from tests.lab.writer import Login, connect, execute

SWITCHOVERS = 10 if LONG else 2


@pytest.fixture(scope="module")
def nothing(sides: Pair) -> Pair:
    """Begin with empty datacenters."""
    clean(sides)
    return sides


@pytest.fixture(scope="module")
def first(nothing: Pair) -> Pair:
    """Create the first side."""
    done = nothing.pgaas("create", *nothing.sides["local1"].target)
    assert done.returncode == 0, done.stderr
    return nothing


@pytest.fixture(scope="module")
def pair(first: Pair) -> Pair:
    """Create the second side, and give the primary its name."""
    done = first.pgaas("create", *first.sides["local2"].target)
    assert done.returncode == 0, done.stderr
    named = first.pgaas("update-dns", *first.CLIENT, "--to", "local1")
    assert named.returncode == 0, named.stderr
    return first


@contextmanager
def hidden(prefix: str) -> Iterator[None]:
    """Take what lies below a prefix out of the bucket, and put it back."""
    client = storage()
    held = {
        key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(BUCKET) if prefix in key
    }
    assert held
    for key in held:
        client.delete_object(Bucket=BUCKET, Key=key)
    try:
        yield
    finally:
        for key, body in held.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=body)


def test_a_replica_is_refused_while_there_is_no_archive_to_begin_with(nothing: Pair) -> None:
    second = nothing.sides["local2"]
    refused = nothing.pgaas("create", *second.target)
    assert refused.returncode == 9, refused.stderr
    assert "there is no archive" in refused.stderr
    assert "pgaas create --ins ic1 --env local --dc local1" in refused.stderr
    assert not second.exists()


def test_a_replica_is_refused_while_there_is_no_base_backup(first: Pair) -> None:
    second = first.sides["local2"]
    with hidden("/base/"):
        refused = first.pgaas("create", *second.target)
    assert refused.returncode == 9, refused.stderr
    assert "no completed base backup" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not second.exists()


def test_both_sides_have_all_that_a_primary_needs(pair: Pair) -> None:
    specs = [side.live()["spec"] for side in pair.sides.values()]
    assert specs[0]["managed"]["roles"] == specs[1]["managed"]["roles"]
    assert specs[0]["externalClusters"] == specs[1]["externalClusters"]
    assert {spec["replica"]["primary"] for spec in specs} == {"local-ic1-local1"}
    for side in pair.sides.values():
        databases = {
            item["spec"]["name"]: item["spec"]["owner"]
            for item in side.lab.items("databases.postgresql.cnpg.io")
        }
        assert databases == {"app_db": "app_user", "reporting_db": "report_user"}
        [schedule] = side.lab.items("scheduledbackups.postgresql.cnpg.io")
        assert schedule["spec"]["method"] == "plugin"
        roles = side.sql("select rolname from pg_roles where rolcanlogin and rolname like '%user%'")
        assert {"app_user", "report_user"} <= set(roles.split())


def test_status_is_healthy_and_knows_the_roles(pair: Pair) -> None:
    seen = pair.status()
    assert seen["problems"] == []
    assert {side["datacenter"]: side["role"] for side in seen["sides"]} == {
        "local1": "primary",
        "local2": "replica",
    }
    assert seen["dns"]["points_to"] == "local1"
    assert seen["confs"]["agree"] is True


def held_by(pair: Pair) -> dict[str, Login]:
    """Return the certificate of an application as each side has issued it."""
    return {dc: pair.login(side) for dc, side in pair.sides.items()}


def lets_in(login: Login, side: Side) -> bool:
    """Say whether a side is what it says, and takes this certificate; whether it recovers does not matter."""
    connection = connect(login.conninfo(side.address()), patience=10)
    try:
        [(user, name)] = execute(connection, "select current_user, current_setting('cluster_name')")
    finally:
        connection.finish()
    return (user, name) == ("app_user", side.cluster)


def test_either_sides_certificate_opens_both_before_and_after_a_move(pair: Pair) -> None:
    held = held_by(pair)
    # Nobody archives a segment that is not full before its time is up.
    pair.primary().sql("select pg_switch_wal()")
    known = "select count(*) from pg_database where datname = 'app_db'"
    wait_until("the replica to have app_db", lambda: pair.other(pair.primary()).sql(known) == "1")
    assert pair.pgaas("trust", "show", *pair.CLIENT).returncode == 0
    assert all(lets_in(login, side) for login in held.values() for side in pair.sides.values())
    pair.move(pair.other(pair.primary()))
    assert all(lets_in(login, side) for login in held.values() for side in pair.sides.values())


def test_trust_that_was_lost_is_seen_and_mended(pair: Pair) -> None:
    first, second = pair.sides.values()
    own = second.lab.secret(f"{second.cluster}-client-ca")["tls.crt"]
    bundle = f"{second.cluster}-client-ca-bundle"
    patch = {"data": {"ca.crt": base64.b64encode(own).decode()}}
    second.lab.kubectl("-n", "ic1-local", "patch", "secret", bundle, "-p", json.dumps(patch))
    shown = pair.pgaas("trust", "show", *pair.CLIENT)
    assert shown.returncode == 9, shown.stderr
    assert pair.status()["healthy"] is False
    refused = pair.pgaas("switchover", *pair.CLIENT, "--to", pair.other(pair.primary()).dc)
    assert refused.returncode == 9, refused.stderr
    assert "trust sync" in refused.stderr

    mended = pair.pgaas("trust", "sync", *pair.CLIENT)
    assert mended.returncode == 0, mended.stderr
    assert pair.pgaas("trust", "show", *pair.CLIENT).returncode == 0
    held = second.lab.secret(bundle)["ca.crt"]
    assert first.lab.secret(f"{first.cluster}-client-ca")["tls.crt"].strip() in held


def test_a_dry_run_changes_nothing(pair: Pair) -> None:
    before = pair.generations()
    shown = pair.pgaas("switchover", *pair.CLIENT, "--to", pair.other(pair.primary()).dc, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "demote" in shown.stdout
    assert pair.generations() == before


def test_switchovers_back_and_forth_lose_and_double_nothing(pair: Pair) -> None:
    outages = []
    with pair.witness() as witness, pair.writer() as writer:
        for number in range(1, SWITCHOVERS + 1):
            to = pair.other(pair.primary())
            before = max(writer.acknowledged.values())
            done = pair.move(to, "-o", "json")
            told = json.loads(done.stdout)
            moved = time.monotonic()
            wait_until("the next row", partial(writer.written_after, moved), timeout=30)
            outages.append(writer.gap(since=before))
            print(
                f"switchover {number} to {to.dc}: {outages[-1]:.1f} s between two writes,"
                f" {told['outage_seconds']} s told, {told['seconds']} s in all"
            )
            assert told["written"] is True
            assert pair.primary() == to
            assert pair.confs_primary() == to.dc
            seen = pair.status()
            assert seen["problems"] == []
            assert all(item["status"]["applied"] for item in to.lab.items("databases.postgresql.cnpg.io"))
            for side in pair.sides.values():
                assert owners(side) == {"helm"}
    assert witness.overlaps() == []
    verdict = pair.verdict(writer)
    print(f"{len(writer.acknowledged)} rows acknowledged, {len(writer.failed)} writes failed")
    assert verdict.lost == []
    assert verdict.doubled == []


def owners(side: Side) -> set[str]:
    """Return who owns the field by which the primary moves."""
    listing = side.lab.kubectl(
        "-n", "ic1-local", "get", CLUSTERS, side.cluster, "-o", "json", "--show-managed-fields"
    )
    return {
        entry["manager"]
        for entry in json.loads(listing.stdout)["metadata"]["managedFields"]
        if "f:primary" in entry["fieldsV1"].get("f:spec", {}).get("f:replica", {})
    }


def test_a_second_run_has_nothing_to_do(pair: Pair) -> None:
    before = pair.generations()
    again = pair.move(pair.primary())
    assert "demote" not in again.stdout
    assert pair.generations() == before


@pytest.mark.parametrize("verb", ["create", "upgrade"])
@pytest.mark.parametrize("dc", ["local1", "local2"])
def test_confs_of_before_a_move_are_refused(pair: Pair, verb: str, dc: str) -> None:
    now = pair.clients_file.read_text()
    primary = pair.primary().dc
    other = pair.other(pair.primary()).dc
    before = pair.generations()
    pair.clients_file.write_text(now.replace(f"primaryDatacenter: {primary}", f"primaryDatacenter: {other}"))
    try:
        refused = pair.pgaas(verb, *pair.sides[dc].target)
        moving = pair.pgaas("switchover", *pair.CLIENT, "--to", other)
        seen = pair.status()
    finally:
        pair.clients_file.write_text(now)
    assert refused.returncode == 8, refused.stderr
    assert "primaryDatacenter" in refused.stderr
    assert moving.returncode == 8, moving.stderr
    assert seen["confs"]["agree"] is False
    assert pair.generations() == before


def test_a_name_is_not_pointed_to_a_replica(pair: Pair) -> None:
    before = pair.generations()
    refused = pair.pgaas("update-dns", *pair.CLIENT, "--to", pair.other(pair.primary()).dc)
    assert refused.returncode == 8, refused.stderr
    assert pair.generations() == before


def test_one_of_two_operators_is_sent_away_and_so_is_an_apply(pair: Pair) -> None:
    to = pair.other(pair.primary())
    with running(pair.pgaas, "switchover", *pair.CLIENT, "--to", to.dc) as run:
        assert run.wait_for(begins("demote")), run.said
        second = pair.pgaas("switchover", *pair.CLIENT, "--to", to.dc)
        applied = pair.pgaas("create", *to.target)
        # A look is no act: it is not sent away, and says who is at work.
        seen = pair.status()
        assert run.end() == 0, run.said
    for refused in (second, applied):
        assert refused.returncode == 8, refused.stderr
        assert "another command is at work" in refused.stderr
    assert {each["verb"] for each in seen["working"]} == {"switchover"}
    assert pair.primary() == to
    assert pair.status()["problems"] == []


def forged(token: str, **changes: object) -> str:
    """Return a token that says something else."""
    content = json.loads(base64.b64decode(token))
    assert changes.keys() <= content.keys()
    return base64.b64encode(json.dumps(content | changes).encode()).decode()


def test_demote_and_promote_by_hand_and_no_token_but_the_right_one(pair: Pair) -> None:
    old = pair.primary()
    new = pair.other(old)
    demote = ("demote", *old.target, "--new-primary", new.cluster)

    early = pair.pgaas("promote", *new.target, "--confirm", new.cluster)
    assert early.returncode == 8, early.stderr
    wrong_side = pair.pgaas("demote", *new.target, "--new-primary", old.cluster)
    assert wrong_side.returncode == 8, wrong_side.stderr

    with pair.witness(), pair.writer() as writer:
        demoted = pair.pgaas(*demote)
        assert demoted.returncode == 0, demoted.stderr
        [token] = demoted.stdout.splitlines()
        assert token not in demoted.stderr
        again = pair.pgaas(*demote)
        assert (again.returncode, again.stdout) == (0, demoted.stdout), again.stderr

        for wrong in (
            "not-a-token",
            token[:-20],
            forged(token, databaseSystemIdentifier="7000000000000000001"),
            forged(token, latestCheckpointREDOLocation="0/1000000"),
            forged(token, latestCheckpointTimelineID="0"),
        ):
            refused = pair.pgaas("promote", *new.target, "--demotion-token", wrong)
            assert refused.returncode == 8, refused.stderr
            assert "next:" in refused.stderr
        seen = pair.status()
        assert (seen["healthy"], seen["primary"]) == (False, "")

        promoted = pair.pgaas("promote", *new.target, "--demotion-token", "-", stdin=token)
        assert promoted.returncode == 0, promoted.stderr
        assert token not in promoted.stderr + promoted.stdout
        before = pair.generations()
        twice = pair.pgaas("promote", *new.target, "--demotion-token", token)
        assert twice.returncode == 0, twice.stderr
        assert pair.generations() == before
        late = pair.pgaas(*demote)
        assert late.returncode == 8, late.stderr

        # Back again: the first token is of a time that is over.
        second = pair.pgaas("demote", *new.target, "--new-primary", old.dc)
        assert second.returncode == 0, second.stderr
        stale = pair.pgaas("promote", *old.target, "--demotion-token", token)
        assert stale.returncode == 8, stale.stderr
        # Without one, it finds the right one where it is: that is no loss, and asks for no confirmation.
        home = pair.pgaas("promote", *old.target)
        assert home.returncode == 0, home.stderr
    assert pair.primary() == old
    assert pair.confs_primary() == old.dc
    assert pair.status()["problems"] == []
    verdict = pair.verdict(writer)
    assert (verdict.lost, verdict.doubled) == ([], [])


def test_a_move_goes_on_from_another_terminal_that_knows_only_what_is_live(pair: Pair) -> None:
    old = pair.primary()
    new = pair.other(old)
    demoted = pair.pgaas("demote", *old.target, "--new-primary", new.dc)
    assert demoted.returncode == 0, demoted.stderr
    with running(pair.pgaas, "switchover", *pair.CLIENT, "--to", new.dc) as run:
        assert run.wait_for(ends("promote")), run.said
        assert run.end() == 0, run.said
    assert pair.primary() == new
    assert pair.status()["problems"] == []


def test_what_can_never_be_is_said_with_its_own_code(pair: Pair) -> None:
    codes = {
        ("switchover", *pair.CLIENT, "--to", "elsewhere"): 2,
        ("demote", *pair.primary().target, "--new-primary", pair.primary().dc): 2,
        ("rebuild", *pair.other(pair.primary()).target, "--confirm", pair.other(pair.primary()).cluster): 8,
        ("rebuild", *pair.primary().target, "--confirm", pair.primary().cluster): 8,
        ("fence", *pair.primary().target): 8,
    }
    before = pair.generations()
    said = {words: pair.pgaas(*words) for words in codes}
    assert {words: done.returncode for words, done in said.items()} == codes
    assert all("next:" in done.stderr and "Traceback" not in done.stderr for done in said.values())
    assert pair.generations() == before
