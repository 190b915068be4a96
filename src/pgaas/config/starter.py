"""The databases.yaml that a client begins with: one database, one role, and where to read on."""

from __future__ import annotations

from pgaas.config.environments import resolve_environment
from pgaas.config.naming import Target, common_name

STARTER_DATABASE = "app_db"
STARTER_ROLE = "app_user"
SCHEMA_FILE = "databases.schema.json"
TEXT = """\
{schema}# {ins} in {env}. Keys: postgresql, plugins, databases, roles.
postgresql:
  majorVersion: {major}

# Each database has one owner, which must be among the roles below.
databases:
  - name: {database}
    owner: {role}

# Roles log in with a certificate, never with a password. The one of {role} has the common name
# {common_name}.
roles:
  - name: {role}
    login: true
"""


def starter_databases(ins: str, env: str, *, major: int, schemas: str = "") -> str:
    """Return a databases.yaml that works for any client in any environment that offers `major`.

    `schemas` is the folder with the JSON Schemas, relative to the folder of all clients (`schemas` in the
    clients' own repository): an editor then checks the file as it is typed. Raise UsageError for an ENV that
    can't be one.
    """
    environment = resolve_environment(env)
    schema = ""
    if schemas:
        up = "../" * (1 + len(environment.user_parts))
        schema = f"# yaml-language-server: $schema={up}{schemas}/{SCHEMA_FILE}\n"
    return TEXT.format(
        schema=schema,
        ins=ins,
        env=env,
        major=major,
        database=STARTER_DATABASE,
        role=STARTER_ROLE,
        common_name=common_name(STARTER_ROLE, Target(ins, env, "")),
    )
