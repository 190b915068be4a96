"""PostgreSQL's own JDBC driver, from Maven Central, and the smallest program that connects with it."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest

JAR = "https://repo1.maven.org/maven2/org/postgresql/postgresql/42.7.4/postgresql-42.7.4.jar"
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
    """Return the driver; a machine that cannot have it skips what needs it."""
    jar = folder / "postgresql.jar"
    try:
        with urllib.request.urlopen(JAR, timeout=60) as answer:
            jar.write_bytes(answer.read())
    except OSError as error:
        pytest.skip(f"Maven Central cannot be reached: {error}")
    return jar


def connect(folder: Path, jar: Path, url: str, names: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Connect to a URL; `names` are addresses that Java is to know by name."""
    program, hosts = folder / "Connect.java", folder / "hosts"
    program.write_text(PROGRAM)
    hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    argv = ["java", f"-Djdk.net.hosts.file={hosts}", "-cp", str(jar), str(program), url]
    return subprocess.run(argv, capture_output=True, text=True, check=False)
