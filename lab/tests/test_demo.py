from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pgaas_lab import demo, demo_root, paths
from pgaas_lab.errors import ToolFailed
from pgaas_lab.steps import Steps

INSTALL = "infra install"
CREATE_FIRST = "create --ins ic1 --env local --dc local1"
CREATE_SECOND = "create --ins ic1 --env local --dc local2"
STATUS = "status --ins ic1 --env local"
SWITCHOVER = "switchover --ins ic1 --env local --to"
CHECKOUT = paths.REPOSITORY / "confs" / demo_root.CLIENTS


class World:
    """The client's clusters: what pgaas was told, and which cluster each calls the primary."""

    def __init__(self) -> None:
        self.named: dict[str, str] = {}
        self.said: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.refuses = ""

    def pgaas(self, console: Console, root: Path, *words: str) -> None:
        text = " ".join(words)
        self.said.append(text)
        if self.refuses and self.refuses in text:
            raise ToolFailed(text)
        primary = f"local-ic1-{demo_root.primary(root)}"
        if words[0] == "create":
            self.named[words[words.index("--dc") + 1]] = primary
        if words[0] == "switchover":
            self.named = dict.fromkeys(self.named, f"local-ic1-{words[-1]}")
            demo_root.write_primary(root, words[-1])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    world = World()

    def ask(name: str, address: str, client: Any, roots: Any) -> tuple[str, ...]:
        world.asked.append((name, address))
        return ("app_user",) * len(demo.TITLES)

    monkeypatch.setattr(demo, "pgaas", world.pgaas)
    monkeypatch.setattr(demo.infra, "remember", lambda _: None)
    monkeypatch.setattr(demo, "primaries", lambda: dict(world.named))
    monkeypatch.setattr(demo, "wait_for_door", lambda dc, step: (dc, {}, b""))
    monkeypatch.setattr(demo, "ask", ask)
    before = CHECKOUT.read_bytes()
    yield world
    assert CHECKOUT.read_bytes() == before


def run() -> str:
    output = StringIO()
    demo.run(Steps(console=Console(file=output, width=200)))
    return output.getvalue()


def test_the_first_time_both_are_created_and_the_primary_moves_to_the_second(world: World):
    said = run()
    assert world.said == [
        INSTALL,
        CREATE_FIRST,
        f"{STATUS} --dc local1",
        CREATE_SECOND,
        f"{SWITCHOVER} local2",
        STATUS,
    ]
    assert world.asked == [("local-ic1-local1-rw", "local1"), ("primary.ic1-local.pgaas.local", "local2")]
    assert demo_root.primary(demo_root.folder()) == "local2"
    assert f"export PGAAS_ROOT={demo_root.folder()}" in said


def test_the_second_time_it_moves_back(world: World):
    run()
    world.said.clear()
    run()
    assert world.said == [
        INSTALL,
        CREATE_FIRST,
        f"{STATUS} --dc local1",
        CREATE_SECOND,
        f"{SWITCHOVER} local1",
        STATUS,
    ]
    assert world.asked[-1] == ("primary.ic1-local.pgaas.local", "local1")


def test_a_switchover_that_was_killed_after_the_demotion_is_finished_first(world: World):
    demo_root.prepare(any_live=False)
    world.named = {"local1": "local-ic1-local2", "local2": "local-ic1-local1"}
    run()
    assert world.said[:2] == [INSTALL, f"{SWITCHOVER} local2"]
    assert world.said[-2] == f"{SWITCHOVER} local1"


def test_a_primary_that_moved_without_the_copy_is_written_down_first(world: World):
    world.named = dict.fromkeys(("local1", "local2"), "local-ic1-local2")
    world.refuses = "create"
    with pytest.raises(ToolFailed):
        run()
    assert demo_root.primary(demo_root.folder()) == "local2"


def test_after_the_clusters_are_gone_their_archives_are_not_in_the_way(world: World):
    run()
    world.named.clear()
    world.said.clear()
    run()
    # As in the checkout again: whoever removed the clusters need not have told the copy.
    assert world.said[1] == f"{CREATE_FIRST} --next-generation"
    assert world.said[3:6] == [f"{CREATE_SECOND} --next-generation", CREATE_FIRST, f"{SWITCHOVER} local2"]


def test_what_pgaas_refuses_ends_the_demo(world: World):
    world.refuses = "switchover"
    with pytest.raises(ToolFailed):
        run()
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    ("spec", "primary"),
    [
        ({}, ""),
        ({"replica": None}, ""),
        ({"replica": {"self": "local-ic1-local1", "primary": "local-ic1-local2"}}, "local-ic1-local2"),
    ],
)
def test_the_primary_is_what_the_topology_names(spec: dict[str, Any], primary: str):
    assert demo.primary_of({"spec": spec}) == primary


def test_the_copy_holds_what_pgaas_needs_and_no_generated_values(world: World):
    root = demo_root.prepare(any_live=False)
    for name in ("helmfile.yaml", "charts/core/Chart.yaml", "confs/users/ic1/local/databases.yaml"):
        assert (root / name).is_file()
    assert not (root / "confs/_generated").exists()


def test_what_the_checkout_changes_arrives_and_what_it_removes_goes(world: World):
    root = demo_root.prepare(any_live=True)
    (root / "confs/admin/local/stale.yaml").touch()
    (root / "charts/core/templates/stale.yaml").touch()
    (root / "confs/users/ic1/local/databases.yaml").write_text("")
    demo_root.prepare(any_live=True)
    assert not list(root.rglob("stale.yaml"))
    assert (root / "confs/users/ic1/local/databases.yaml").read_text()


def test_a_copy_that_was_killed_half_way_keeps_where_the_primary_is(world: World):
    root = demo_root.prepare(any_live=True)
    demo_root.write_primary(root, "local2")
    (root / "confs").rename(root / "confs.old")
    demo_root.prepare(any_live=True)
    assert demo_root.primary(root) == "local2"
