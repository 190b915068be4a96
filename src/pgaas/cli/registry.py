"""Which commands there are: enough for --help and completion, so that a command's module loads when called.

To add a command `do-it`: write `pgaas/cli/do_it.py` with one function `do_it`, and add a line here. The
function's parameters are made of the aliases in `options`, its docstring is the help text, examples
included, and its body imports its operation, calls it and prints.
"""

from __future__ import annotations

COMMANDS = {
    "Configuration (no cluster needed)": {
        "generate": "Write a cluster's values file, or everyone's with --all.",
        "preview": "Show what a cluster will be: access, storage, backups, names.",
        "explain": "Show where each setting came from, and what it overrode.",
        "template": "Print the Kubernetes objects of a cluster.",
        "template-infra": "Print the Kubernetes objects of the local infrastructure.",
    },
    "Clusters": {
        "create": "Create a cluster, or bring it up to date, and wait until it is healthy.",
        "status": "Show how a cluster is; exit 0 only when it is healthy.",
        "wait": "Wait until a cluster is healthy.",
        "upgrade": "Update a cluster's image, instance by instance.",
        "delete": "Delete a cluster; its archive stays in S3.",
    },
    "Housekeeping": {
        "check-tools": "List the outside tools: found, and needed.",
        "clean": "Remove confs/_generated.",
        "version": "Print pgaas's version.",
    },
}
SUMMARIES = {name: summary for commands in COMMANDS.values() for name, summary in commands.items()}
