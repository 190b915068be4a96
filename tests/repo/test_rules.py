"""The rules that the code keeps, as tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted((REPOSITORY / "src").rglob("*.py"))
CODE = sorted(
    path
    for folder in ("src", "tests", "bench", "dashboards", "settings", "lab/src", "lab/tests")
    for path in (REPOSITORY / folder).rglob("*.py")
)
ONLY_PROCESSES = "src/pgaas/tools/command.py"
CLI = "src/pgaas/cli/"
LINE_LIMIT = 400
STATEMENT_LIMIT = 8
# Where a machine may lack what is needed: the lab, and Java.
MAY_SKIP = ("tests/lab/", "lab/tests/", "tests/pipelines/groovy.py")
HEAVY = (
    "lightkube",
    "kubernetes",
    "boto3",
    "botocore",
    "ldap3",
    "jsonschema",
    "rich",
    "cryptography",
    "psycopg",
    "prometheus_client",
)
HEAVY_FILES = ("ruamel", "httpx", "jinja2", "dns")


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def test_there_is_code_to_judge():
    assert len(SOURCES) > 40
    assert ONLY_PROCESSES in map(name_of, SOURCES)


def test_only_one_file_starts_processes():
    starters = ("os.system", "os.popen", "os.fork", "os.forkpty", "pty.fork", "pty.spawn")
    guilty = [
        name_of(path)
        for path in SOURCES
        if {"subprocess", "multiprocessing", "asyncio.subprocess"} & set(imported(tree_of(path)))
        or any(
            call in starters or call.startswith(("os.exec", "os.spawn", "os.posix_spawn"))
            for call in called(tree_of(path))
        )
    ]
    assert guilty == [ONLY_PROCESSES]


def test_only_the_command_line_prints_asks_or_exits():
    forbidden = {"print", "input", "sys.exit", "exit", "quit", "getpass.getpass"}
    guilty = {
        (name_of(path), call)
        for path in SOURCES
        if not name_of(path).startswith(CLI)
        for call in called(tree_of(path))
        if call in forbidden or call.startswith(("sys.stdout.", "sys.stderr.", "typer.", "rich."))
    }
    assert guilty <= {("src/pgaas/__main__.py", "sys.exit")}


def test_only_output_crash_and_progress_write_to_the_streams():
    guilty = {
        name_of(path).removeprefix(CLI)
        for path in SOURCES
        if name_of(path).startswith(CLI)
        for call in called(tree_of(path))
        if call == "print" or call.startswith(("sys.stdout.write", "sys.stderr.write"))
    }
    assert guilty <= {"output.py", "crash.py", "progress.py"}


def test_no_file_is_longer_than_one_can_read():
    too_long = {name_of(path): len(path.read_text().splitlines()) for path in CODE}
    assert {name: lines for name, lines in too_long.items() if lines > LINE_LIMIT} == {}


def test_nothing_is_left_for_later():
    words = ("TODO", "FIXME", "XXX", "NotImplementedError")
    others = [path for path in CODE if path != Path(__file__)]
    guilty = [(name_of(path), word) for path in others for word in words if word in path.read_text()]
    assert guilty == []


def test_no_test_is_skipped_or_expected_to_fail_but_the_labs():
    guilty = [
        (name_of(path), call)
        for path in CODE
        if not name_of(path).startswith(MAY_SKIP)
        for call in called(tree_of(path))
        if call
        in (
            "pytest.skip",
            "pytest.mark.skip",
            "pytest.mark.skipif",
            "pytest.mark.xfail",
            "pytest.importorskip",
        )
    ]
    assert guilty == []


def commands() -> list[tuple[str, ast.FunctionDef]]:
    from pgaas.cli import registry

    found = []
    for name in registry.runnable(registry.SUMMARIES):
        group, _, identifier = name.replace("-", "_").rpartition(" ")
        tree = tree_of(REPOSITORY / CLI / f"{group or identifier}.py")
        found += [
            (name, node)
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name == identifier
        ]
    return found


def test_every_command_of_the_registry_is_there():
    from pgaas.cli import registry

    assert [name for name, _ in commands()] == registry.runnable(registry.SUMMARIES)


@pytest.mark.parametrize(("name", "function"), commands(), ids=[name for name, _ in commands()])
def test_a_command_parses_calls_one_operation_and_prints(name: str, function: ast.FunctionDef):
    docstring, *body = function.body
    assert isinstance(docstring, ast.Expr)
    statements = [
        node
        for part in body
        for node in ast.walk(part)
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(statements) <= STATEMENT_LIMIT, f"{name} has {len(statements)} statements"


def test_the_layers_hold():
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(tool), "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


LEAN = {
    "help": ["--help"],
    "help of a command": ["generate", "--help"],
    "help of a group": ["trust", "--help"],
    "version": ["version"],
    "generate": ["generate", "--ins", "ic1", "--env", "prod"],
    "generate local": ["generate", "--ins", "ic1", "--env", "local"],
    "generate all": ["generate", "--all"],
}
LOADED = """
import sys
from pgaas.__main__ import main
code = main(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(name for name in sys.modules if "." not in name))
sys.exit(code)
"""


@pytest.mark.parametrize("what", LEAN)
def test_start_up_loads_only_what_it_needs(tmp_path: Path, what: str):
    for part in ("confs/admin", "confs/users", "helmfile.yaml"):
        target = tmp_path / part
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(REPOSITORY / part)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *LEAN[what]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stderr.splitlines()[-1].split())
    assert "typer" in modules
    assert modules & {*HEAVY, *HEAVY_FILES} == set()
    if what == "help":
        assert modules & {"pydantic", "yaml"} == set()
