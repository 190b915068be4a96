"""How far the replica is behind, in seconds: idle, and while WAL is written steadily.

    uv run pgaas-lab up && uv run python bench/replica_lag.py

S3 is the only link, so a row is on the replica once the segment that holds it is full, or old enough, and
has been archived and restored. Under load, the age of the newest row that the replica shows is read again and
again. Idle, one row is written and waited for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

from measure import spread

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.lab.conftest import PGAAS_LAB, copy_root  # noqa: E402
from tests.lab.pair import Pair, Side, clean, create_both  # noqa: E402
from tests.lab.support import Lab, Pgaas, lab_environment, wait_until  # noqa: E402

DATABASE = "app_db"
PATIENCE = 600.0
PAUSE = 0.5
# Stored as it is, not compressed, so that as much WAL is written as the name says.
TABLE = """
    drop table if exists marks;
    create table marks (at timestamptz, filler text);
    alter table marks alter column filler set storage external;
"""
LOAD = """
    do $$ declare until timestamptz := clock_timestamp() + interval '{seconds} s'; begin
        while clock_timestamp() < until loop
            insert into marks values (clock_timestamp(), repeat(md5(random()::text), {blocks}));
            commit;
            perform pg_sleep(0.1);
        end loop;
    end $$
"""
BYTES_OF_A_BLOCK = 32
TENTHS = 10
AGE = "select extract(epoch from clock_timestamp() - max(at)) from marks"


def prepare(primary: Side, replica: Side) -> None:
    """Make the table anew, and wait until the replica has it."""
    primary.sql(TABLE, DATABASE)
    made = primary.sql("select 'marks'::regclass::oid", DATABASE)
    primary.sql("select pg_switch_wal()")
    wait_until(
        "the table on the replica",
        lambda: replica.sql(f"select count(*) from pg_class where oid = {made}", DATABASE) == "1",
        timeout=PATIENCE,
    )


def idle(primary: Side, replica: Side) -> float:
    """Return the seconds from a commit, after which nothing more is written, until the replica shows it."""
    started = time.monotonic()
    primary.sql("insert into marks values (clock_timestamp(), '')", DATABASE)
    wait_until(
        "the row", lambda: replica.sql("select count(*) from marks", DATABASE) != "0", timeout=PATIENCE
    )
    return time.monotonic() - started


def under_load(primary: Side, replica: Side, mebibytes: float, seconds: float) -> list[float]:
    """Return ages of the replica's newest row, read while so many MiB of WAL a second are written."""
    blocks = round(mebibytes * 1024 * 1024 / TENTHS / BYTES_OF_A_BLOCK)
    statement = LOAD.format(seconds=seconds, blocks=blocks)
    load = threading.Thread(target=primary.sql, args=(statement, DATABASE))
    load.start()
    ages: list[float] = []
    try:
        # The first segments are the load's beginning, not its steady state.
        wait_until("the first rows", lambda: replica.sql(AGE, DATABASE) != "", timeout=PATIENCE)
        while load.is_alive():
            ages.append(float(replica.sql(AGE, DATABASE)))
            time.sleep(PAUSE)
    finally:
        load.join()
    return ages


def main() -> None:
    """Print the lag under load, and idle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.25, 1.0, 4.0], metavar="MIB_A_SECOND")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each rate is kept")
    parser.add_argument("--idle", type=int, default=2, help="how often a single row is waited for")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, files = Path(folder) / "root", Path(folder) / "files"
        for each in (root, files):
            each.mkdir()
        pair = Pair(Pgaas(Lab(lab_environment(PGAAS_LAB)), copy_root(root)), files)
        clean(pair)
        create_both(pair)
        primary = pair.primary()
        replica = pair.other(primary)
        timeout = primary.sql("select setting from pg_settings where name = 'archive_timeout'")
        for rate in chosen.rates:
            prepare(primary, replica)
            ages = under_load(primary, replica, rate, chosen.seconds)
            print(f"{rate} MiB/s: {spread(ages)} s behind, {len(ages)} readings", flush=True)
        waits = []
        for _ in range(chosen.idle):
            prepare(primary, replica)
            waits.append(idle(primary, replica))
        print(f"idle: {spread(waits)} s until one row is there (archive_timeout {timeout} s)", flush=True)
        clean(pair)


if __name__ == "__main__":
    main()
