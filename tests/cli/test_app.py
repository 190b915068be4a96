from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.support import REPOSITORY, fake_tool, run_process
from typer.testing import CliRunner

from pgaas.cli import registry
from pgaas.cli.app import app, load
from pgaas.cli.reference import EXAMPLES, reference

NAMES = list(registry.SUMMARIES)
RUNNABLE = registry.runnable(NAMES)


def test_help_lists_every_command_and_the_exit_codes():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in NAMES)
    assert "3 configuration" in " ".join(result.stdout.split())


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", RUNNABLE)
def test_every_command_has_help_with_examples_and_a_text_for_each_option(name: str, flag: str):
    result = CliRunner().invoke(app, [*name.split(), flag])
    assert result.exit_code == 0, result.output
    assert EXAMPLES in result.stdout
    assert f"pgaas {name}" in result.stdout.partition(EXAMPLES)[2]
    command = load(name)
    assert [parameter.name for parameter in command.params if not parameter.help] == []


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_examples_name_only_options_that_there_are(name: str):
    command = load(name)
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    # Behind `--` and in other programs' part of a pipe they are not pgaas's.
    own = re.findall(r"pgaas (?:(?! -- | \| ).)*", command.help.partition(EXAMPLES)[2])
    used = {word for line in own for word in line.split() if word.startswith("-")}
    assert used - known - {"-h", "--help"} == set()


@pytest.mark.parametrize("group", registry.GROUPS)
def test_a_group_lists_its_commands(group: str):
    result = CliRunner().invoke(app, [group, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: pgaas {group}" in result.stdout
    assert registry.SUMMARIES[group] in result.stdout
    # However the terminal's width breaks the lines.
    listed = " ".join(result.stdout.split())
    for name, summary in registry.GROUPS[group].items():
        assert f" {name} {summary}" in listed


@pytest.mark.parametrize("group", registry.GROUPS)
def test_a_group_alone_or_with_an_unknown_command_says_what_there_is(pgaas, group: str):
    alone, unknown = pgaas(group), pgaas(group, "xyzzy")
    assert (alone.code, alone.out, unknown.code) == (2, "", 2)
    assert f"`pgaas {group} --help`" in alone.err
    assert "no command 'xyzzy'" in unknown.err
    assert f"`pgaas {group} --help` lists them" in unknown.err


def test_a_groups_command_is_known_below_it_alone(pgaas):
    assert pgaas("sync").code == 2
    assert "did you mean show" in pgaas("trust", "shwo").err


def test_the_command_reference_is_fresh():
    assert (REPOSITORY / "docs/commands.md").read_text() == reference(), (
        "run `python -m pgaas.cli.reference` and commit docs/commands.md"
    )


def test_without_a_command_the_help_goes_to_stderr(root: Path, pgaas):
    ran = pgaas()
    assert (ran.code, ran.out) == (2, "")
    assert "generate" in ran.err


@pytest.mark.parametrize(
    ("typed", "meant"), [("generte", "generate"), ("templete", "template"), ("check_tools", "check-tools")]
)
def test_an_unknown_command_is_answered_with_the_nearest(pgaas, typed: str, meant: str):
    ran = pgaas(typed)
    assert ran.code == 2
    assert f"no command '{typed}'" in ran.err
    assert f"did you mean {meant}" in ran.err


def test_an_unknown_command_that_is_near_none_is_told_where_to_look(pgaas):
    assert "`pgaas --help`" in pgaas("xyzzy").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--nope"],
        ["preview"],
        ["preview", "--ins", "ic1"],
        ["preview", "--ins"],
        ["preview", "--ins", "ic1", "--env", "local", "extra"],
        ["preview", "--ins", "ic1", "--env", "local", "-o", "yaml"],
        ["-o", "json"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error_that_names_the_help(pgaas, arguments: list[str]):
    ran = pgaas(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert "--help` shows what it takes" in ran.err


def test_version_prints_the_version_alone(pgaas):
    ran = pgaas("version")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("\n") == 1


COMPLETIONS = [
    ("pgaas ", 1, NAMES),
    ("pgaas temp", 1, ["template", "template-infra"]),
    ("pgaas trust ", 2, ["show", "sync"]),
    ("pgaas trust sy", 2, ["sync"]),
    ("pgaas trust show --ins ", 4, ["ic1", "is1"]),
    ("pgaas preview --ins ", 3, ["ic1", "is1"]),
    ("pgaas preview --ins ic", 3, ["ic1"]),
    ("pgaas preview --ins is1 --env ", 5, ["pic", "staging"]),
    ("pgaas preview --env pic --ins ", 5, ["is1"]),
    ("pgaas preview --ins ic1 --env l", 5, ["local"]),
    ("pgaas preview --ins ic1 --env local --dc ", 7, ["local1", "local2"]),
    ("pgaas preview --env prod --dc ", 5, ["dc1", "dc2"]),
    ("pgaas preview -o ", 3, ["text", "json"]),
    (
        "pgaas psql --ins ic1 --env local --role ",
        7,
        ["app_user", "report_user", "app_readonly", "pgadmin_readonly"],
    ),
    ("pgaas credentials --ins ic1 --env local --role app_", 7, ["app_user", "app_readonly"]),
    ("pgaas psql --role ", 3, []),
    ("pgaas psql --ins ic1 --env local --database ", 7, ["app_db", "reporting_db"]),
    ("pgaas psql --ins ic1 --env local --role app_user --database ", 9, ["app_db"]),
    ("pgaas psql --ins ic1 --env local --role app_readonly --database ", 9, ["app_db", "reporting_db"]),
    ("pgaas psql --ins ic1 --env local --role pgadmin_readonly --database r", 9, ["reporting_db"]),
    ("pgaas psql --ins ic1 --env local --dc ", 7, ["local1", "local2"]),
    ("pgaas credentials -o ", 3, ["text", "json", "k8s"]),
    ("pgaas logs --level ", 3, ["debug", "info", "warning", "error", "fatal"]),
    ("pgaas logs --container p", 3, ["postgres", "plugin-barman-cloud"]),
    ("pgaas infra status --dc ", 4, ["local1", "local2"]),
    ("pgaas switchover --ins ic1 --env prod --to ", 7, ["dc1", "dc2"]),
    ("pgaas preview --dc ", 3, []),
    ("pgaas diff --ins is1 --ins ic1 --env pe", 7, ["perf"]),
    ("pgaas diff --ins ic1,is1 --env local --dc ", 7, ["local1", "local2"]),
    ("pgaas diff --all --fail-on ", 4, ["reload", "restart", "disruptive", "forbidden"]),
    ("pgaas ci deploy --ins ic1,i", 4, ["ic1,ic1", "ic1,is1"]),
    ("pgaas ci deploy --ins is1 --env p", 6, ["pic"]),
    ("pgaas ci deploy --ins ic1,is1 --env prod --dc ", 8, ["dc1", "dc2"]),
    ("pgaas ci deploy --action u", 4, ["upgrade"]),
]


@pytest.mark.parametrize(("words", "position", "expected"), COMPLETIONS)
def test_the_shell_completes_verbs_and_what_confs_holds(root, words: str, position: int, expected: list[str]):
    request = {"_PGAAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    ran = run_process(cwd=root, env=request)
    assert (ran.out.split(), ran.err) == (expected, "")


@pytest.mark.parametrize(
    "content", ["clients: [", "- a", "", "clients: {ic1: 3}", "clients: {ic1: {datacenters: 7}}"]
)
def test_completion_says_nothing_about_a_broken_file(root: Path, content: str):
    (root / "confs/admin/local/clients.yaml").write_text(content)
    request = {
        "_PGAAS_COMPLETE": "complete_bash",
        "COMP_WORDS": "pgaas preview --ins ic1 --env local --dc ",
        "COMP_CWORD": "7",
    }
    ran = run_process(cwd=root, env=request)
    assert (ran.code, ran.err) == (0, "")


def test_completion_outside_a_root_is_empty(tmp_path: Path):
    request = {"_PGAAS_COMPLETE": "complete_bash", "COMP_WORDS": "pgaas preview --ins ", "COMP_CWORD": "3"}
    ran = run_process(cwd=tmp_path, env=request)
    assert (ran.code, ran.out.strip(), ran.err) == (0, "", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(tmp_path: Path, shell: str):
    env = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    ran = run_process("--install-completion", shell, cwd=tmp_path, env=env)
    assert ran.code == 0, ran.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()]


CLIENTS_OWN = {"INS", "ENV", "DC", "ROLE", "DATABASE"}
# Only one environment has an infrastructure; a new client's code, or environment, is none that there is.
NOT_COMPLETED = {("infra", "ENV"), ("client", "INS"), ("users", "ENV")}


@pytest.mark.parametrize("name", RUNNABLE)
def test_what_confs_hold_is_completed_in_every_command(name: str):
    missing = [
        (name.split()[0], parameter.metavar)
        for parameter in load(name).params
        if parameter.metavar in CLIENTS_OWN and parameter._custom_shell_complete is None
    ]
    # What jobs call is typed by nobody.
    assert {entry for entry in missing if entry[0] != "ci"} <= NOT_COMPLETED


@pytest.mark.parametrize(
    "content",
    [
        "roles: [",
        "roles: 3",
        "roles: [3, {}]",
        "- a",
        "",
        "roles: [{name: a, databases: 7}]\ndatabases: {}",
        "roles: [{name: a, databases: [[x], {y: z}]}]\ndatabases: [{name: [x]}, {name: {y: z}}, {owner: a}]",
    ],
)
@pytest.mark.parametrize("option", ["--role", "--database"])
def test_completion_of_a_client_s_broken_file_says_nothing(root: Path, content: str, option: str):
    (root / "confs/users/ic1/local/databases.yaml").write_text(content)
    words = f"pgaas psql --role a --ins ic1 --env local {option} "
    request = {"_PGAAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "9"}
    ran = run_process(cwd=root, env=request)
    assert (ran.code, ran.err) == (0, "")


# Each shell's own way of asking: which words there are, and what it does with the answer.
ASKING = {
    "zsh": {
        "_PGAAS_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "pgaas psql --ins ic1 --env local --role app_",
    },
    "fish": {
        "_PGAAS_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": "pgaas psql --ins ic1 --env local --role app_",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


@pytest.mark.parametrize("shell", ASKING)
def test_other_shells_are_answered_too(root: Path, shell: str):
    ran = run_process(cwd=root, env=ASKING[shell])
    assert (ran.code, ran.err) == (0, "")
    assert "app_user" in ran.out
    assert "app_readonly" in ran.out
    assert "report_user" not in ran.out


TYPED = """
source "$HOME/.bashrc"
COMP_WORDS=({words} "")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
how=$(complete -p pgaas)
function=${{how##*-F }}
${{function%% *}} pgaas "" "${{COMP_WORDS[COMP_CWORD-1]}}"
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("pgaas psql --ins ic1 --env local --role", "app_user report_user app_readonly pgadmin_readonly"),
        ("pgaas psql --ins ic1 --env local --role app_user --database", "app_db"),
        ("pgaas logs --ins is1 --env", "pic staging"),
        ("pgaas trust", "show sync"),
    ],
)
def test_what_is_installed_completes_in_a_real_bash(root: Path, tmp_path: Path, words: str, answer: str):
    home, tools = tmp_path / "home", tmp_path / "tools"
    home.mkdir()
    fake_tool(tools, "pgaas", f'exec {sys.executable} -m pgaas "$@"')
    env = {"HOME": str(home), "PATH": f"{tools}:{os.environ['PATH']}"}
    quiet = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert run_process("--install-completion", "bash", cwd=root, env=env | quiet).code == 0
    done = subprocess.run(
        ["bash", "--norc", "-c", TYPED.format(words=words)],
        cwd=root,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (answer, "")
