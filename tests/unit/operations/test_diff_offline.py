"""Reviews without a cluster: a revision of a real repository, and folders of generated values."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgaas.config.naming import Target
from pgaas.config.users import Users, place_users, users_of
from pgaas.errors import ConfigError, RefusedAsUnsafe, UsageError
from pgaas.operations.diff import Comparison, diff, refuse_from
from pgaas.operations.diff_select import Selection, selection
from pgaas.operations.diff_values import Diff, TargetDiff
from pgaas.operations.generate import generate_all
from pgaas.operations.progress import Silent
from pgaas.render.marks import Mark

REPOSITORY = Path(__file__).resolve().parents[3]
LOCAL1 = Target("ic1", "local", "local1")
ADMIN = "confs/admin/local/postgresql.yaml"
USER = "confs/users/ic1/local/databases.yaml"
EVERYTHING = Selection()


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a repository that holds a root in a folder of its own, committed."""
    folder = tmp_path / "repository" / "platform"
    shutil.copytree(REPOSITORY / "confs", folder / "confs", ignore=shutil.ignore_patterns("_generated"))
    (folder / "helmfile.yaml").touch()
    git(folder.parent, "init", "-q", "-b", "main")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-qm", "all")
    return folder


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def against(root: Path, revision: str = "HEAD", chosen: Selection = EVERYTHING) -> Diff:
    return diff(root, chosen, Comparison(against=revision), Silent())


def one(found: Diff, target: Target = LOCAL1) -> TargetDiff:
    return next(each for each in found.targets if each.target == target)


def test_what_is_committed_does_not_differ(root: Path) -> None:
    found = against(root)
    assert len(found.targets) == 11
    assert {target.state for target in found.targets} == {"unchanged"}
    assert found.mark is Mark.nothing


def test_a_change_is_told_with_its_line(root: Path) -> None:
    edit(root, ADMIN, 'max_connections: "50"', 'max_connections: "60"')
    edit(root, USER, "      - reporting_db\n", "")
    found = one(against(root))
    assert found.mark is Mark.disruptive
    told = {change.path: change for change in found.values}
    connections = told["cluster.parameters.max_connections"]
    assert (connections.before, connections.after, connections.mark) == ("50", "60", Mark.restart)
    assert [(place.file, place.line) for place in connections.places] == [(ADMIN, 7)]
    rule = told["cluster.pgHba"]
    assert rule.before == "hostssl reporting_db app_readonly all cert map=pgaas"
    assert rule.places[0].gone
    assert rule.places[0].file == USER


def test_a_profile_is_told_by_who_chose_it(root: Path) -> None:
    edit(root, "confs/admin/prod/clients.yaml", "storageProfile: XXL", "storageProfile: S")
    found = one(against(root), Target("ic1", "prod", "dc1"))
    [size] = [change for change in found.values if change.path == "cluster.storage.size"]
    assert size.mark is Mark.forbidden
    assert size.places[0].path == "client.storageProfile"


@pytest.mark.parametrize(
    ("file", "old", "new", "path", "place"),
    [
        (ADMIN, "dpage/pgadmin4:9.18", "dpage/pgadmin4:9.19", "pgadmin4.image", "pgadmin.image"),
        (
            ADMIN,
            "postgresql:17-standard-trixie",
            "postgresql:17.9-standard-trixie",
            "imageCatalog.images.17.image",
            "imageCatalog.images.[17].image",
        ),
        (
            "confs/admin/local/backup.yaml",
            "7d",
            "3d",
            "objectStores.ic1-local-local1.retentionPolicy",
            "backup",
        ),
        (USER, "createdb: false", "createdb: true", "cluster.roles.app_user.createdb", "roles.[app_user]"),
        (
            "confs/admin/local/clients.yaml",
            "s3Bucket: ic1-backups",
            "s3Bucket: other",
            "objectStores.ic1-local-local1.destinationPath",
            "client.s3Bucket",
        ),
        (
            "confs/admin/local/datacenters.yaml",
            "clusterIssuer: pgaas-ca-issuer",
            "clusterIssuer: other",
            "certificates.clusterIssuer",
            "datacenters.local1.clusterIssuer",
        ),
    ],
)
def test_where_it_was_written(root: Path, file: str, old: str, new: str, path: str, place: str) -> None:
    edit(root, file, old, new)
    told = {change.path: change for change in one(against(root)).values}
    found = told[path].places
    assert [each.file for each in found] == [file]
    assert found[0].path.startswith(place)
    assert (
        new.splitlines()[0].partition(":")[0].strip()
        in (root / file).read_text().splitlines()[found[0].line - 1]
    )


def test_secrets_are_masked_and_their_keys_named(root: Path) -> None:
    edit(root, "confs/admin/local/clients.yaml", "ic1-local-secret", "another-secret")
    edit(root, "confs/admin/local/clients.yaml", "bindPassword: pgadmin-ic1", "bindPassword: hidden-password")
    found = one(against(root))
    told = {change.path: change for change in found.values}
    assert (told["s3.secretKey"].before, told["s3.secretKey"].after) == ("***", "***")
    assert told["pgadmin4.ldap.bindPassword.value"].after == "***"
    for secret in ("ic1-local-secret", "another-secret", "hidden-password"):
        assert secret not in repr(found)


def test_nobodys_checkout_is_touched(root: Path) -> None:
    edit(root, ADMIN, 'max_connections: "50"', 'max_connections: "60"')
    before = git(root, "status", "--porcelain"), git(root, "worktree", "list"), git(root, "stash", "list")
    against(root)
    assert (
        git(root, "status", "--porcelain"),
        git(root, "worktree", "list"),
        git(root, "stash", "list"),
    ) == before


def test_targets_that_come_and_go(root: Path) -> None:
    shutil.rmtree(root / "confs/users/ic1/perf")
    target = root / "confs/users/is1/hp/dev9"
    shutil.copytree(root / "confs/users/is1/hp/pic", target)
    edit(root, "confs/users/is1/hp/dev9/databases.yaml", ".pic", ".dev9")
    found = against(root)
    [removed], [new] = found.of("removed"), found.of("new")
    assert removed.target == Target("ic1", "perf", "dc1")
    assert removed.mark is Mark.disruptive
    assert new.target == Target("is1", "dev9", "dc1")
    assert new.mark is Mark.nothing


def test_one_targets_issues_are_a_row(root: Path) -> None:
    edit(root, USER, "majorVersion: 17", "majorVersion: seventeen")
    found = against(root)
    assert {target.target.env for target in found.of("failed")} == {"local"}
    assert len(found.of("unchanged")) == 9
    with pytest.raises(ConfigError) as caught:
        refuse_from(found, None)
    assert {issue.file for issue in caught.value.issues} == {USER}


def test_a_broken_admin_file_takes_nobody_for_removed(root: Path) -> None:
    (root / ADMIN).write_text("postgresql: [")
    found = against(root)
    assert found.of("removed") == []
    assert {target.target.env for target in found.of("failed")} == {"local"}
    assert found.issues


def test_issues_of_the_revision_say_so(root: Path) -> None:
    edit(root, USER, "majorVersion: 17", "majorVersion: seventeen")
    git(root, "commit", "-qam", "broken")
    edit(root, USER, "majorVersion: seventeen", "majorVersion: 17")
    found = against(root, chosen=Selection(("ic1",), "local"))
    assert {target.state for target in found.targets} == {"failed"}
    with pytest.raises(ConfigError) as caught:
        refuse_from(found, None)
    assert {issue.file for issue in caught.value.issues} == {f"HEAD:{USER}"}


@pytest.mark.parametrize("name", ["nothing", "--output=/tmp/x", "-h", "", "HEAD:confs", "a b; rm", "HEAD\n"])
def test_a_revision_that_git_does_not_know(root: Path, name: str) -> None:
    with pytest.raises(UsageError, match="git knows no revision"):
        against(root, name)


def test_a_root_that_is_in_no_repository(root: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(root, alone)
    with pytest.raises(UsageError, match="git knows no revision"):
        against(alone)


def test_clients_in_a_repository_of_their_own(root: Path, tmp_path: Path) -> None:
    users = root / "confs/users"
    shutil.move(users, tmp_path / "users")
    users.symlink_to(tmp_path / "users")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a link")
    with pytest.raises(UsageError, match="confs/users is not in this repository"):
        against(root)


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Iterator[Path]:
    """Give the clients' files in a clone of their own, of which the root's repository knows nothing."""
    folder = tmp_path / "users"
    shutil.move(root / "confs/users", folder)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "without clients")
    place_users(root, Users(folder, "../users", "a" * 40))
    yield folder
    place_users(root, None)


def test_with_a_clone_of_the_clients_files_only_the_platforms_are_compared(root: Path, clone: Path) -> None:
    edit(clone, "ic1/local/databases.yaml", "      - reporting_db\n", "")
    edit(root, ADMIN, 'max_connections: "50"', 'max_connections: "60"')
    found = against(root)
    assert len(found.targets) == 11
    assert [str(each.target) for each in found.of("changed")] == ["ic1/local/local1", "ic1/local/local2"]
    assert [change.path for change in one(found).values] == ["cluster.parameters.max_connections"]


def test_an_issue_of_the_clone_is_one_of_both_sides(root: Path, clone: Path) -> None:
    (clone / "ic1/Prod").mkdir()
    assert [issue.file for issue in against(root).issues] == ["../users/ic1/Prod"]


def test_an_api_server_that_is_another_one_is_told(root: Path) -> None:
    edit(root, "confs/admin/local/datacenters.yaml", "kubeContext: cluster2", "kubeContext: elsewhere")
    found = against(root)
    assert one(found).state == "unchanged"
    [change] = one(found, LOCAL1._replace(dc="local2")).values
    told = change.path, change.before, change.after, change.mark
    assert told == ("datacenters.local2.kubeContext", "cluster2", "elsewhere", Mark.unknown)


@pytest.fixture
def generated(root: Path, tmp_path: Path) -> Path:
    """Give a folder of values from before a change."""
    generate_all(root, None, Silent())
    before = tmp_path / "before"
    shutil.copytree(root / "confs/_generated", before)
    return before


def folders(before: Path, after: Path, chosen: Selection = EVERYTHING) -> Diff:
    return diff(None, chosen, Comparison(before=before, after=after), Silent())


def test_two_folders_give_the_same_marks_as_two_revisions(root: Path, generated: Path) -> None:
    edit(root, ADMIN, 'max_connections: "50"', 'max_connections: "60"')
    edit(root, ADMIN, "size: 1Gi", "size: 512Mi")
    edit(root, "confs/admin/local/clients.yaml", "ic1-local-secret", "another-secret")
    generate_all(root, None, Silent())
    both = folders(generated, root), against(root)
    plain = [
        {
            each.target: [(c.path, c.before, c.after, c.mark, c.why) for c in each.values]
            for each in found.targets
        }
        for found in both
    ]
    assert plain[0] == plain[1]
    assert one(both[0]).mark is Mark.forbidden


def test_the_commit_of_the_clients_files_is_no_change(root: Path, generated: Path) -> None:
    place_users(root, users_of(root)._replace(revision="b" * 40))
    try:
        generate_all(root, None, Silent())
    finally:
        place_users(root, None)
    assert (root / "confs/_generated/ic1-prod/dc1/values.yaml").read_text().count("b" * 40) == 2
    assert folders(generated, root).of("changed") == []


def test_what_no_folder_should_hold(root: Path, generated: Path, tmp_path: Path) -> None:
    place = root / "confs/_generated"
    (place / "ic1-local/local1/values.yaml").write_text("target: [")
    (place / "ic1-local/local2/values.yaml").write_text("target: {ins: is1, env: local, dc: local2}\n")
    (place / "ic1-prod/dc1/values.yaml").write_bytes(b"\xff\xfe")
    (place / "ic1-prod/dc2/values.yaml").unlink()
    found = folders(generated, place)
    assert {str(target.target) for target in found.of("failed")} == {
        "ic1/local/local1",
        "ic1/local/local2",
        "ic1/prod/dc1",
    }
    assert [str(target.target) for target in found.of("removed")] == ["ic1/prod/dc2"]
    with pytest.raises(UsageError, match="holds no generated values"):
        folders(generated, tmp_path / "nowhere")


def test_values_that_are_no_values(root: Path, generated: Path) -> None:
    path = root / "confs/_generated/ic1-local/local1/values.yaml"
    path.write_text("target: {ins: ic1, env: local, dc: local1}\ncluster: [1]\nreplication: {enabled: 3}\n")
    found = one(folders(generated, root))
    assert found.state == "changed"
    assert found.mark.rank >= Mark.disruptive.rank


@pytest.mark.parametrize(
    ("clients", "env", "dc", "count"),
    [(["ic1"], None, None, 9), (["ic1,is1"], "dev1", None, 1), ([], "prod", None, 2), ([], None, "dc2", 2)],
)
def test_which_targets(root: Path, clients: list[str], env: str | None, dc: str | None, count: int) -> None:
    chosen = selection(clients, env, dc, everyone=False)
    assert len(against(root, chosen=chosen).targets) == count


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (Selection(("ic2",)), "did you mean ic1"),
        (Selection((), "prot"), "did you mean prod"),
        (Selection((), None, "dc9"), "there is no such cluster"),
        (Selection(("is1",), "prod"), "no cluster fits all"),
    ],
)
def test_targets_that_there_are_not(root: Path, chosen: Selection, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        against(root, chosen=chosen)


def test_failing_for_what_was_asked(root: Path) -> None:
    edit(root, ADMIN, 'max_connections: "50"', 'max_connections: "60"')
    found = against(root)
    refuse_from(found, None)
    refuse_from(found, Mark.disruptive)
    for limit in (Mark.restart, Mark.reload):
        with pytest.raises(RefusedAsUnsafe, match="ic1/local/local1"):
            refuse_from(found, limit)
