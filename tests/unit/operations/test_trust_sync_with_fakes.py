"""Trust while a cluster is created, and what `trust show` and `trust sync` do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kube.fakes import failure, fake_api, path_of, use_kubeconfig
from tests.unit.operations.pairs import HERE, SPACE, THERE, Pair, make_pair, replicate
from tests.unit.operations.worlds import TARGET, World

from pgaas.errors import KubernetesError, UsageError
from pgaas.kube.resources import SECRET
from pgaas.kube.snapshot import Snapshot
from pgaas.operations import subject, trust_sync
from pgaas.operations.create import Choices, create
from pgaas.operations.progress import Silent
from pgaas.operations.trust_sync import Background, TrustBundles, show_trust, sync_trust

SYNC = "pgaas trust sync --ins ic1 --env local"
BUNDLE = path_of(SECRET, SPACE, "local-ic1-local1-client-ca-bundle")
LOOK = Snapshot("local-ic1-local1", SPACE, None, [], [], [], [])


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    use_kubeconfig(tmp_path, monkeypatch)
    made = make_pair(tmp_path / "pair")
    contexts = {"cluster1": HERE, "cluster2": THERE}
    monkeypatch.setattr(subject, "api_for", lambda context: opened(made.apis[contexts[context]]))
    return made


def opened(api: Any) -> Any:
    if isinstance(api, str):
        raise KubernetesError(api)
    return api


@pytest.fixture
def notes() -> Notes:
    return Notes()


def bundles(pair: Pair, notes: Notes, dc: str = HERE) -> TrustBundles:
    return TrustBundles(pair.subjects[dc], pair.api(dc), notes)


def settled(pair: Pair, notes: Notes, dc: str = HERE) -> TrustBundles:
    hook = bundles(pair, notes, dc)
    hook.settle(sleep=lambda _: None)
    return hook


def test_nothing_is_written_before_the_own_ca_is_there(pair: Pair, notes: Notes) -> None:
    pair.make(THERE)
    hook = bundles(pair, notes)
    hook(LOOK)
    assert (pair.writes(HERE), pair.writes(THERE), notes.notes) == ([], [], [])
    pair.make(HERE)
    hook(LOOK)
    assert pair.own(HERE) in pair.client_bundle(HERE)


def test_the_first_side_of_a_pair_gets_its_bundle_and_no_word_about_the_other(
    pair: Pair, notes: Notes
) -> None:
    pair.make(HERE)
    settled(pair, notes)
    assert pair.client_bundle(HERE) == pair.own(HERE)
    assert pair.server_bundle(HERE) == pair.own(HERE, "server")
    assert (pair.writes(THERE), notes.notes) == ([], [])


def test_the_second_side_makes_both_trust_both(pair: Pair, notes: Notes) -> None:
    pair.make(HERE)
    settled(pair, notes)
    pair.make(THERE)
    settled(pair, notes, THERE)
    for dc, other in ((HERE, THERE), (THERE, HERE)):
        assert pair.client_bundle(dc) == pair.own(dc) + pair.own(other)
    assert pair.server_bundle(HERE) == pair.server_bundle(THERE)
    assert notes.notes == ["local1 lets in what local2 signs from now on"]


def test_two_sides_that_are_created_at_once_end_trusting_each_other(pair: Pair, notes: Notes) -> None:
    first, second = bundles(pair, notes, HERE), bundles(pair, notes, THERE)
    for hook in (first, second):
        assert hook._far.result(5.0) is not None
    pair.make(HERE)
    pair.make(THERE)
    first.settle(sleep=lambda _: None)
    second.settle(sleep=lambda _: None)
    for dc, other in ((HERE, THERE), (THERE, HERE)):
        assert pair.client_bundle(dc) == pair.own(dc) + pair.own(other)


def test_a_finished_hook_asks_nothing_more(pair: Pair, notes: Notes) -> None:
    pair.make(HERE)
    hook = settled(pair, notes)
    pair.servers[HERE].asked.clear()
    hook(LOOK)
    hook.settle()
    assert pair.servers[HERE].asked == []


def test_a_side_that_is_down_is_told_once_with_what_mends_it(pair: Pair, notes: Notes) -> None:
    pair.make(HERE)
    pair.apis[THERE] = "local2 is down"
    hook = settled(pair, notes)
    hook(LOOK)
    (note,) = notes.notes
    assert note.startswith("local2 could not be asked whom it trusts (local2 is down)")
    assert note.endswith(SYNC)
    assert pair.client_bundle(HERE) == pair.own(HERE)


@pytest.fixture
def hanging(pair: Pair) -> Iterator[Callable[[], None]]:
    """Let the other side's API server answer only once it is told to."""
    free = threading.Event()
    server = pair.servers[THERE]
    path = path_of(SECRET, SPACE, "local-ic1-local2-client-ca")

    def answer(request: Any) -> Any:
        free.wait(30)
        del server.answers[f"GET {path}"]
        return server(request)

    pair.make(THERE)
    server.answers[f"GET {path}"] = answer
    yield free.set
    free.set()


def test_a_side_that_hangs_delays_neither_the_own_bundle_nor_the_end(
    pair: Pair, notes: Notes, hanging: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust_sync, "FAR_SECONDS", 0.01)
    pair.make(HERE)
    hook = bundles(pair, notes)
    hook(LOOK)
    assert pair.client_bundle(HERE) == pair.own(HERE)
    assert pair.server_bundle(HERE) == pair.own(HERE, "server")
    hook.settle()
    assert notes.notes == [f"another datacenter did not answer in time; once it does: {SYNC}"]


def test_a_side_that_answers_late_is_trusted_then(
    pair: Pair, notes: Notes, hanging: Callable[[], None]
) -> None:
    pair.make(HERE)
    hook = bundles(pair, notes)
    hook(LOOK)
    assert pair.client_bundle(HERE) == pair.own(HERE)
    hanging()
    hook.settle()
    assert pair.client_bundle(HERE) == pair.own(HERE) + pair.own(THERE)
    assert pair.client_bundle(THERE) == pair.own(THERE) + pair.own(HERE)


def test_it_takes_no_trust_away_and_says_what_does(pair: Pair, notes: Notes) -> None:
    for dc in (HERE, THERE):
        pair.make(dc)
        settled(pair, notes, dc)
    former = pair.own(THERE)
    pair.make(THERE)
    notes.notes.clear()
    settled(pair, notes, THERE)
    assert pair.client_bundle(HERE) == pair.own(HERE) + pair.own(THERE) + former
    assert notes.notes == [
        "local1 lets in what local2 signs from now on",
        f"local1 still trusts a CA that no datacenter has any more: {SYNC} ends that",
        f"local2 still trusts a CA that no datacenter has any more: {SYNC} ends that",
    ]
    synced = sync_trust(pair.root, "ic1", "local")
    assert [len(each.removed) for each in synced.written] == [1, 1]
    assert not any(state.stale for state in synced.states.values())
    assert former not in pair.client_bundle(HERE) + pair.client_bundle(THERE)


def test_a_bundle_that_cannot_be_written_is_told_once_and_tried_again(pair: Pair, notes: Notes) -> None:
    pair.make(HERE)
    pair.servers[HERE].answers[f"PATCH {BUNDLE}"] = failure(403, "Forbidden", "may not patch")
    hook = bundles(pair, notes)
    hook._look(5.0)
    hook._look(5.0)
    assert hook._meeting is None
    (note,) = notes.notes
    assert "local-ic1-local1-client-ca-bundle of local1 could not be written: not allowed" in note
    del pair.servers[HERE].answers[f"PATCH {BUNDLE}"]
    hook(LOOK)
    assert pair.client_bundle(HERE) == pair.own(HERE)


def test_an_own_side_that_cannot_be_read_is_told_once_and_never_raises(pair: Pair, notes: Notes) -> None:
    pair.make(HERE)
    path = path_of(SECRET, SPACE, "local-ic1-local1-client-ca")
    pair.servers[HERE].answers[f"GET {path}"] = failure(403, "Forbidden", "may not get")
    hook = bundles(pair, notes)
    hook(LOOK)
    hook(LOOK)
    (note,) = notes.notes
    assert note.startswith("the bundle of client CAs cannot be looked at: not allowed")


def test_a_ca_that_does_not_come_ends_with_what_to_run(pair: Pair, notes: Notes) -> None:
    ticks = iter(range(0, 10_000, 30))
    bundles(pair, notes).settle(clock=lambda: float(next(ticks)), sleep=lambda _: None)
    assert notes.notes == [f"local-ic1-local1 waits for its bundle of client CAs: {SYNC} writes it"]


def test_it_goes_on_until_the_servers_certificate_is_there_too(pair: Pair, notes: Notes) -> None:
    pair.make(HERE)
    root = pair.own(HERE, "server")
    pair.remove(HERE, "server")
    hook = bundles(pair, notes)
    hook._look(5.0)
    assert hook._meeting is None
    assert pair.client_bundle(HERE) == pair.own(HERE)
    pair.secret(HERE, "server", root)
    hook.settle()
    assert pair.server_bundle(HERE) == root


def test_what_another_side_gains_of_its_own_is_not_told_as_this_ones(pair: Pair, notes: Notes) -> None:
    for dc in (HERE, THERE):
        pair.make(dc)
        settled(pair, notes, dc)
    notes.notes.clear()
    pair.make(THERE, leaf=False)
    settled(pair, notes)
    assert pair.own(THERE) in pair.client_bundle(THERE)
    assert notes.notes == []


def test_work_in_the_background_hands_its_errors_over() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Background(fail).result(5.0)


@pytest.mark.parametrize("wait", [True, False])
def test_create_builds_trust_for_a_client_that_replicates(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch, notes: Notes, wait: bool
) -> None:
    trusting_world(world, pair, monkeypatch)
    done = create(world.root, TARGET, Choices(wait=wait, timeout=5.0), notes)
    assert (done.health is not None) is wait
    assert pair.client_bundle(HERE) == pair.own(HERE) + pair.own(THERE)
    assert pair.client_bundle(THERE) == pair.own(THERE) + pair.own(HERE)
    assert "local2 lets in what local1 signs from now on" in notes.notes


@pytest.mark.parametrize("replicating", [True, False])
def test_create_builds_none_in_a_dry_run_or_for_one_datacenter(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch, notes: Notes, replicating: bool
) -> None:
    trusting_world(world, pair, monkeypatch)
    replicate(world.root, enabled=replicating)
    create(world.root, TARGET, Choices(dry_run=replicating, timeout=5.0), notes)
    assert pair.client_bundle(HERE) == pair.client_bundle(THERE) == ""


def trusting_world(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the world be local1 of the pair, whose CAs cert-manager makes at once."""
    replicate(world.root)
    pair.servers[HERE] = world.server
    own, other = fake_api(world.server), pair.apis[THERE]
    monkeypatch.setattr(subject, "api_for", lambda context: other if context == "cluster2" else own)
    for dc in (HERE, THERE):
        pair.make(dc)


def test_show_and_sync(pair: Pair) -> None:
    for dc in (HERE, THERE):
        pair.make(dc)
    assert [state.stale for state in show_trust(pair.root, "ic1", "local").values()] == [True, True]
    assert pair.writes(HERE) == []
    synced = sync_trust(pair.root, "ic1", "local")
    assert len(synced.written) == 4
    assert [state.stale for state in synced.states.values()] == [False, False]
    assert sync_trust(pair.root, "ic1", "local").written == ()


def test_show_and_sync_with_a_side_that_is_down(pair: Pair) -> None:
    pair.make(HERE)
    pair.apis[THERE] = "the kubeconfig has no context"
    assert show_trust(pair.root, "ic1", "local")[THERE].error == "the kubeconfig has no context"
    synced = sync_trust(pair.root, "ic1", "local")
    assert {each.datacenter for each in synced.written} == {HERE}
    assert synced.states[THERE].error


def test_a_client_that_does_not_replicate_has_no_bundles(pair: Pair) -> None:
    replicate(pair.root, enabled=False)
    for operation in (show_trust, sync_trust):
        with pytest.raises(UsageError, match="does not replicate"):
            operation(pair.root, "ic1", "local")
