from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pgaas.config.naming import Target, cluster_name
from pgaas.config.restored import check_restored_name, label_value, moment_text, parse_moment
from pgaas.errors import UsageError

OWN = [Target("ic1", "prod", "dc1"), Target("ic1", "prod", "dc2"), Target("is1", "staging", "dc1")]
DATACENTERS = ("dc1", "dc2")


@pytest.mark.parametrize("name", ["before-the-drop", "r", "restored-prod-ic1-dc1", "a" * 50, "prod-copy"])
def test_a_name_of_its_own_will_do(name: str) -> None:
    check_restored_name(name, OWN, DATACENTERS)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("prod-ic1-dc1", "never over it"),
        ("prod-ic1-dc1-restored", "one name begins with the other"),
        ("prod-ic1", "one name begins with the other"),
        # No such cluster yet, and there may be one tomorrow.
        ("prod-new1-dc1", "kept for clients' own clusters"),
        ("dev9-ic1-dc2", "kept for clients' own clusters"),
        ("a" * 51, "is no name"),
        ("Before", "is no name"),
        ("1st", "is no name"),
        ("a-", "is no name"),
        ("a.b", "is no name"),
        ("", "is no name"),
        ("../../etc", "is no name"),
        ("a\nb", "is no name"),
    ],
)
def test_a_name_that_pgaas_has_or_may_come_to_have_is_refused(name: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_restored_name(name, OWN, DATACENTERS)
    assert says in caught.value.what
    assert caught.value.next_step


def test_no_clusters_own_name_is_free() -> None:
    for target in OWN:
        with pytest.raises(UsageError):
            check_restored_name(cluster_name(target), OWN, DATACENTERS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-28T14:30:00Z", "2026-11-28T14:30:00.000000Z"),
        ("2026-11-28 14:30:00+02:00", "2026-11-28T12:30:00.000000Z"),
        (" 2026-11-28t14:30:00.5z ", "2026-11-28T14:30:00.500000Z"),
        ("2026-11-28T14:30:00.123456-05:30", "2026-11-28T20:00:00.123456Z"),
    ],
)
def test_a_time_with_its_zone(text: str, said: str) -> None:
    assert moment_text(parse_moment(text)) == said
    assert parse_moment(said) == parse_moment(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-11-28T14:30:00", "has no zone"),
        ("2026-11-28 14:30:00", "has no zone"),
        ("2026-11-28", "no time as RFC 3339"),
        ("yesterday", "no time as RFC 3339"),
        ("2026-11-28T14:30:00.1234567Z", "no time as RFC 3339"),
        ("2026-02-30T14:30:00Z", "no such time"),
        ("2026-11-28T25:30:00Z", "no such time"),
        ("0001-01-01T00:00:00+14:00", "not in these years"),
        ("9999-12-31T23:59:59-14:00", "not in these years"),
        ("2026-11-28T14:30:00Z' or '1", "no time as RFC 3339"),
        ("٢٠٢٦-11-28T14:30:00Z", "no time as RFC 3339"),
    ],
)
def test_a_time_that_is_none_or_could_be_another_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_moment(text)
    assert says in caught.value.what
    assert caught.value.next_step


def test_what_is_asked_for_fits_a_label() -> None:
    told = label_value(f"time {moment_text(datetime(2026, 11, 28, 14, 30, tzinfo=UTC))}")
    assert told == "time-2026-11-28T14-30-00.000000Z"
    assert len(label_value("backup " + "x" * 100)) <= 63
    assert label_value("backup _") == "backup"
