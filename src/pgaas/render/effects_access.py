"""What changes of who may log in, and from where, do: roles, databases, certificates, policies."""

from __future__ import annotations

from pgaas.render.access import REJECT_ALL
from pgaas.render.effects_rules import Rule, comes_or_goes, identity, more_or_less, on_or_off
from pgaas.render.leaves import Leaf
from pgaas.render.marks import Effect, disruptive, forbidden, nothing, reload
from pgaas.render.sides import Sides

AT_ONCE = nothing("the operator makes it so at once, in SQL")
ABSENT = "absent"
DROPPED = disruptive("the role is dropped; PostgreSQL refuses that as long as it owns anything")
LOSES = disruptive("the role loses it at once")
RENEWED = reload("a new certificate is issued, and PostgreSQL takes it up when it reloads")
POLICY = disruptive("who may connect changes")


def _hba(leaf: Leaf, _: Sides) -> Effect:
    if REJECT_ALL in (leaf.before, leaf.after):
        return forbidden("without its last rule pg_hba would let everybody in who has a password")
    if leaf.removed:
        return disruptive("who came in by it is refused at the next login; open sessions stay")
    return reload("counts for new connections")


def _database(leaf: Leaf, sides: Sides) -> Effect:
    if leaf.removed:
        return disruptive(
            "nothing is dropped (databaseReclaimPolicy: retain), but nobody may log in to it any more"
        )
    resource = leaf.after.get("resource") if isinstance(leaf.after, dict) else None
    if resource in sides.resources_of_databases():
        return forbidden("its object belongs to another database, and can't be renamed")
    return AT_ONCE


def _role_added(leaf: Leaf, _: Sides) -> Effect:
    if isinstance(leaf.after, dict) and leaf.after.get("ensure") == ABSENT:
        return DROPPED
    return AT_ONCE


def _role_removed(leaf: Leaf, _: Sides) -> Effect:
    if isinstance(leaf.before, dict) and leaf.before.get("ensure") == ABSENT:
        return nothing("the role was dropped before; nobody sees to it any more")
    if isinstance(leaf.before, dict) and leaf.before.get("login") is False:
        return nothing("the role stays in PostgreSQL; nobody keeps it any more")
    return disruptive("the role stays in PostgreSQL, but may not log in any more")


def _ensured(leaf: Leaf, _: Sides) -> Effect:
    if leaf.after == ABSENT:
        return DROPPED
    return AT_ONCE


def _limit(value: object) -> float | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return float("inf") if value < 0 else value


def _group(leaf: Leaf, _: Sides) -> Effect:
    if leaf.before in (None, ""):
        return nothing("a group more may look")
    return disruptive("a group loses its rights")


RIGHT: Rule = on_or_off(AT_ONCE, LOSES)
ACCESS: dict[str, Rule] = {
    "cluster.pgHba": _hba,
    "cluster.pgIdent": comes_or_goes(
        reload("counts for new connections"),
        disruptive("certificates of this common name are refused at the next login"),
        reload("only their order changes"),
    ),
    "cluster.roles": nothing("only their order changes"),
    "cluster.roles.*": comes_or_goes(_role_added, _role_removed),
    "cluster.roles.*.ensure": _ensured,
    "cluster.roles.*.login": on_or_off(AT_ONCE, disruptive("the role may not log in any more")),
    "cluster.roles.*.superuser": RIGHT,
    "cluster.roles.*.createdb": RIGHT,
    "cluster.roles.*.createrole": RIGHT,
    "cluster.roles.*.replication": RIGHT,
    "cluster.roles.*.bypassrls": RIGHT,
    "cluster.roles.*.inherit": RIGHT,
    "cluster.roles.*.connectionLimit": more_or_less(
        AT_ONCE, disruptive("new logins above it are refused; open sessions stay"), _limit
    ),
    "cluster.roles.*.inRoles": comes_or_goes(AT_ONCE, LOSES, nothing("only their order changes")),
    "databases": nothing("only their order changes"),
    "databases.*": _database,
    "databases.*.resource": identity("the name of a Database object"),
    "databases.*.owner": disruptive("the former owner loses its rights"),
    "certificates.clusterIssuer": disruptive(
        "the server's certificate has another root: clients that trust the former one alone refuse it"
    ),
    "certificates.duration": RENEWED,
    "certificates.renewBefore": RENEWED,
    "certificates.caDuration": reload("the client CA is renewed with the same key: certificates stay valid"),
    "certificates.selfSigned": nothing("the Issuer of the client CA under another name"),
    "certificates.clientCA": disruptive("a new client CA: every client needs a new certificate"),
    "certificates.clientCASecret": reload("PostgreSQL reads whom it trusts from another Secret"),
    "certificates.replication": RENEWED,
    "certificates.server.name": RENEWED,
    "certificates.server.dnsNames": comes_or_goes(
        RENEWED,
        disruptive("clients that connect by this name no longer find it in the certificate"),
        nothing("only their order changes"),
    ),
    "certificates.clients": nothing("only their order changes"),
    "certificates.clients.*": comes_or_goes(
        nothing("a certificate more is issued"), disruptive("nobody renews this certificate any more")
    ),
    "certificates.clients.*.commonName": disruptive("who holds the former certificate is refused"),
    "certificates.clients.*.role": disruptive("the certificate is another role's"),
    "networkPolicy.enabled": POLICY,
    "networkPolicy.operatorNamespace": disruptive(
        "the operator must reach the instances from there, or calls none of them ready"
    ),
    "networkPolicy.monitoringNamespaces": comes_or_goes(
        nothing("who scrapes metrics may come from there"),
        disruptive("metrics can't be scraped from there any more"),
        nothing("only their order changes"),
    ),
    "networkPolicy.allowedNamespaces": comes_or_goes(
        nothing("new connections may come from there"), POLICY, nothing("only their order changes")
    ),
    "networkPolicy.allowedCIDRs": nothing("only their order changes"),
    "networkPolicy.allowedCIDRs.*": comes_or_goes(nothing("new connections may come from there"), POLICY),
    "networkPolicy.allowedCIDRs.*.except": comes_or_goes(
        POLICY, nothing("new connections may come from there"), nothing("only their order changes")
    ),
    "rbac.enabled": on_or_off(nothing("groups get their rights"), disruptive("groups lose their rights")),
    "rbac.adminGroup": disruptive("who may manage this client changes"),
    "rbac.clientGroup": _group,
}
