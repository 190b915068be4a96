"""The files of the clients' own repository but for databases.yaml: texts for people, CI and editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgaas.config.schema import USER_SCHEMA, schema_file

SCHEMAS_FOLDER = ".schemas"
CODEOWNERS = "CODEOWNERS"
BEGIN = "# BEGIN pgaas: made by `pgaas users init` from clients.yaml; edits up to END pgaas will be lost."
END = "# END pgaas"

README = """\
# Databases of our clients

Each client has a folder here, and in it one `databases.yaml` for each environment. What stands in it is what
the platform runs: databases, the roles that own and use them, a few settings of PostgreSQL.

```
INS/ENV/databases.yaml      local, perf, pprod, prod
INS/hp/ENV/databases.yaml   any other environment, such as dev1
```

## To change something

1. Change your `databases.yaml` on a branch.
2. Check it: `pgaas validate INS/ENV/databases.yaml`.
3. Open a merge request. Those who own the folder (`CODEOWNERS`) approve it, and the pipeline checks it again.
4. Once it is merged, the platform team deploys it.

## What a file holds

| key | what it is |
| --- | --- |
| `postgresql` | `majorVersion`, and `parameters` that the platform leaves to you |
| `databases` | each with a `name` and an `owner` |
| `roles` | who owns and uses them: `name`, `login`, `inRoles`, `databases` |
| `plugins` | CloudNativePG plugins that the platform offers |

Roles log in with a certificate, never with a password. A database that is taken out of the list is kept in
the cluster. A role is removed with `ensure: absent`.

## Checks while you type, and before you commit

An editor with a YAML language server (in VS Code, the extension of Red Hat) completes keys, says what each is
for, and marks mistakes. It reads `.schemas/databases.schema.json`; `.vscode/settings.json` tells it so.

`pre-commit install` runs `pgaas validate` on what you commit. It needs `pgaas` and `pre-commit` on your PATH.

## What is refused

A client's folder is a folder, not a link, and nothing in it leads out of it. A file is called exactly
`databases.yaml`, and has at most 1 MiB.
"""

PRE_COMMIT = """\
# `pre-commit install` runs this before each commit. pgaas has to be on your PATH. To have pre-commit install
# it, write the platform's own repository (repo: URL, rev: TAG) in the place of `local`, with the id alone.
repos:
  - repo: local
    hooks:
      - id: pgaas-validate
        name: pgaas validate
        entry: pgaas validate
        language: system
        files: (?i)(^|/)databases\\.ya?ml$
        types: []
        types_or: [file, symlink]
        require_serial: true
"""

GITLAB_CI = """\
# Checks every merge request. PGAAS_IMAGE is an image with pgaas in it: a CI/CD variable of the project.
# With a checkout of the platform's repository as PGAAS_ROOT, its files are looked at too.
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH

validate:
  image: $PGAAS_IMAGE
  script:
    - pgaas validate . -o gitlab > gl-code-quality-report.json
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
"""

VSCODE = """\
{
  "yaml.schemas": {
    "./.schemas/databases.schema.json": "**/databases.yaml"
  }
}
"""

# What a person may change: written once, and then left alone.
WRITTEN_ONCE: Mapping[str, str] = {
    "README.md": README,
    ".pre-commit-config.yaml": PRE_COMMIT,
    ".gitlab-ci.yml": GITLAB_CI,
    ".vscode/settings.json": VSCODE,
}
SCHEMA_PATH = f"{SCHEMAS_FOLDER}/{schema_file(USER_SCHEMA)}"


def code_owners(platform: Sequence[str], clients: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Return the lines of CODEOWNERS that pgaas looks after.

    `clients` are the owners of each client by environment folder (local, hp, perf, pprod, prod), `platform`
    those who may approve everything. The last line that fits a file counts, so the platform is in each.
    """
    lines = [BEGIN]
    lines += [f"* {' '.join(platform)}"] if platform else ["# clients.yaml names no owners of the whole"]
    for ins, environments in sorted(clients.items()):
        all_owners = list(dict.fromkeys(owner for owners in environments.values() for owner in owners))
        lines.append(_line(f"/{ins}/", all_owners, platform))
        if all(set(owners) == set(all_owners) for owners in environments.values()):
            continue
        lines += [_line(f"/{ins}/{env}/", owners, platform) for env, owners in sorted(environments.items())]
    return "\n".join([*lines, END]) + "\n"


def _line(place: str, owners: Sequence[str], platform: Sequence[str]) -> str:
    everyone = dict.fromkeys([*owners, *platform])
    return f"{place} {' '.join(everyone)}" if everyone else f"# {place} has no owners in clients.yaml"


def with_block(text: str, block: str) -> str | None:
    """Return a text with its part between BEGIN and END replaced, or None if it has no such part.

    The begin is told by its first words, so that its explanation may change.
    """
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith(BEGIN.partition(":")[0])]
    ends = [number for number, line in enumerate(lines) if line.rstrip() == END]
    if len(starts) != 1 or len(ends) != 1 or ends[0] < starts[0]:
        return None
    return "".join([*lines[: starts[0]], block, *lines[ends[0] + 1 :]])
