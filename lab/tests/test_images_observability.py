import json
import tarfile

import pytest

from pgaas_lab import images, images_observability, paths, tools
from pgaas_lab.errors import ToolMissing


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def debian(monkeypatch, tmp_path):
    """Debian's package as apt-get and dpkg-deb would give it, without either; the commands are kept."""
    said = []

    def run(argv, cwd=None, **_):
        said.append([str(word) for word in argv])
        if argv[1] == "download":
            (cwd / "prometheus_2.42.0_amd64.deb").touch()
        if argv[0] == "dpkg-deb":
            folder = argv[-1] / "usr/bin"
            folder.mkdir(parents=True)
            for name in images_observability.PROGRAMS:
                (folder / name).write_text(name)
        return type("Done", (), {"returncode": 0})()

    library = tmp_path / "libc.so.6"
    library.write_text("library")
    monkeypatch.setattr(images_observability, "LIBRARIES", (str(library),))
    monkeypatch.setattr(images_observability, "run", run)
    monkeypatch.setattr(images_observability.packages, "which", lambda name: paths.cache() / name)
    return said


def test_the_collector_runs_under_the_name_that_the_chart_pins():
    text = (paths.REPOSITORY / "local-infra/observability/values.yaml").read_text()
    assert f"image: {images_observability.collector_image()}\n" in text


def test_only_kubernetes_is_compiled_in_as_a_way_to_find_targets():
    argv = tools.build_argv(tools.find("otel-collector"), paths.cache() / "otelcol")
    assert argv[argv.index("-tags") + 1] == "remove_all_sd,enable_kubernetes_sd"
    assert "-tags" not in tools.build_argv(tools.find("coredns"), paths.cache() / "coredns")


def test_other_tags_are_another_binary():
    tool = tools.find("otel-collector")
    assert tools.recipe(tool) != tools.recipe(tools.Tool("other", "otel-collector", tags="some"))


def test_prometheus_comes_out_of_debian_s_package_once_and_promtool_is_on_the_path(debian):
    archive = images_observability.ensure_prometheus(lambda _: None)
    assert archive == images_observability.ensure_prometheus(lambda _: None)
    assert [words[:2] for words in debian] == [["apt-get", "download"], ["dpkg-deb", "--extract"]]
    assert (paths.tool_path() / "promtool").read_text() == "promtool"
    assert images.names_in(archive) == [images_observability.PROMETHEUS_IMAGE]
    with tarfile.open(archive) as opened:
        (manifest,) = json.load(opened.extractfile("manifest.json"))
        config = json.load(opened.extractfile(manifest["Config"]))["config"]
        with tarfile.open(fileobj=opened.extractfile(manifest["Layers"][0])) as layer:
            assert layer.extractfile("bin/prometheus").read() == b"prometheus"
    assert (config["Entrypoint"], config["User"]) == (["/bin/prometheus"], "65534")


def test_nothing_half_done_is_taken_for_the_package(debian, monkeypatch):
    whole = images_observability.run
    monkeypatch.setattr(
        images_observability, "run", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        images_observability.ensure_program("promtool")
    monkeypatch.setattr(images_observability, "run", whole)
    assert images_observability.ensure_program("promtool").read_text() == "promtool"


def test_a_machine_without_apt_is_told_so(debian, monkeypatch):
    monkeypatch.setattr(images_observability.packages, "which", lambda name: None)
    with pytest.raises(ToolMissing, match="from Debian"):
        images_observability.ensure_program("promtool")
