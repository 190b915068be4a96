import json
import os
from dataclasses import asdict

import pytest

from pgaas_lab import process
from pgaas_lab.process import Record

STAT = "42 ({name}) {state} 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3\n"


@pytest.mark.parametrize("name", ["etcd", "a b", "odd) S (name"])
def test_the_start_time_is_found_behind_any_name(name):
    assert process.parse_start_time(STAT.format(name=name, state="S")) == 98765


def test_a_zombie_has_no_start_time():
    assert process.parse_start_time(STAT.format(name="etcd", state="Z")) is None


def own_record() -> Record:
    started = process.start_time(os.getpid())
    assert started is not None
    return Record(os.getpid(), started, process.boot_id())


def test_this_process_is_running():
    assert process.is_running(own_record())


@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another boot"}, {"pid": 2**22 + 1}])
def test_a_stranger_with_the_same_number_is_not_ours(change):
    assert not process.is_running(Record(**(asdict(own_record()) | change)))


def test_a_stale_pid_file_kills_nobody_and_goes(tmp_path):
    file = tmp_path / "etcd.json"
    file.write_text(json.dumps(asdict(own_record()) | {"start": 1}))
    assert process.stop(file)
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "123", "{}", '{"pid": 1, "other": 2}', "[1]"])
def test_a_damaged_pid_file_is_no_process(tmp_path, text):
    file = tmp_path / "etcd.json"
    file.write_text(text)
    assert process.running(file) is None


def test_a_missing_pid_file_is_no_process(tmp_path):
    assert process.running(tmp_path / "none.json") is None
