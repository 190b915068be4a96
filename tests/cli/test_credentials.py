"""`pgaas credentials`: fake API servers, a real PostgreSQL, and the drivers' own programs."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import yaml
from tests.cli.daily import CLIENT, HERE, Daily, sign
from tests.cli.support import Ran
from tests.unit.kube.fakes import failure, path_of

from pgaas.kube.resources import CERTIFICATE, CONFIG_MAP, SECRET
from pgaas.render import write_folder

Run = Callable[..., Ran]
ASKED = ("credentials", *CLIENT, "--role", "app_user")
NAME = "local-ic1-local1-client-app-user"
WHO = "select current_user || ' in ' || current_database() || ', ' || client_dn from pg_stat_ssl \
where pid = pg_backend_pid()"
FILES = {
    "tls.crt",
    "tls.key",
    "ca.crt",
    "tls.pk8",
    "tls.p12",
    "pg_service.conf",
    "jdbc.properties",
    "README.md",
    "pgaas.json",
    ".gitignore",
}


def clean_environment(**extra: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | extra


def test_libpq_s_service_file_connects_verified_and_as_the_role(created: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED)
    assert ran.code == 0, ran.err
    folder = Path.cwd() / NAME
    done = subprocess.run(
        ["psql", "-XAt", "service=app_db", "-c", WHO],
        env=clean_environment(PGSERVICEFILE=str(folder / "pg_service.conf")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "app_user in app_db, /CN=app_user.ic1.local\n", done.stderr
    # The command that is printed is the one that works.
    command = next(line.split(maxsplit=1)[1] for line in ran.out.splitlines() if "PGSERVICEFILE=" in line)
    shown = subprocess.run(
        f"{command} -XAtc 'select 1'", shell=True, capture_output=True, text=True, check=False
    )
    assert shown.stdout == "1\n", shown.stderr


def test_the_python_of_the_guide_connects(created: Daily, pgaas: Run) -> None:
    assert pgaas(*ASKED).code == 0
    guide = (Path.cwd() / NAME / "README.md").read_text()
    code = "\n".join(line[4:] for line in guide.partition("Python:")[2].splitlines())
    names: dict[str, object] = {}
    exec(code, names)
    connection = names["connection"]
    assert isinstance(connection, psycopg.Connection)
    with connection:
        assert connection.execute("select current_user").fetchone() == ("app_user",)


def test_java_s_forms_hold_the_same_key(created: Daily, pgaas: Run) -> None:
    assert pgaas(*ASKED).code == 0
    folder = Path.cwd() / NAME

    def public(*argv: str) -> str:
        return subprocess.run(["openssl", *argv], check=True, capture_output=True, text=True).stdout

    key = public("pkey", "-in", f"{folder}/tls.key", "-pubout")
    assert public("pkey", "-inform", "DER", "-in", f"{folder}/tls.pk8", "-pubout") == key
    listed = subprocess.run(
        ["keytool", "-list", "-keystore", str(folder / "tls.p12"), "-storepass", "changeit"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "user, " in listed
    assert "PrivateKeyEntry" in listed
    urls = dict(line.split("=", 1) for line in (folder / "jdbc.properties").read_text().splitlines())
    assert urls["app_db.url"].startswith("jdbc:postgresql://primary.ic1-local.pgaas.local:5432/app_db?")
    assert f"sslkey={folder}/tls.pk8" in urls["app_db.url"]


def test_only_its_owner_may_read_it_whatever_the_umask(created: Daily, pgaas: Run) -> None:
    before = os.umask(0)
    try:
        assert pgaas(*ASKED, "--out", "deep/er").code == 0
    finally:
        os.umask(before)
    folder = Path("deep/er")
    assert {entry.name for entry in folder.iterdir()} == FILES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()} == {0o600}
    assert [entry.name for entry in Path("deep").iterdir()] == ["er"]


def test_a_program_is_told_all_but_the_key(created: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED, "-o", "json")
    said = json.loads(ran.out)
    assert said["subject"] == "CN=app_user.ic1.local"
    assert (said["common_name"], said["days_left"]) == ("app_user.ic1.local", 59)
    assert said["hosts"] == {
        "primary": "primary.ic1-local.pgaas.local",
        "read_only": "local-ic1-local1-ro.ic1-local.svc.cluster.local",
        "port": 5432,
    }
    assert [each["database"] for each in said["connections"]] == ["app_db"]
    assert (
        Path(said["files"]["tls.key"]).read_text()
        in base64.b64decode(created.get(HERE, SECRET, NAME)["data"]["tls.key"]).decode()
    )
    assert "PRIVATE" not in ran.out + ran.err
    assert "hostaddr=" in said["warnings"][0]
    assert "note: " in ran.err


def test_each_database_that_the_role_may_connect_to_has_a_service(created: Daily, pgaas: Run) -> None:
    created.instances(2)
    assert pgaas("credentials", *CLIENT, "--role", "app_readonly", "--out", "x").code == 0
    text = Path("x/pg_service.conf").read_text()
    sections = [line for line in text.splitlines() if line.startswith("[")]
    assert sections == ["[app_db]", "[reporting_db]", "[app_db.ro]", "[reporting_db.ro]"]
    assert text.count("target_session_attrs=read-write") == 2
    everything = pgaas("credentials", *CLIENT, "--role", "pgadmin_readonly", "--out", "y", "-o", "json")
    databases = [each["database"] for each in json.loads(everything.out)["connections"]]
    assert databases == ["app_db", "reporting_db", "postgres"] * 2


def test_a_database_whose_name_ends_like_a_standby_s_is_another_service(created: Daily, pgaas: Run) -> None:
    created.instances(2)
    created.edit(
        "users/ic1/local/databases.yaml",
        "  - name: reporting_db\n",
        "  - name: app_db-ro\n    owner: app_user\n  - name: reporting_db\n",
    )
    assert pgaas(*ASKED, "--out", "x").code == 0
    sections = [line for line in Path("x/pg_service.conf").read_text().splitlines() if line.startswith("[")]
    assert len(sections) == len(set(sections)) == 4
    urls = [line.partition("=")[0] for line in Path("x/jdbc.properties").read_text().splitlines()]
    assert len(urls) == len(set(urls)) == 4


def test_a_pair_trusts_both_datacenters_roots_and_one_alone_its_own(created: Daily, pgaas: Run) -> None:
    assert pgaas(*ASKED, "--out", "pair").code == 0
    assert Path("pair/ca.crt").read_text() == "".join(each.pem for each in created.roots.values())
    created.alone()
    ran = pgaas(*ASKED, "--out", "single", "-o", "json")
    assert Path("single/ca.crt").read_text() == created.roots[HERE].pem
    # Nobody has made an alias for it: the Service's own name never moves.
    assert json.loads(ran.out)["hosts"]["primary"] == "local-ic1-local1-rw.ic1-local.svc.cluster.local"


def test_the_manifest_is_a_secret_for_the_application_s_namespace(created: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED, "-o", "k8s", "--namespace", "shop")
    assert ran.code == 0, ran.err
    secret = yaml.safe_load(ran.out)
    assert (secret["kind"], secret["metadata"]["name"], secret["metadata"]["namespace"]) == (
        "Secret",
        NAME,
        "shop",
    )
    files = {name: base64.b64decode(value) for name, value in secret["data"].items()}
    assert set(files) == {"tls.crt", "tls.key", "ca.crt", "tls.pk8", "pg_service.conf"}
    assert b"sslkey=/etc/pgaas/tls.key" in files["pg_service.conf"]
    assert b"hostaddr" not in files["pg_service.conf"]
    assert list(Path.cwd().iterdir()) == []
    assert "namespace" not in yaml.safe_load(pgaas(*ASKED, "-o", "k8s").out)["metadata"]


def test_within_a_checkout_the_key_is_not_committed(created: Daily, pgaas: Run) -> None:
    def git(*argv: str) -> str:
        return subprocess.run(["git", *argv], check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    assert pgaas(*ASKED).code == 0
    git("add", "--all")
    assert git("status", "--porcelain") == ""


def test_who_cannot_log_in_is_told_before_anything_is_asked(created: Daily, pgaas: Run) -> None:
    for options in ((), ("-o", "k8s")):
        asked = len(created.servers[HERE].asked)
        ran = pgaas("credentials", *CLIENT, "--role", "nobody", *options)
        assert ran.code == 2
        assert "known: app_readonly, app_user" in ran.err
        assert len(created.servers[HERE].asked) == asked


def test_the_clients_own_namespace_has_the_secret_already(created: Daily, pgaas: Run) -> None:
    """kubectl would meet cert-manager's there, of the same name and another type."""
    ran = pgaas(*ASKED, "-o", "k8s", "--namespace", "ic1-local")
    assert (ran.code, ran.out) == (2, "")
    assert f"has this Secret already: {NAME}" in ran.err


def test_a_second_export_replaces_the_first_and_nothing_else(created: Daily, pgaas: Run) -> None:
    assert pgaas(*ASKED).code == 0
    renewed = created.certify(
        HERE, "app_user", sign("app_user.ic1.local", created.authorities[HERE], days=80)
    )
    assert pgaas(*ASKED).code == 0
    folder = Path(NAME)
    assert (folder / "tls.crt").read_text() == renewed.pem
    assert [entry.name for entry in Path.cwd().iterdir()] == [NAME]
    (folder / "mine.txt").write_text("mine")
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (2, "")
    assert "mine.txt" in ran.err
    assert (folder / "mine.txt").read_text() == "mine"
    other = pgaas("credentials", *CLIENT, "--role", "report_user", "--out", NAME)
    assert other.code == 2
    assert "something else than an earlier export of this role" in other.err


@pytest.mark.parametrize("there", ["file", "folder", "here", "mark", "broken mark"])
def test_what_is_not_its_own_is_left_alone(created: Daily, pgaas: Run, there: str) -> None:
    out = Path("out")
    if there == "file":
        out.write_text("mine")
    elif there != "here":
        out.mkdir()
        marks = {
            "folder": ("other", ""),
            "mark": ("pgaas.json", "{}"),
            "broken mark": ("pgaas.json", "[" * 9999),
        }
        name, content = marks[there]
        (out / name).write_text(content)
    before = sorted(str(path) for path in Path().rglob("*"))
    ran = pgaas(*ASKED, "--out", "." if there == "here" else "out")
    assert (ran.code, ran.out) == (2, "")
    assert "next: " in ran.err
    assert sorted(str(path) for path in Path().rglob("*")) == before


def test_an_empty_folder_and_a_link_to_one_will_do(created: Daily, pgaas: Run) -> None:
    Path("real").mkdir(mode=0o755)
    Path("link").symlink_to("real")
    assert pgaas(*ASKED, "--out", "link").code == 0
    assert Path("link").is_symlink()
    assert {entry.name for entry in Path("real").iterdir()} == FILES
    assert stat.S_IMODE(Path("real").stat().st_mode) == 0o700


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whole_or_not_at_all(
    created: Daily, pgaas: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(write_folder, "_exchange", lambda *_: False)
    assert pgaas(*ASKED).code == 0
    before = {entry.name: entry.read_bytes() for entry in Path(NAME).iterdir()}
    created.certify(HERE, "app_user")
    write, written = write_folder._write, []

    def failing(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 4:
            raise error
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(write_folder, "_write", failing)
        ran = pgaas(*ASKED)
    assert ran.code == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert "Traceback" not in ran.err
    assert {entry.name: entry.read_bytes() for entry in Path(NAME).iterdir()} == before
    assert [entry.name for entry in Path.cwd().iterdir()] == [NAME]
    assert pgaas(*ASKED).code == 0
    assert [entry.name for entry in Path.cwd().iterdir()] == [NAME]


def test_an_expired_certificate_is_refused_with_what_next(created: Daily, pgaas: Run) -> None:
    created.certify(HERE, "app_user", sign("app_user.ic1.local", created.authorities[HERE], days=-2))
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out, list(Path.cwd().iterdir())) == (9, "", [])
    assert "the certificate of app_user expired on " in ran.err
    assert f"kubectl -n ic1-local delete secret {NAME}" in ran.err


def test_one_near_its_end_is_exported_with_a_warning(created: Daily, pgaas: Run) -> None:
    created.certify(HERE, "app_user", sign("app_user.ic1.local", created.authorities[HERE], days=19.5))
    ran = pgaas(*ASKED)
    assert ran.code == 0
    assert "note: the certificate ends in 19 days, and should have been renewed" in ran.err
    created.certify(HERE, "app_user", sign("app_user.ic1.local", created.authorities[HERE], days=20.5))
    assert "should have been renewed" not in pgaas(*ASKED).err


def test_a_certificate_that_is_not_ready_is_refused_with_the_reason(created: Daily, pgaas: Run) -> None:
    waiting = {"type": "Ready", "status": "False", "message": "Issuing certificate as Secret does not exist"}
    created.get(HERE, CERTIFICATE, NAME)["status"]["conditions"] = [waiting]
    ran = pgaas(*ASKED)
    assert ran.code == 9
    assert "is not ready: Issuing certificate as Secret does not exist" in ran.err
    assert "pgaas create --ins ic1 --env local --dc local1" in ran.err


@pytest.mark.parametrize("kind", [CERTIFICATE, SECRET, CONFIG_MAP])
def test_what_is_not_there_yet_is_refused(created: Daily, pgaas: Run, kind: object) -> None:
    name = "local-ic1-local1-server-ca-bundle" if kind is CONFIG_MAP else NAME
    del created.servers[HERE].objects[path_of(kind, "ic1-local", name)]  # type: ignore[arg-type]
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (9, "")
    assert "next: pgaas trust sync" in ran.err if kind is CONFIG_MAP else "next: pgaas create" in ran.err


@pytest.mark.parametrize("wrong", ["key", "name", "certificate", "base64"])
def test_what_is_no_certificate_of_the_role_s_is_refused(created: Daily, pgaas: Run, wrong: str) -> None:
    own = created.certify(HERE, "app_user")
    other = sign("report_user.ic1.local", created.authorities[HERE])
    if wrong == "name":
        created.certify(HERE, "app_user", other)
    pair = {"key": (own.pem, other.key_pem), "certificate": ("rubbish", own.key_pem)}
    if wrong in pair:
        created.secret(HERE, NAME, tls_crt=pair[wrong][0], tls_key=pair[wrong][1])
    if wrong == "base64":
        created.get(HERE, SECRET, NAME)["data"]["tls.key"] = "%%%"
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (9, "")
    assert own.key_pem.splitlines()[1] not in ran.err
    assert "Traceback" not in ran.err


def test_a_bundle_without_the_other_datacenter_s_root_is_told(created: Daily, pgaas: Run) -> None:
    bundle = created.get(HERE, CONFIG_MAP, "local-ic1-local1-server-ca-bundle")
    bundle["data"]["ca.crt"] = created.roots[HERE].pem
    ran = pgaas(*ASKED)
    assert ran.code == 0
    assert "the CA of local2 is not in ca.crt" in ran.err
    assert "pgaas trust sync --ins ic1 --env local" in ran.err


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("app_usr", "did you mean app_user?"),
        ("postgres", "known: app_readonly, app_user"),
        ("../../etc", "has no role"),
        ("", "has no role"),
    ],
)
def test_a_role_that_there_is_not_is_answered_with_those_there_are(
    created: Daily, pgaas: Run, role: str, told: str
) -> None:
    ran = pgaas("credentials", *CLIENT, "--role", role)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


@pytest.mark.parametrize(
    ("change", "told"),
    [("login: false", "may not log in"), ("ensure: absent", "is to be absent"), ("", "owns no database")],
)
def test_a_role_that_logs_in_nowhere_says_why(created: Daily, pgaas: Run, change: str, told: str) -> None:
    text = f"\n  - name: batch\n    {change}\n"
    path = created.root / "confs/users/ic1/local/databases.yaml"
    path.write_text(path.read_text().rstrip("\n") + text)
    ran = pgaas("credentials", *CLIENT, "--role", "batch")
    assert ran.code == 2
    assert f"role batch {told}" in ran.err


def test_a_client_s_own_people_may_not_read_it(created: Daily, pgaas: Run) -> None:
    path = path_of(SECRET, "ic1-local", NAME)
    created.servers[HERE].answers[f"GET {path}"] = failure(403, "Forbidden", "secrets is forbidden")
    ran = pgaas(*ASKED)
    assert ran.code == 6
    assert "not allowed" in ran.err


@pytest.mark.parametrize("options", [("-o", "k8s", "--out", "x"), ("--namespace", "shop")])
def test_options_that_do_not_go_together_are_refused(
    created: Daily, pgaas: Run, options: tuple[str, ...]
) -> None:
    assert pgaas(*ASKED, *options).code == 2
