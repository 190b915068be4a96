import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pgaas_lab import cgroups, charts, datacenters, machine, mounts, node, paths, steps
from pgaas_lab.cli import app
from pgaas_lab.errors import ToolFailed, ToolMissing, UsageError

MOUNTS = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""


def test_cgroup_hierarchies_are_told_apart():
    found = cgroups.parse_hierarchies(MOUNTS)
    assert found["pids"] == Path("/sys/fs/cgroup/pids")
    assert found["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert found["v2"] == Path("/sys/fs/cgroup/unified")
    assert "rw" not in found


def test_mounts_under_a_folder_come_newest_first_and_strangers_not_at_all():
    line = "1 2 0:1 / {} rw,relatime - tmpfs tmpfs rw"
    points = ["/run/pgaas-lab/cluster1/a", "/run/pgaas-lab-other/x", "/run/pgaas-lab/with\\040blank", "/run"]
    found = mounts.parse_mounts("\n".join(line.format(point) for point in points), [Path("/run/pgaas-lab")])
    assert found == ["/run/pgaas-lab/with blank", "/run/pgaas-lab/cluster1/a"]


def test_a_user_who_is_not_root_is_told(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="root"):
        machine.check()


def test_another_system_is_told(monkeypatch):
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    with pytest.raises(UsageError, match="minikube"):
        machine.check()


def test_a_full_disk_is_told_before_anything_is_built(monkeypatch):
    monkeypatch.setattr(machine, "BUILD_BYTES", 2**80)
    with pytest.raises(ToolFailed, match="make room"):
        machine.check_space(building=True)


def test_missing_go_is_told(monkeypatch):
    monkeypatch.setattr(machine.packages, "which", lambda _: None)
    with pytest.raises(ToolMissing, match="install Go"):
        machine.check_go()


def test_env_prints_lines_for_eval(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    printed = CliRunner().invoke(app, ["env"]).output.splitlines()
    assert printed == [
        f'export PATH="{tmp_path}/cache/pgaas-lab/path:$PATH"',
        f'export KUBECONFIG="{tmp_path}/state/pgaas-lab/kubeconfig"',
        f'export PGAAS_CHARTS="{tmp_path}/cache/pgaas-lab/charts/{charts.key()}"',
    ]


def test_a_datacenter_is_chosen_by_name():
    assert datacenters.select("all") == datacenters.ALL
    assert [each.name for each in datacenters.select("cluster2")] == ["cluster2"]
    with pytest.raises(UsageError, match="cluster1, cluster2, all"):
        datacenters.select("cluster3")


def test_two_nodes_share_no_folder_and_no_network():
    first, second = datacenters.ALL
    assert node.kubelet_config(first)["podLogsDir"] != node.kubelet_config(second)["podLogsDir"]
    assert cgroups.system(first) != cgroups.system(second)
    assert first.pod_network != second.pod_network
    assert first.service_network != second.service_network
    assert str(paths.RUN) in str(first.socket)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (31.4, "31 s"), (125, "2 min 5 s")]
)
def test_durations(seconds, text):
    assert steps.duration(seconds) == text
