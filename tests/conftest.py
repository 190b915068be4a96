"""What all tests share: the repository on the path, and golden files that are compared or written anew."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).resolve().parents[1]
GOLDEN = REPOSITORY / "tests" / "golden"

# So that `from tests.charts.support import …` finds the same module from wherever pytest is started.
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))


def pytest_configure() -> None:
    """Let signals through: to start the tests in the background is to have them ignored, by children too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


class WholeFiles(LoadScopeScheduling):
    """Of several processes, let one run a whole file, and one all that needs what this machine has once.

    That is the lab, and the place for keys in memory, where tests of psql see that nothing is left.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "lab" if file.startswith(("tests/lab/", "tests/cli/test_psql")) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeFiles:
    """Say how tests are handed out where there are several processes: pytest -n."""
    return WholeFiles(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --refresh-golden."""
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="write tests/golden anew instead of comparing with it; review the change as a diff",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file below tests/golden, or write it there with --refresh-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--refresh-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.is_file():
            pytest.fail(f"{path} is missing: run pytest with --refresh-golden, and review what it wrote")
        else:
            assert text == path.read_text(), f"{name} differs: if it should, run pytest with --refresh-golden"

    return compare
