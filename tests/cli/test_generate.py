from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.cli.support import run_process


def test_prints_the_path_and_writes_the_values(root, pgaas):
    ran = pgaas("generate", "--ins", "ic1", "--env", "prod", "--dc", "dc2")
    assert (ran.code, ran.out, ran.err) == (0, "confs/_generated/ic1-prod/dc2/values.yaml\n", "")
    values = yaml.safe_load((root / ran.out.strip()).read_text())
    assert values["cluster"]["name"] == "prod-ic1-dc2"


def test_without_a_datacenter_it_is_the_clients_first(root, pgaas):
    assert (
        pgaas("generate", "--ins", "ic1", "--env", "prod").out
        == "confs/_generated/ic1-prod/dc1/values.yaml\n"
    )


def test_local_has_the_infrastructures_files_too_and_its_secrets_are_private(root, pgaas):
    ran = pgaas("generate", "--ins", "ic1", "--env", "local")
    paths = ran.out.splitlines()
    assert paths == [
        "confs/_generated/ic1-local/local1/values.yaml",
        *(
            f"confs/_generated/local-infra/{name}-values.yaml"
            for name in ("seaweedfs", "openldap", "observability")
        ),
        "confs/_generated/local-infra/local2/observability-values.yaml",
    ]
    assert {stat.S_IMODE((root / path).stat().st_mode) for path in paths} == {0o600}


def test_the_path_can_be_typed_from_where_one_is(root, pgaas, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ran = pgaas("generate", "--ins", "ic1", "--env", "prod", "--root", "root")
    assert ran.out == "root/confs/_generated/ic1-prod/dc1/values.yaml\n"
    monkeypatch.chdir(root / "charts")
    ran = pgaas("generate", "--ins", "ic1", "--env", "prod")
    assert ran.out == f"{root}/confs/_generated/ic1-prod/dc1/values.yaml\n"


def test_the_same_input_gives_the_same_bytes(root, pgaas):
    path = root / "confs/_generated/ic1-prod/dc1/values.yaml"
    pgaas("generate", "--ins", "ic1", "--env", "prod")
    first = path.read_bytes()
    pgaas("generate", "--all")
    assert path.read_bytes() == first


def test_a_file_that_is_right_is_left_alone_and_one_that_is_not_is_replaced(root, pgaas):
    path = root / "confs/_generated/ic1-prod/dc1/values.yaml"

    def generate() -> os.stat_result:
        assert pgaas("generate", "--ins", "ic1", "--env", "prod").code == 0
        return path.lstat()

    first, content = generate(), path.read_bytes()
    assert generate().st_ino == first.st_ino
    path.write_bytes(content.replace(b"prod", b"dorp", 1))
    generate()
    assert path.read_bytes() == content
    path.chmod(0o666)
    assert stat.S_IMODE(generate().st_mode) == 0o644
    path.rename(root / "elsewhere")
    path.symlink_to(root / "elsewhere")
    assert stat.S_ISREG(generate().st_mode)
    path.unlink()
    os.mkfifo(path)
    assert stat.S_ISREG(generate().st_mode)


def test_json_lists_the_files_and_nothing_else_is_on_stdout(root, pgaas):
    ran = pgaas("generate", "--ins", "ic1", "--env", "prod", "-o", "json")
    assert json.loads(ran.out) == {
        "targets": [
            {"ins": "ic1", "env": "prod", "dc": "dc1", "files": ["confs/_generated/ic1-prod/dc1/values.yaml"]}
        ],
        "localInfra": [],
        "collectors": [],
        "issues": [],
        "usersRevision": "",
    }


def test_all_writes_every_client_environment_and_datacenter(root, pgaas):
    ran = pgaas("generate", "--all")
    assert ran.code == 0, ran.err
    collectors = [path for path in ran.out.splitlines() if "/observability/" in path]
    assert collectors == [
        f"confs/_generated/observability/{place}/values.yaml"
        for place in ("hp/dc1", "perf/dc1", "pprod/dc1", "pprod/dc2", "prod/dc1", "prod/dc2")
    ]
    clusters = [path for path in ran.out.splitlines() if path not in collectors and "infra" not in path]
    assert len(clusters) == len(set(clusters)) == 11
    assert all((root / path).is_file() for path in ran.out.splitlines())
    assert len(ran.out.splitlines()) == 11 + 4 + 6


def test_all_of_one_environment(root, pgaas):
    ran = pgaas("generate", "--all", "--env", "prod")
    assert ran.out.splitlines() == [
        f"confs/_generated/{folder}/{dc}/values.yaml"
        for folder in ("ic1-prod", "observability/prod")
        for dc in ("dc1", "dc2")
    ]


def test_the_collectors_of_hp_ask_the_clusters_of_all_of_its_environments(root, pgaas):
    pgaas("generate", "--all", "--env", "dev1")
    values = yaml.safe_load((root / "confs/_generated/observability/hp/dc1/values.yaml").read_text())
    asked = {each["name"] for each in values["otelCollector"]["scrape"]["clusters"]}
    assert asked == {"dev1-ic1-dc1", "dev2-ic1-dc1", "pic-is1-dc1", "staging-is1-dc1"}


def test_all_reports_every_bad_client_and_writes_the_good_ones(root, pgaas):
    (root / "confs/users/ic1/perf/databases.yaml").write_text("postgresql: {majorVersion: 17")
    (root / "confs/users/is1/hp/pic/databases.yaml").write_text("roles: []\nroles: []\n")
    ran = pgaas("generate", "--all", "-o", "json")
    assert ran.code == 3
    found = json.loads(ran.out)
    assert {issue["file"] for issue in found["issues"]} == {
        "confs/users/ic1/perf/databases.yaml",
        "confs/users/is1/hp/pic/databases.yaml",
    }
    assert len(found["targets"]) == 9
    assert "confs/users/ic1/perf/databases.yaml:" in ran.err
    assert "confs/users/is1/hp/pic/databases.yaml:2: roles: " in ran.err
    assert "9 written, 2 could not be" in ran.err


def test_a_bad_admin_file_is_reported_once_and_stops_only_its_environment(root, pgaas):
    (root / "confs/admin/hp/backup.yaml").write_text("backup: 7\n")
    ran = pgaas("generate", "--all")
    assert ran.code == 3
    assert ran.err.count("confs/admin/hp/backup.yaml") == 1
    assert "confs/_generated/ic1-prod/dc1/values.yaml" in ran.out
    assert "dev1" not in ran.out


def test_all_takes_neither_client_nor_datacenter(root, pgaas):
    ran = pgaas("generate", "--all", "--ins", "ic1", "--dc", "dc1")
    assert ran.code == 2
    assert "--all takes no --ins and no --dc" in ran.err


@pytest.mark.parametrize(("arguments", "missing"), [([], "--ins"), (["--ins", "ic1"], "--env")])
def test_one_target_needs_a_client_and_an_environment(root, pgaas, arguments: list[str], missing: str):
    ran = pgaas("generate", *arguments)
    assert ran.code == 2
    assert f"missing option {missing}" in ran.err


UNKNOWN = [
    (["--ins", "ic2", "--env", "prod"], "ic2", "ic1"),
    (["--ins", "ic1", "--env", "dev3"], "dev3", "dev1"),
    (["--ins", "ic1", "--env", "prod", "--dc", "dc9"], "dc9", "dc1"),
    (["--all", "--env", "dev3"], "dev3", "dev1"),
]


@pytest.mark.parametrize(("arguments", "unknown", "known"), UNKNOWN)
def test_what_is_not_known_is_named_with_what_is(root, pgaas, arguments: list[str], unknown: str, known: str):
    ran = pgaas("generate", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert unknown in ran.err
    assert known in ran.err


BAD_FILES = {
    "not YAML": b"postgresql: {majorVersion: 17",
    "a duplicate key": b"roles: []\nroles: []\n",
    "an alias bomb": b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (n, n, b", ".join([b"*%c" % (n - 1)] * 10)) for n in range(ord("b"), ord("k"))
    ),
    "no text": b"\xff\xfe\x00",
    "a list": b"- a\n",
    "empty": b"",
    "a disallowed key": b"postgresql: {majorVersion: 17}\nbackup: {}\n",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_named_and_nothing_is_written(root, pgaas, kind: str):
    (root / "confs/users/ic1/prod/databases.yaml").write_bytes(BAD_FILES[kind])
    for command in ("generate", "preview", "explain", "template"):
        ran = pgaas(command, "--ins", "ic1", "--env", "prod")
        assert (ran.code, ran.out) == (3, ""), ran.err
        assert "confs/users/ic1/prod/databases.yaml" in ran.err
        assert "Traceback" not in ran.err
    assert not (root / "confs/_generated").exists()


@pytest.mark.parametrize(
    "file", ["users/ic1/prod/databases.yaml", "admin/prod/clients.yaml", "admin/prod/ldap.yaml"]
)
def test_a_missing_file_is_named(root, pgaas, file: str):
    (root / "confs" / file).unlink()
    ran = pgaas("generate", "--ins", "ic1", "--env", "prod")
    assert ran.code == 3
    assert f"confs/{file}" in ran.err


def test_a_folder_that_cannot_be_written_is_no_bug(root, pgaas):
    (root / "confs/_generated").write_text("in the way")
    ran = pgaas("generate", "--ins", "ic1", "--env", "prod")
    assert ran.code == 2
    assert "confs/_generated" in ran.err
    assert "bug" not in ran.err


def test_all_stops_at_a_file_that_cannot_be_written(root, pgaas):
    blocker = root / "confs/_generated/ic1-prod/dc2"
    blocker.parent.mkdir(parents=True)
    blocker.write_text("in the way")
    ran = pgaas("generate", "--all")
    assert ran.code == 2
    assert str(blocker) in ran.err
    assert "[failed]" in ran.err
    assert not list(root.rglob("*.tmp"))


def test_neither_a_cluster_nor_a_tool_is_needed(root):
    ran = run_process(
        "generate", "--ins", "ic1", "--env", "local", cwd=root, env={"PATH": "", "KUBECONFIG": "/none"}
    )
    assert ran.code == 0, ran.err


def on_a_terminal(root: Path, *arguments: str, **env: str) -> str:
    """Run pgaas with its stderr on a terminal and return what it drew there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pgaas", *arguments],
        cwd=root,
        env={**os.environ, "TERM": "xterm", **env},
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    drawn = b""
    try:
        while chunk := os.read(master, 4096):
            drawn += chunk
    except OSError:  # a terminal whose other side is closed
        pass
    os.close(master)
    assert process.wait(60) == 0
    return drawn.decode()


def test_a_terminal_gets_a_bar(root: Path):
    drawn = on_a_terminal(root, "generate", "--all", NO_COLOR="")
    assert "11/11" in drawn
    assert "[########################]" in drawn
    assert "\x1b[32mok" in drawn


def test_no_color_means_no_colour(root: Path):
    drawn = on_a_terminal(root, "generate", "--all", NO_COLOR="1")
    assert "11/11" in drawn
    assert "\x1b[32m" not in drawn
    assert "\x1b[2m" not in drawn


def test_a_dumb_terminal_gets_lines(root: Path):
    assert "\x1b" not in on_a_terminal(root, "generate", "--all", TERM="dumb")
