"""The table of PostgreSQL's parameters: complete, and what the servers of this machine say."""

from __future__ import annotations

import pytest
from settings.ask import contexts
from settings.server import installed
from settings.table import FILE, read, write

from pgaas.config.parameters import FIXED_PARAMETERS, PARAMETER_KINDS
from pgaas.config.settings import STANDBY_DEFAULTS, context, library_of, majors

# Debian's own, in some of its versions.
PATCHED = {"extension_destdir"}


def test_every_major_version_on_offer_is_there() -> None:
    assert majors() == [14, 15, 16, 17, 18]
    for _, found in read(FILE).values():
        assert len(found) > 300


@pytest.mark.parametrize(
    ("name", "major", "expected"),
    [
        ("max_connections", 17, "postmaster"),
        ("work_mem", 17, "user"),
        ("archive_timeout", 17, "sighup"),
        ("log_connections", 17, "superuser-backend"),
        ("autovacuum_max_workers", 17, "postmaster"),
        ("autovacuum_max_workers", 18, "sighup"),
        ("server_version", 17, "internal"),
        ("transaction_timeout", 16, ""),
        ("transaction_timeout", 17, "user"),
        ("pg_stat_statements.max", 17, "postmaster"),
        ("pgaudit.log", 17, "superuser"),
        ("nothing.known", 17, ""),
        ("nothing_known", 17, ""),
        ("work_mem", 13, ""),
    ],
)
def test_a_parameters_context(name: str, major: int, expected: str) -> None:
    assert context(name, major) == expected


@pytest.mark.parametrize("major", majors())
def test_what_confs_know_of_parameters_is_in_it(major: int) -> None:
    assert [name for name in PARAMETER_KINDS if not context(name, major)] == []
    assert {context(name, major) for name in STANDBY_DEFAULTS} == {"postmaster"}
    assert sum(bool(context(name, major)) for name in FIXED_PARAMETERS) > 50


def test_libraries() -> None:
    assert library_of("pg_stat_statements.track") == "pg_stat_statements"
    assert library_of("app.user") == ""
    assert library_of("work_mem") == ""


def test_the_servers_of_this_machine_say_the_same() -> None:
    table = read(FILE)
    for major, programs in installed().items():
        if major in table:
            said = contexts(programs)
            known = table[major][1]
            assert {name: said[name] for name in said if known.get(name) != said[name]}.keys() <= PATCHED
            assert {name for name in known if name not in said and "." not in name} <= PATCHED


def test_the_table_is_written_as_it_is_read(tmp_path) -> None:
    write(tmp_path / "again.json", read(FILE))
    assert (tmp_path / "again.json").read_text() == FILE.read_text()
