"""`pgaas generate --all` for a thousand clients: time and memory per client, on one core.

uv run python bench/generate_all.py
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import Usage, spread, usage

ROOT = Path(__file__).resolve().parent.parent
PGAAS = str(Path(sys.executable).with_name("pgaas"))
CLIENT = """\
  {ins}:
    datacenters: [dc1]
    s3Bucket: {ins}-hp-backups
    storageProfile: M
    s3Credentials:
      secretName: {ins}-s3-credentials
    ldapCredentials:
      bindDn: "cn=pgadmin-{ins},ou=services,dc=example,dc=com"
      bindPasswordSecret: {ins}-ldap-bind-password
"""


def make_root(folder: Path, clients: int) -> Path:
    """Write a root whose hp environment has so many clients, each with ic1's dev1 databases."""
    shutil.copy(ROOT / "helmfile.yaml", folder)
    shutil.copytree(ROOT / "confs" / "admin" / "hp", folder / "confs" / "admin" / "hp")
    databases = (ROOT / "confs" / "users" / "ic1" / "hp" / "dev1" / "databases.yaml").read_text()
    registry = ["clients:\n"]
    for number in range(clients):
        ins = f"c{number:04}"
        registry.append(CLIENT.format(ins=ins))
        user = folder / "confs" / "users" / ins / "hp" / "dev1"
        user.mkdir(parents=True)
        (user / "databases.yaml").write_text(databases.replace(".ic1.", f".{ins}."))
    (folder / "confs" / "admin" / "hp" / "clients.yaml").write_text("".join(registry))
    return folder


def generate_all(clients: int) -> Usage:
    """Generate every client of a fresh root."""
    with tempfile.TemporaryDirectory() as folder:
        root = make_root(Path(folder), clients)
        return usage([PGAAS, "generate", "--all", "--root", str(root)])


def main() -> None:
    """Print the milliseconds that each further client costs, and the peak memory at both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=1000)
    options = parser.parse_args()
    small, large = options.clients // 10, options.clients
    pairs = [(generate_all(small), generate_all(large)) for _ in range(options.rounds)]
    each = spread([1000 * (b.wall - a.wall) / (large - small) for a, b in pairs])
    whole = spread([1000 * b.wall / large for _, b in pairs])
    print(f"milliseconds for each further client, one core: {each} (goal: under 5)")
    print(f"milliseconds a client, start-up included: {whole}")
    for clients, runs in ((small, [a for a, _ in pairs]), (large, [b for _, b in pairs])):
        print(f"peak memory with {clients} clients, MiB: {spread([run.peak_mebibytes for run in runs])}")


if __name__ == "__main__":
    main()
