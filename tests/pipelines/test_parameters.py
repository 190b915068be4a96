"""The parameters of a deploy job: each wrong one is named, all at once."""

from __future__ import annotations

import json

import pytest

from pgaas.config.releases import version_problem

RIGHT = {
    "PGAAS_VERSION": "1.2.3",
    "USERS_VERSION": "4.5.6",
    "INS": "ic1, is1",
    "ENV": "prod",
    "ENV_OVERRIDE": "",
    "DC": "",
    "ACTION": "create",
    "KUBECONFIG_CRED": "kubeconfig-prod",
}


def judged(pgaas, monkeypatch: pytest.MonkeyPatch, *arguments: str, **changed: str | None):
    for name, value in {**RIGHT, **changed}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return pgaas("ci", "validate-parameters", *arguments)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, (["ic1", "is1"], "prod", None)),
        ({"ENV_OVERRIDE": "dev1"}, (["ic1", "is1"], "dev1", None)),
        ({"ENV": "hp", "ENV_OVERRIDE": "pic"}, (["ic1", "is1"], "pic", None)),
        ({"ENV": "", "ENV_OVERRIDE": "pic"}, (["ic1", "is1"], "pic", None)),
        ({"INS": "ic1", "DC": "dc2"}, (["ic1"], "prod", "dc2")),
        ({"KUBECONFIG_CRED": None}, (["ic1", "is1"], "prod", None)),
        ({"PGAAS_VERSION": "1.2.3-rc.1"}, (["ic1", "is1"], "prod", None)),
    ],
)
def test_what_is_well_formed_is_told_as_it_will_be_done(
    pgaas, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str | None], wanted
) -> None:
    done = judged(pgaas, monkeypatch, "-o", "json", **changed)
    assert done.code == 0, done.err
    clients, env, dc = wanted
    assert json.loads(done.out) == {"clients": clients, "env": env, "dc": dc, "action": "create"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PGAAS_VERSION", "", "is missing"),
        ("PGAAS_VERSION", "v1.2.3", "is not a version"),
        ("PGAAS_VERSION", "1.2.3; rm -rf /", "is not a version"),
        ("PGAAS_VERSION", "../../other", "is not a version"),
        ("USERS_VERSION", "0.0.0-main.a1b2c3d", "only tags are published"),
        ("USERS_VERSION", "1.2.3\n", "is not a version"),
        ("INS", "", "is missing"),
        ("INS", " , ", "comma too many"),
        ("INS", "ic1,IC2", "'IC2' is not a code"),
        ("INS", "$(id)", "is not a code"),
        ("INS", "ic1,ic1", "twice"),
        ("INS", "kube", "reserved"),
        ("INS", "a" * 60, "characters"),
        ("ENV", "", "is missing"),
        ("ENV", "local", "is not one of perf, pprod, prod"),
        ("ENV", "hp", "ENV_OVERRIDE"),
        ("ENV", "dev1", "ENV_OVERRIDE"),
        ("ENV_OVERRIDE", "prod", "is not a sub-environment of hp"),
        ("ENV_OVERRIDE", "hp", "is not a sub-environment of hp"),
        ("ENV_OVERRIDE", "Dev", "is not a code"),
        ("DC", "dc1-g2", "generation"),
        ("DC", "-", "is not a datacenter's name"),
        ("ACTION", "", "is missing"),
        ("ACTION", "delete", "neither create nor upgrade"),
        ("KUBECONFIG_CRED", "a b", "is not a credential's ID"),
    ],
)
def test_a_wrong_parameter_is_named(pgaas, monkeypatch, name: str, value: str, said: str) -> None:
    done = judged(pgaas, monkeypatch, **{name: value})
    assert done.code == 2, done.out
    assert "1 parameter is wrong" in done.err
    [line] = [line for line in done.err.splitlines() if line.startswith(f"  {name}:")]
    assert said in line


def test_a_credential_that_is_asked_for_and_not_named(pgaas, monkeypatch: pytest.MonkeyPatch) -> None:
    done = judged(pgaas, monkeypatch, "--kubeconfig-cred", "")
    assert done.code == 2
    assert "KUBECONFIG_CRED: is missing" in done.err


def test_everything_wrong_is_told_at_once(pgaas, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = dict.fromkeys(RIGHT, "?")
    done = judged(pgaas, monkeypatch, **wrong)
    assert done.code == 2
    assert "8 parameters are wrong" in done.err
    assert [name for name in RIGHT if f"\n  {name}: " not in done.err] == []


@pytest.mark.parametrize("version", ["1.2.3", "0.1.0", "10.20.30", "1.2.3-rc.1", "1.2.3-alpha"])
def test_versions(version: str) -> None:
    assert version_problem(version) == ""


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.2", "01.2.3", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.2.3+x", "١.2.3", "1.2." + "9" * 99],
)
def test_texts_that_are_no_versions(version: str) -> None:
    assert version_problem(version) != ""
