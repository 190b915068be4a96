"""Which commands there are: enough for --help and completion, so that a command's module loads when called.

To add a command `do-it`: write `pgaas/cli/do_it.py` with one function `do_it`, and add a line here. The
function's parameters are made of the aliases in `options`, its docstring is the help text, examples
included, and its body imports its operation, calls it and prints. A group `do` of commands `do it` has an
entry in GROUPS too, and its functions are in `pgaas/cli/do.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

COMMANDS = {
    "Configuration (no cluster needed)": {
        "generate": "Write a cluster's values file, or everyone's with --all.",
        "validate": "Check clients' databases.yaml; exit 3 if one has an issue.",
        "preview": "Show what a cluster will be: access, storage, backups, names.",
        "users": "Make the clients' own repository.",
        "schema": "Write JSON Schemas of the configuration, for editors.",
        "explain": "Show where each setting came from, and what it overrode.",
        "template": "Print the Kubernetes objects of a cluster.",
        "template-infra": "Print the Kubernetes objects of the local infrastructure.",
        "diff": "Review a change: what it does to each cluster, from nothing to forbidden.",
    },
    "Clients": {
        "client": "Register a client, take one out, list them.",
        "list": "Show all clusters: what is configured, what is live, what differs.",
    },
    "The local environment": {
        "infra": "Install, try and remove what a local datacenter needs.",
    },
    "Clusters": {
        "create": "Create a cluster, or bring it up to date, and wait until it is healthy.",
        "status": "Show how a cluster is; exit 0 only when it is healthy.",
        "wait": "Wait until a cluster is healthy.",
        "backup": "Take a base backup now, or join one that is under way.",
        "backups": "List what can be restored: base backups, and how far WAL reaches.",
        "restore": "Restore into a new cluster beside the old one, and check it.",
        "upgrade": "Update a cluster's image, instance by instance.",
        "delete": "Delete a cluster; its archive stays in S3.",
        "update-dns": "Show where a client's primary alias points, or point it to a datacenter.",
        "exporter": "Tell Prometheus how every client is.",
    },
    "A client's daily work": {
        "credentials": "Export a role's certificate, ready for psql, JDBC, Python or Kubernetes.",
        "psql": "Open psql as a role, by its certificate, wherever the primary is.",
        "logs": "Show the logs of a cluster's instances, merged and readable.",
        "events": "Show what Kubernetes has noted about a cluster.",
    },
    "Two datacenters": {
        "switchover": "Move the primary to another datacenter without losing a row.",
        "demote": "Make a primary the replica of another datacenter's cluster.",
        "promote": "Make a replica the primary, with a token or without.",
        "rebuild": "Make a diverged or lost datacenter's cluster anew from the primary.",
        "fence": "Keep a datacenter's cluster from taking writes; its volumes stay.",
        "trust": "Show and mend whom each datacenter's clusters and clients trust.",
    },
    "Pipelines": {
        "ci": "Publish, fetch and deploy versions, as Jenkins and GitLab do.",
    },
    "Housekeeping": {
        "check-tools": "List the outside tools: found, and needed.",
        "clean": "Remove confs/_generated.",
        "version": "Print pgaas's version.",
        "package": "Write the package of a commit, which pgaas is deployed from.",
    },
}
GROUPS = {
    "client": {
        "add": "Register a client in an environment: clients.yaml and a databases.yaml.",
        "remove": "Take a client out of the files, once nothing of it lives.",
        "list": "Show who is a client: profile, datacenters, live clusters, differences.",
    },
    "ci": {
        "validate-parameters": "Check a deploy job's parameters; say all that is wrong at once.",
        "publish": "Publish a tag's files to Artifactory, and read them back.",
        "fetch": "Fetch a version of the platform and of the users' files, and make a root of them.",
        "deploy": "Create or upgrade clients one after the other; stop at the first failure.",
    },
    "users": {
        "init": "Make it, or add to it what is new in clients.yaml.",
    },
    "infra": {
        "install": "Install what is missing: operators, S3, LDAP, observability.",
        "status": "Show how each part is; exit 9 when one is not as it should be.",
        "test": "Try S3, LDAP, certificates and metrics; exit 9 when one does not work.",
        "delete": "Remove all of it, with the data in it.",
    },
    "trust": {
        "show": "Show whom each datacenter trusts; exit 9 when that is stale.",
        "sync": "Make each datacenter trust what it should, and nothing else.",
    },
}
# All other commands with --root get --users too: these read nothing of the clients.
WITHOUT_USERS = frozenset({"clean", "package", "schema"})
SUMMARIES = {name: summary for commands in COMMANDS.values() for name, summary in commands.items()}


def runnable(names: Iterable[str]) -> list[str]:
    """Return commands as they are typed: a group stands for those in it, such as `trust show`."""
    return [
        f"{name} {inner}" if inner else name
        for name in names
        for inner in GROUPS.get(name, dict.fromkeys([""]))
    ]
