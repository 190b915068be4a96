from __future__ import annotations

import difflib
from textwrap import dedent

import pytest
from tests.unit.config.support import CLIENTS, DEV1, LOCAL, PROD, Confs

from pgaas.config.generations import next_generation, write_generation
from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.errors import ConfigError, UsageError


def changed(before: str, after: str) -> list[str]:
    rows = difflib.ndiff(before.splitlines(), after.splitlines())
    return [row for row in rows if row[:2] in ("+ ", "- ")]


@pytest.mark.parametrize("target", [LOCAL, DEV1, PROD, Target("is1", "pic", "dc1")])
def test_only_the_generation_changes(confs: Confs, target: Target) -> None:
    team_env = {"dev1": "hp", "pic": "hp"}.get(target.env, target.env)
    before = confs.read(CLIENTS.format(team_env))
    assert next_generation(confs.root, target) == 2
    write_generation(confs.root, target, 2)
    name = f"{target.env}-{target.ins}-{target.dc}"
    after = confs.read(CLIENTS.format(team_env))
    assert changed(before, after) == ["+     archiveGenerations:", f"+       {name}: 2"]
    assert next_generation(confs.root, target) == 3
    write_generation(confs.root, target, 3)
    assert changed(before, confs.read(CLIENTS.format(team_env)))[1] == f"+       {name}: 3"
    assert resolve_client(confs.root, target).client.generation(name) == 3


def test_one_clusters_generation_is_not_anothers(confs: Confs) -> None:
    write_generation(confs.root, PROD, 4)
    other = Target("ic1", "prod", "dc2")
    assert next_generation(confs.root, other) == 2
    write_generation(confs.root, other, 2)
    client = resolve_client(confs.root, PROD).client
    assert dict(client.archive_generations) == {"prod-ic1-dc1": 4, "prod-ic1-dc2": 2}
    assert client.generation("elsewhere") == 1


def test_comments_quotes_and_odd_layout_stay(confs: Confs) -> None:
    text = dedent("""\
        # head

        clients:   # all of them
          'ic1':
              datacenters:
              - "dc1"   # the first
              - dc2
              s3Bucket: "ic1-prod-backups"
              storageProfile: XXL
              s3Credentials: {secretName: s}
              archiveGenerations: {prod-ic1-dc1: 1}   # do not touch

        # tail
        """)
    confs.write(CLIENTS.format("prod"), text)
    write_generation(confs.root, PROD, 2)
    after = confs.read(CLIENTS.format("prod"))
    for kept in (
        "# head",
        "# all of them",
        "'ic1':",
        '"dc1"',
        "# the first",
        "# do not touch",
        "# tail",
        '"ic1-prod-b',
    ):
        assert kept in after
    assert resolve_client(confs.root, PROD).client.generation("prod-ic1-dc1") == 2


def test_bad_input(confs: Confs) -> None:
    with pytest.raises(UsageError, match="unknown client 'ic9'"):
        next_generation(confs.root, Target("ic9", "prod", "dc1"))
    with pytest.raises(UsageError, match="unknown client 'ic9'"):
        write_generation(confs.root, Target("ic9", "prod", "dc1"), 2)
    with pytest.raises(ValueError, match="0"):
        write_generation(confs.root, PROD, 0)
    confs.write(CLIENTS.format("prod"), "clients: [")
    with pytest.raises(ConfigError):
        write_generation(confs.root, PROD, 2)
    confs.write(CLIENTS.format("prod"), "clients: {ic1: {}, ic1: {}}")
    with pytest.raises(ConfigError):
        next_generation(confs.root, PROD)
