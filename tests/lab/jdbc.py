"""PostgreSQL's own JDBC driver, and the smallest program that connects with it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ARTIFACT = "org.postgresql:postgresql:42.7.4"
PROGRAM = """
import java.sql.*;

public class Connect {
    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0]);
             ResultSet row = connection.createStatement().executeQuery(
                 "select current_user || ' in ' || current_database() || ', ssl ' || ssl"
                 + " from pg_stat_ssl where pid = pg_backend_pid()")) {
            row.next();
            System.out.println(row.getString(1));
        }
    }
}
"""


def driver(folder: Path) -> Path:
    """Return the driver, as Maven fetches it; a machine that cannot have it skips what needs it."""
    if shutil.which("mvn") is None:
        pytest.skip("there is no mvn to fetch the JDBC driver with")
    argv = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    jars = list(folder.glob("postgresql-*.jar"))
    if done.returncode or not jars:
        pytest.skip(f"the JDBC driver cannot be fetched: {done.stdout[-300:]}")
    return jars[0]


def connect(folder: Path, jar: Path, url: str, names: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Connect to a URL; `names` are addresses that Java is to know by name."""
    program, hosts = folder / "Connect.java", folder / "hosts"
    program.write_text(PROGRAM)
    hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    argv = ["java", f"-Djdk.net.hosts.file={hosts}", "-cp", str(jar), str(program), url]
    return subprocess.run(argv, capture_output=True, text=True, check=False)
