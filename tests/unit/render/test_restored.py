"""What a restored cluster is made of, beside what its source is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.render.support import resolved

from pgaas.config.naming import Target, cluster_name, service_names
from pgaas.config.resolved import Collector
from pgaas.render.build import build_values
from pgaas.render.restored import Restoring, archive_path, restored_values
from pgaas.render.values import GeneratedValues

OWN, OTHER = Target("ic1", "prod", "dc1"), Target("ic1", "prod", "dc2")
MOMENT = "2026-11-28T14:30:00.000000Z"
WANTED = Restoring(
    name="before-the-drop",
    source=OWN,
    server_name="prod-ic1-dc1-g2",
    request=f"time {MOMENT}",
    backup_id="20261128T010000",
    image="registry.example.com/postgresql:17.6",
    major=17,
    target_time=MOMENT,
)
PAIR: dict[str, Any] = {"replication": {"enabled": True}}


def restored(wanted: Restoring = WANTED, **special: Any) -> GeneratedValues:
    return restored_values(resolved(client=PAIR, **special), wanted)


def words(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(words, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(words, value)) if value else set()
    return {str(value)}


def test_it_never_archives_and_prunes_nothing() -> None:
    values = restored()
    assert values.cluster.plugins == []
    assert values.scheduled_backup.enabled is False
    assert [store.retention_policy for store in values.object_stores] == [""]


def test_it_is_no_part_of_the_pair_and_nobody_is_led_to_it() -> None:
    values = restored()
    assert values.replication.enabled is False
    assert values.replication.external_clusters == []
    assert values.cluster.services == []
    assert values.dns.endpoint is False
    assert values.monitoring.enabled is False
    assert values.pgadmin4.enabled is False
    assert values.rbac.enabled is False


def test_the_collector_is_let_in_by_its_source_alone() -> None:
    seen = resolved(client=PAIR)._replace(collector=Collector("monitoring", "otel-collector"))
    assert build_values(seen).monitoring.collector_account == "otel-collector"
    assert restored_values(seen, WANTED).monitoring.collector_account == ""


def test_no_object_of_it_has_a_name_of_its_sources() -> None:
    """But for the archive that is read, and the common names by which the client's certificates log in."""
    source = build_values(resolved(client=PAIR)).plain()
    named = {
        source["cluster"]["name"],
        source["imageCatalog"]["name"],
        *(store["name"] for store in source["objectStores"]),
        *(source["certificates"][part] for part in ("selfSigned", "clientCA", "clientCASecret")),
        source["certificates"]["replication"],
        source["certificates"]["server"]["name"],
        *(client["name"] for client in source["certificates"]["clients"]),
        source["monitoring"]["configMap"],
        *service_names(OWN),
    }
    plain = restored(replace(WANTED, own_clients=True)).plain()
    plain["restore"]["restoredFrom"] = plain["cluster"]["bootstrap"]["source"] = ""
    assert words(plain) & named == set()


def test_the_clients_certificates_open_it_and_the_rules_are_the_same() -> None:
    source, values = build_values(resolved(client=PAIR)), restored()
    assert values.cluster.pg_hba == source.cluster.pg_hba
    assert values.cluster.pg_ident == source.cluster.pg_ident
    assert values.certificates.clients == []
    assert values.certificates.client_ca_secret == "before-the-drop-client-ca-bundle"
    assert values.network_policy.plain() == source.network_policy.plain()


def test_where_the_sources_ca_is_gone_it_issues_certificates_with_the_same_common_names() -> None:
    source, values = build_values(resolved()), restored(replace(WANTED, own_clients=True))
    before = {client.role: client.common_name for client in source.certificates.clients}
    assert {client.role: client.common_name for client in values.certificates.clients} == before
    assert {client.name for client in values.certificates.clients} == {
        f"before-the-drop-client-{role.replace('_', '-')}" for role in before
    }


def test_the_servers_certificate_is_for_its_own_names_alone() -> None:
    names = restored().certificates.server.dns_names
    assert "before-the-drop-rw.ic1-prod.svc.cluster.local" in names
    assert all(name.startswith("before-the-drop-r") for name in names)


def test_it_recovers_from_the_backup_and_to_the_moment_that_were_chosen() -> None:
    values = restored()
    assert values.cluster.bootstrap.method == "recovery"
    assert values.cluster.bootstrap.source == values.restore.restored_from == cluster_name(OWN)
    assert (values.restore.server_name, values.restore.backup_id) == ("prod-ic1-dc1-g2", "20261128T010000")
    assert (values.restore.target_time, values.restore.target_immediate) == (MOMENT, False)
    assert values.restore.request == f"time {MOMENT} of prod-ic1-dc1-g2"
    at_end = restored(replace(WANTED, target_time="", immediate=True, timeline=3))
    assert (at_end.restore.target_time, at_end.restore.target_tli) == ("", "3")


def test_the_image_is_the_sources_and_the_volume_is_as_large_as_asked() -> None:
    values = restored(replace(WANTED, storage_size="7Gi"))
    assert [entry.plain() for entry in values.image_catalog.images] == [
        {"major": 17, "image": "registry.example.com/postgresql:17.6"}
    ]
    assert values.cluster.storage.size == "7Gi"
    assert restored().cluster.storage.size == "5Gi"
    assert values.cluster.instances == 1


def test_another_datacenters_archive_is_read_where_this_side_has_it() -> None:
    own, mirrored = resolved(client=PAIR), {"replication": {"enabled": True, "replicaSource": "mirror"}}
    assert archive_path(own, OTHER) == "s3://ic1-backups/ic1-prod-dc2-backup/"
    assert archive_path(resolved(client=mirrored), OTHER) == "s3://ic1-backups/ic1-prod-dc2-replica/"
    assert archive_path(resolved(client=mirrored), OWN) == "s3://ic1-backups/ic1-prod-dc1-backup/"
    [store] = restored(replace(WANTED, source=OTHER)).object_stores
    assert store.destination_path == "s3://ic1-backups/ic1-prod-dc2-backup/"
    assert store.endpoint_url == "https://s3.dc1.example.com"


def test_the_sidecar_gets_the_variables_once() -> None:
    [store] = restored(replace(WANTED, source=OTHER)).object_stores
    assert len({each.name for each in store.sidecar_env}) == len(store.sidecar_env) > 0
