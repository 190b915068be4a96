# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.config.models import types
from pgaas.config.models.types import duration_seconds, image_major, quantity_value
from pgaas.config.parameters import FIXED_PARAMETERS, check_parameter_name

GOOD: list[tuple[Callable[[str], str], list[str]]] = [
    (types.check_quantity, ["1", "0.5", "500m", "1.5Gi", "5Gi", "100k", "1e3", "2E", "1Ei", ".5"]),
    (types.check_size, ["512Mi", "1Gi", "1073741824"]),
    (types.check_duration, ["2160h", "1h30m", "90s", "1.5h", "100ms"]),
    (types.check_schedule, ["0 0 1 * * *", "*/10 0,30 1-5 ? jan-MAR Mon-fri", "0 0 0 31 12 6", "0 0 0/2 * * 0"]),
    (types.check_dns_name, ["example.com", "a", "1.example.com", "a-b.c"]),
    (types.check_bucket, ["ic1-backups", "a.b", "abc", "0ab", "a" * 63]),
    (types.check_cidr, ["10.0.0.0/8", "0.0.0.0/0", "192.168.1.1/32", "2001:db8::/32"]),
    (types.check_image, ["ghcr.io/cloudnative-pg/postgresql:17.6-standard-trixie", "localhost:5000/a/pg:17",
                         "r.io/pg:16.1@sha256:" + "a" * 64]),
    (types.check_line, ["admin", "a b", "é"]),
    (types.check_distinguished_name, ["dc=a", "cn=admin,dc=pgaas,dc=local", r"cn=a\,b, ou=x"]),
    (types.check_search_filter, ["(objectclass=*)", "(&(a=b)(c=d))"]),
    (types.check_annotation, ["a", "example.com/a_b.c-d", "service.beta.kubernetes.io/aws-load-balancer-type"]),
    (types.check_text, ["", "a"]),
]  # fmt: skip
BAD: list[tuple[Callable[[str], str], list[str]]] = [
    (types.check_quantity, ["", "0", "0Gi", "-1", "5gi", "5 Gi", "5GB", "five", "1Gi\n", "١Gi"]),
    (types.check_size, ["500m", "1u", ""]),
    (types.check_duration, ["", "0h", "90d", "1", "h", "1h ", "-1h", "1h30", "١h"]),
    (types.check_schedule, ["", "0 1 * * *", "0 0 1 * * * *", "60 0 1 * * *", "0 60 1 * * *", "0 0 24 * * *",
                            "0 0 0 0 * *", "0 0 0 32 * *", "0 0 0 * 13 *", "0 0 0 * * 7", "0 0 5-1 * * *",
                            "0 0 */0 * * *", "? 0 0 * * *", "@daily", "0 0 a * * *", "0 0 1- * * *", "0 0 1/x * * *",
                            "0 0 1,, * * *", "0 0 ¹ * * *"]),
    (types.check_dns_name, ["", "a..b", ".a", "a.", "A.com", "a_b", "-a", "a-", "a" * 64, "a b", "a\n",
                            ".".join(["a" * 60] * 5)]),
    (types.check_dns_suffix, [".".join(["a" * 47] * 3), "A"]),
    (types.check_bucket, ["", "ab", "A-b", "a_b", "a..b", "-ab", "ab-", "10.0.0.1", "a" * 64, "a/b", "abc\n"]),
    (types.check_cidr, ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "x/8", "2001:DB8::/32",
                        "10.0.0.0/8\n", "10.0.0.0/08"]),
    (types.check_image, ["", "postgres", "postgres:17", "ghcr.io/a/b", "ghcr.io/a/b:latest", "ghcr.io/A/b:17",
                         "ghcr.io/a/b:17 ", "ghcr.io/a/b:17@sha256:abc", "ghcr.io/a/b:v17"]),
    (types.check_line, ["", " ", "a\nb", "a\rb", "a\0b", "a\u2028b", "a\x85b"]),
    (types.check_distinguished_name, ["", "admin", "dc=", "=a", "dc=a,,dc=b", "dc=a\nb"]),
    (types.check_search_filter, ["", "(uid={login})", "objectclass=*", "(a=b", "(a=b))", "(a=b)(c=d)", ")("]),
    (types.check_annotation, ["", "/a", "a/", "A.com/a", "a b", "-a", "a" * 64, "a/b/c"]),
    (types.check_text, ["a\nb", "a\tb"]),
]  # fmt: skip


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in GOOD for value in values])
def test_taken(check: Callable[[str], str], value: str) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in BAD for value in values])
def test_refused(check: Callable[[str], str], value: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        check(value)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("https://s3.example.com", True),
        ("http://192.168.49.2:30333", True),
        ("https://[2001:db8::1]:9000", True),
        ("https://s3.example.com/", True),
        ("s3.example.com", False),
        ("ftp://s3.example.com", False),
        ("https://", False),
        ("https://a b", False),
        ("https://user:pw@s3.example.com", False),
        ("https://s3.example.com/path", False),
        ("https://s3.example.com?x=1", False),
        ("https://s3.example.com:0", False),
        ("https://s3.example.com:99999", False),
        ("https://s3.example.com:x", False),
        ("https://S3_example.com", False),
        ("https://[::1", False),
        ("https://s3.example.com\n", False),
        ("https://exämple.com", False),
    ],
)
def test_urls(value: str, taken: bool) -> None:
    check = types._url(("http", "https"), "https://s3.example.com")
    if taken:
        assert check(value) == value
        return
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        check(value)
    assert "pw" not in str(error.value)


@given(st.text(max_size=30))
def test_any_text_is_taken_or_refused_in_one_line(text: str) -> None:
    for check, _ in BAD:
        message = ""
        try:
            assert check(text) == text
        except ValueError as error:
            message = str(error)
        assert "\n" not in message


def test_comparing_quantities() -> None:
    ordered = ["1m", "100m", "1", "1k", "1Ki", "1e6", "1Mi", "2M", "1G", "1Gi", "1E", "1Ei"]
    assert sorted(ordered, key=quantity_value) == ordered
    assert quantity_value("1024Mi") == quantity_value("1Gi")
    assert duration_seconds("1h30m") == duration_seconds("90m") == 5400


def test_the_major_version_of_an_image() -> None:
    assert image_major("ghcr.io/cloudnative-pg/postgresql:17.6-standard-trixie") == 17
    assert image_major("localhost:5000/pg:9") == 9


def test_parameter_names() -> None:
    assert check_parameter_name("work_mem") == "work_mem"
    assert check_parameter_name("pg_stat_statements.max") == "pg_stat_statements.max"
    for name in ["", "Work_Mem", "work mem", "a.b.c", "work_mem\n", "1a", "a='x'", "é"]:
        with pytest.raises(ValueError, match="is not the name"):
            check_parameter_name(name)
    for name in [
        "archive_command",
        "listen_addresses",
        "port",
        "ssl",
        "hba_file",
        "shared_preload_libraries",
    ]:
        with pytest.raises(ValueError, match=f"{name} can't be set: {FIXED_PARAMETERS[name]}"):
            check_parameter_name(name)
