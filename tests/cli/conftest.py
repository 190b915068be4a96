from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.daily import HERE, THERE, Daily, Signed, kubeconfig, make_daily, sign
from tests.cli.support import PARTS, REPOSITORY, Ran
from tests.unit.kube.api_server import listening
from tests.unit.operations.pair_worlds import PairWorld, make_pair_world
from tests.unit.tools.fake_s3 import FakeS3, running
from tests.unit.tools.postgres import Postgres
from tests.unit.tools.postgres import running as running_postgres

from pgaas.__main__ import main
from pgaas.config.naming import Target
from pgaas.kube.client import api_for
from pgaas.operations.subject import load_subject


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of what a command works in, and make it the current folder."""
    folder = tmp_path / "root"
    for part in PARTS:
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PGAAS_ROOT", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


@pytest.fixture(scope="module")
def s3() -> Iterator[FakeS3]:
    """Give a small S3."""
    with running() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: FakeS3) -> PairWorld:
    """Give a healthy pair, and make its files those that commands work in."""
    made = make_pair_world(tmp_path, s3, monkeypatch)
    monkeypatch.setenv("PGAAS_ROOT", str(made.root))
    return made.healthy()


@pytest.fixture
def pgaas(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ran]]:
    """Give a function that runs a command line in this process, error edge included."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def authorities() -> dict[str, Signed]:
    """Give each datacenter's client CA."""
    return {dc: sign(f"{dc} client CA") for dc in (HERE, THERE)}


@pytest.fixture(scope="session")
def roots() -> dict[str, Signed]:
    """Give each datacenter's root of servers."""
    return {dc: sign(f"{dc} root") for dc in (HERE, THERE)}


@pytest.fixture(scope="session")
def postgres(authorities: dict[str, Signed], roots: dict[str, Signed]) -> Iterator[Postgres]:
    """Give a real server with the names, rules, roles and databases of ic1 in local1."""
    values = load_subject(REPOSITORY, Target("ic1", "local", HERE)).values
    server = sign("server", roots[HERE], names=tuple(values.certificates.server.dns_names))
    with running_postgres(
        certificate=server.pem,
        key=server.key_pem,
        clients="".join(each.pem for each in authorities.values()),
        hba=values.cluster.pg_hba,
        ident=values.cluster.pg_ident,
    ) as found:
        found.sql(*(f'create role "{role.name}" login' for role in values.cluster.roles))
        for database in values.databases:
            found.sql(f'create database "{database.name}" owner "{database.owner}"')
        yield found


@pytest.fixture
def daily(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    authorities: dict[str, Signed],
    roots: dict[str, Signed],
) -> Iterator[Daily]:
    """Give a client with nothing created, whose API servers answer on real ports."""
    made = make_daily(tmp_path / "daily", authorities, roots)
    with listening(made.servers[HERE]) as here, listening(made.servers[THERE]) as there:
        config = tmp_path / "kubeconfig"
        config.write_text(kubeconfig({HERE: here, THERE: there}))
        monkeypatch.setenv("KUBECONFIG", str(config))
        monkeypatch.setenv("PGAAS_ROOT", str(made.root))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        work = tmp_path / "work"
        work.mkdir()
        monkeypatch.chdir(work)
        api_for.cache_clear()
        yield made
        api_for.cache_clear()


@pytest.fixture
def created(daily: Daily, postgres: Postgres) -> Daily:
    """Give a client with both clusters, the first of which is the real server."""
    for server in ("192.168.49.2:30053", "192.168.49.3:30053"):
        daily.edit("admin/local/datacenters.yaml", f"resolver: {server}", "resolver: 127.0.0.1:1")
    daily.deploy(HERE, address=postgres.address)
    daily.deploy(THERE)
    return daily
