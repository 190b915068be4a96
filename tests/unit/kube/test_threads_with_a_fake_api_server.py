"""Several datacenters are looked at by several threads, each of which may be the first to meet a refusal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.unit.kube.fakes import use_kubeconfig

REPOSITORY = Path(__file__).resolve().parents[3]
# In a process of its own: what this guards against is a crash of the process, at the first use of a type.
FIRST_USES = """
import sys, threading
sys.setswitchinterval(1e-6)
from tests.unit.kube.fakes import FakeServer, failure, fake_api
from pgaas.kube.resources import CONFIG_MAP, POD
together = threading.Barrier(4)
def look():
    server = FakeServer()
    server.answers["GET /api/v1/namespaces/a/configmaps/b"] = failure(404, "NotFound", "not found")
    api = fake_api(server)
    together.wait()
    assert api.get(CONFIG_MAP, "b", "a") is None
    assert api.find(POD, "a") == []
    done.append(True)
done = []
threads = [threading.Thread(target=look) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(0 if len(done) == 4 else 3)
"""
TIMES = 5


def test_the_first_answers_to_several_threads_do_not_end_the_process(tmp_path: Path, monkeypatch) -> None:
    use_kubeconfig(tmp_path, monkeypatch)
    ends = [
        subprocess.run(
            [sys.executable, "-c", FIRST_USES], cwd=REPOSITORY, capture_output=True, check=False, timeout=60
        ).returncode
        for _ in range(TIMES)
    ]
    assert ends == [0] * TIMES
