"""What changes of pgAdmin do: never anything to PostgreSQL, at worst something to who is logged in to it."""

from __future__ import annotations

from pgaas.render.effects_rules import Rule, comes_or_goes, on_or_off
from pgaas.render.marks import disruptive, nothing, reload

ANEW = disruptive("pgAdmin alone starts anew, and its users log in again; PostgreSQL is not touched")
REACHED = disruptive("pgAdmin may be found at another address; PostgreSQL is not touched")
POLICY = disruptive("who reaches pgAdmin, or what it reaches, changes")
TLS = reload("pgAdmin reads its certificate anew for each connection")
ORDER = nothing("only their order changes")

PGADMIN: dict[str, Rule] = {
    "pgadmin4.enabled": on_or_off(
        nothing("a pgAdmin beside the cluster"), disruptive("pgAdmin goes, with what its users left in it")
    ),
    "pgadmin4.target.*": ANEW,
    "pgadmin4.name": ANEW,
    "pgadmin4.namespace": ANEW,
    "pgadmin4.image": ANEW,
    "pgadmin4.resources.requests.*": ANEW,
    "pgadmin4.resources.limits.*": ANEW,
    "pgadmin4.email": ANEW,
    "pgadmin4.defaultPassword.*": ANEW,
    "pgadmin4.ldap.*": ANEW,
    "pgadmin4.ldap.bindPassword.*": ANEW,
    "pgadmin4.database.*": ANEW,
    "pgadmin4.database.connections.*": ANEW,
    "pgadmin4.database.connections.*.*": ANEW,
    "pgadmin4.certificate.name": ANEW,
    "pgadmin4.certificate.clusterIssuer": disruptive(
        "pgAdmin's certificate comes from another root: browsers that trust the former one alone complain"
    ),
    "pgadmin4.certificate.duration": TLS,
    "pgadmin4.certificate.renewBefore": TLS,
    "pgadmin4.certificate.dnsNames": comes_or_goes(
        TLS, disruptive("who calls pgAdmin by this name gets a warning"), ORDER
    ),
    "pgadmin4.service.type": REACHED,
    "pgadmin4.service.externalTrafficPolicy": REACHED,
    "pgadmin4.service.annotations.*": REACHED,
    "pgadmin4.networkPolicy.enabled": POLICY,
    "pgadmin4.networkPolicy.cluster": POLICY,
    "pgadmin4.networkPolicy.ldapPort": POLICY,
    "pgadmin4.networkPolicy.ldapNamespace": POLICY,
    "pgadmin4.networkPolicy.otherSide": POLICY,
    "pgadmin4.networkPolicy.allowedNamespaces": comes_or_goes(
        nothing("pgAdmin is reached from there too"), POLICY, ORDER
    ),
    "pgadmin4.networkPolicy.allowedCIDRs": ORDER,
    "pgadmin4.networkPolicy.allowedCIDRs.*": comes_or_goes(
        nothing("pgAdmin is reached from there too"), POLICY
    ),
    "pgadmin4.networkPolicy.allowedCIDRs.*.except": comes_or_goes(
        POLICY, nothing("pgAdmin is reached from there too"), ORDER
    ),
}
