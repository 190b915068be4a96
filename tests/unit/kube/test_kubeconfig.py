"""Kubeconfig files: found, merged, broken; and the exec plugins that they name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx2
import pytest
from tests.unit.kube.fakes import KUBECONFIG, SERVER, FakeServer, failure, path_of, use_kubeconfig

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.kubeconfig import load_kubeconfig, select_context
from pgaas.kube.resources import POD
from pgaas.kube.transport import proxy_for


def plugin_config(command: str, version: str = "v1") -> str:
    return f"""
current-context: c
clusters: [{{name: c, cluster: {{server: "{SERVER}", insecure-skip-tls-verify: true}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/{version}
      command: {command}
      args: [get-token]
      env: [{{name: FLAVOUR, value: sweet}}]
      installHint: install the login tool
"""


def write_plugin(folder: Path, script: str) -> str:
    path = folder / "login"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_of_two_entries_of_one_name_the_first_file_counts(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("clusters: [{name: c, cluster: {server: first}}]\ncurrent-context: one\n")
    (tmp_path / "b").write_text(
        "clusters: [{name: c, cluster: {server: second}}, {name: d, cluster: {server: third}}]\n"
        "current-context: two\n"
    )
    merged = load_kubeconfig(
        {"KUBECONFIG": f"{tmp_path}/a{os.pathsep}{tmp_path}/none{os.pathsep}{tmp_path}/b"}
    )
    assert merged["clusters"] == {"c": {"server": "first"}, "d": {"server": "third"}}
    assert merged["current-context"] == "one"


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/config").write_text(
        "clusters: [{name: c, cluster: {certificate-authority: ca.crt}}]\n"
        "users: [{name: u, user: {client-certificate: /abs/tls.crt, client-key: keys/tls.key}}]\n"
    )
    merged = load_kubeconfig({"KUBECONFIG": str(tmp_path / "sub/config")})
    assert merged["clusters"]["c"]["certificate-authority"] == str(tmp_path / "sub/ca.crt")
    assert merged["users"]["u"] == {
        "client-certificate": "/abs/tls.crt",
        "client-key": str(tmp_path / "sub/keys/tls.key"),
    }


def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    with pytest.raises(KubernetesError, match="there is no kubeconfig") as caught:
        load_kubeconfig({"KUBECONFIG": str(tmp_path / "none")})
    assert str(tmp_path / "none") in caught.value.where


@pytest.mark.parametrize(
    "text",
    [
        "clusters: [",
        "just words",
        "clusters: 3",
        "clusters: [{cluster: {}}]",
        "users: [{name: u, user: 3}]",
        "\tx",
    ],
)
def test_a_broken_kubeconfig_is_no_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(KubernetesError, match="cannot be read") as caught:
        load_kubeconfig({"KUBECONFIG": str(tmp_path / "config")})
    assert caught.value.where == str(tmp_path / "config")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00clusters")
    with pytest.raises(KubernetesError, match="cannot be read"):
        load_kubeconfig({"KUBECONFIG": str(tmp_path / "config")})


def test_an_unknown_context_is_answered_with_those_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_kubeconfig(tmp_path, monkeypatch)
    with pytest.raises(KubernetesError, match='no context "dc1"') as caught:
        Api("dc1")
    assert "fake, other" in caught.value.next_step


def test_a_context_that_points_at_nothing() -> None:
    config = {"current-context": "c", "clusters": {}, "users": {}, "contexts": {"c": {"cluster": "gone"}}}
    with pytest.raises(KubernetesError, match='cluster "gone"'):
        select_context(config, None, "somewhere")


def test_no_current_context() -> None:
    config = {"current-context": None, "clusters": {}, "users": {}, "contexts": {"a": {}, "b": {}}}
    with pytest.raises(KubernetesError, match="no current context") as caught:
        select_context(config, None, "somewhere")
    assert "known: a, b" in caught.value.next_step


@pytest.mark.parametrize(
    "field", ["client-certificate-data: notbase64!", "client-certificate: /none/tls.crt"]
)
def test_a_credential_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    use_kubeconfig(
        tmp_path, monkeypatch, KUBECONFIG.replace("token: secret-token", f"{field}, client-key: /none")
    )
    with pytest.raises(KubernetesError, match="credential cannot be used"):
        Api("fake").find(POD, "ns")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_exec_plugin_gives_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    answer = json.dumps({"status": {"token": "from-plugin"}})
    script = f"""test "$1$FLAVOUR" = get-tokensweet && test "$KUBERNETES_EXEC_INFO" && echo '{answer}'"""
    use_kubeconfig(tmp_path, monkeypatch, plugin_config(write_plugin(tmp_path, script), version))
    server = FakeServer()
    seen: list[str] = []
    server.answers[f"GET {path_of(POD, 'ns')}"] = lambda request: (
        seen.append(request.headers["authorization"]) or httpx2.Response(200, json={"items": []})
    )
    assert Api(None, transport=httpx2.MockTransport(server)).find(POD, "ns") == []
    assert seen == ["Bearer from-plugin"]


def test_a_token_that_expired_meanwhile_is_asked_for_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    script = f"""echo x >> {count}; printf '{{"status":{{"token":"t%s"}}}}' $(wc -l < {count})"""
    use_kubeconfig(tmp_path, monkeypatch, plugin_config(write_plugin(tmp_path, script)))
    server = FakeServer()
    server.answers[f"GET {path_of(POD, 'ns')}"] = lambda request: (
        httpx2.Response(200, json={"items": []})
        if request.headers["authorization"] == "Bearer t2"
        else failure(401, "Unauthorized", "expired")
    )
    api = Api(None, transport=httpx2.MockTransport(server))
    assert api.find(POD, "ns") == []
    server.answers[f"GET {path_of(POD, 'ns')}"] = failure(401, "Unauthorized", "expired")
    with pytest.raises(KubernetesError, match="expired or was revoked"):
        api.find(POD, "ns")
    assert count.read_text() == "x\nx\nx\n"


def test_a_missing_exec_plugin_passes_its_hint_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_kubeconfig(tmp_path, monkeypatch, plugin_config("no-such-login-tool"))
    with pytest.raises(KubernetesError, match=r'"no-such-login-tool".*is not installed') as caught:
        Api(None).find(POD, "ns")
    assert caught.value.next_step == "install the login tool"


@pytest.mark.parametrize(
    ("script", "says"), [("echo not logged in >&2; exit 1", "not logged in"), ("echo {}", "no credential")]
)
def test_an_exec_plugin_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    use_kubeconfig(tmp_path, monkeypatch, plugin_config(write_plugin(tmp_path, script)))
    with pytest.raises(KubernetesError, match=says):
        Api(None).find(POD, "ns")


def test_impersonation_is_asked_for_and_never_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = "as: nobody, as-groups: [a, b], as-uid: u1, as-user-extra: {scopes: [x]}"
    use_kubeconfig(tmp_path, monkeypatch, KUBECONFIG.replace("token: secret-token", f"token: t, {user}"))
    server = FakeServer()
    seen: list[httpx2.Headers] = []
    for path in (path_of(POD, "ns"), "/version"):
        server.answers[f"GET {path}"] = lambda request: (
            seen.append(request.headers) or httpx2.Response(200, json={"items": []})
        )
    api = Api("fake", transport=httpx2.MockTransport(server))
    api.find(POD, "ns")
    api.raw("/version")
    for headers in seen:
        assert headers["Impersonate-User"] == "nobody"
        assert headers.get_list("Impersonate-Group") == ["a", "b"]
        assert headers["Impersonate-Uid"] == "u1"
        assert headers["Impersonate-Extra-scopes"] == "x"
        assert headers["Authorization"] == "Bearer t"
    assert len(seen) == 2


def test_another_name_in_the_servers_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = KUBECONFIG.replace("insecure-skip", "tls-server-name: kubernetes, insecure-skip")
    use_kubeconfig(tmp_path, monkeypatch, text)
    seen: list[object] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.extensions.get("sni_hostname"))
        return httpx2.Response(200, json={})

    Api("fake", transport=httpx2.MockTransport(answer)).raw("/version")
    assert seen == ["kubernetes"]


def test_the_proxy_of_the_kubeconfig_comes_before_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://environment:1")
    monkeypatch.setenv("no_proxy", "inside.example")
    server = "https://api.example:6443"
    assert proxy_for({"server": server, "proxy-url": "http://file:1"}) == "http://file:1"
    assert proxy_for({"server": server}) == "http://environment:1"
    assert proxy_for({"server": "https://inside.example"}) is None
