import json
import tarfile
from dataclasses import replace

import pytest

from pgaas_lab import archives, images, paths, rootfs, tools
from pgaas_lab.archives import Image
from pgaas_lab.errors import ToolFailed, UsageError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_an_archive_is_named_after_all_its_content_depends_on():
    first = images.archive_file("operator", {"user": "1"}, ["manager-v1"])
    assert first == images.archive_file("operator", {"user": "1"}, ["manager-v1"])
    assert first != images.archive_file("operator", {"user": "2"}, ["manager-v1"])
    assert first != images.archive_file("operator", {"user": "1"}, ["manager-v2"])
    assert first.parent == paths.cache() / "images"


def test_every_image_has_its_own_archive_and_name():
    recipes = images.recipes()
    assert len({images.archive_of(recipe) for recipe in recipes}) == len(recipes)
    assert len({recipe.image for recipe in recipes}) == len(recipes)


def test_the_tree_s_recipe_follows_its_packages(monkeypatch):
    before = rootfs.recipe()
    monkeypatch.setattr(rootfs, "PACKAGES", (*rootfs.PACKAGES, "postgresql-17-pgvector"))
    assert rootfs.recipe() != before


def test_each_tree_has_its_own_layer_that_follows_what_decides_its_content():
    tree = rootfs.Tree("directory", ("slapd",))
    layer, _ = rootfs.files(tree)
    assert layer == rootfs.files(replace(tree, work=lambda _: {}))[0]
    others = [replace(tree, packages=("slapd", "ldap-utils")), replace(tree, suite="bookworm")]
    others += [replace(tree, facts=("26",)), replace(tree, left_out=()), replace(tree, name="other")]
    assert len({layer, *(rootfs.files(each)[0] for each in others)}) == 1 + len(others)


def test_postgres_s_version_is_that_of_its_package():
    assert rootfs.parse_version("17.5-1+deb13u1") == "17.5"


@pytest.mark.parametrize("tool", tools.TOOLS.values(), ids=lambda tool: tool.name)
def test_every_tool_has_a_pinned_version_and_its_own_binary(tool):
    assert tools.version(tool).startswith("v")
    assert tools.binary(tool).name.startswith(f"{tool.name}-{tools.version(tool)}-")


def test_a_version_is_read_from_either_form_of_require():
    assert tools.parse_version("require example.com/a v1.2.3\n", "example.com/a") == "v1.2.3"
    assert (
        tools.parse_version("require (\n\texample.com/a v1.2.3 // indirect\n)\n", "example.com/a") == "v1.2.3"
    )
    with pytest.raises(ToolFailed):
        tools.parse_version("require example.com/ab v1.2.3\n", "example.com/a")


def test_kubernetes_says_its_version():
    argv = tools.build_argv(tools.find("kubelet"), paths.cache() / "kubelet")
    assert "gitVersion=v1.36" in argv[argv.index("-ldflags") + 1]
    assert argv[-1] == "k8s.io/kubernetes/cmd/kubelet"


def test_an_unknown_tool_is_refused_with_the_names_that_exist():
    with pytest.raises(UsageError, match="kubectl"):
        tools.find("kubectx")


def test_images_that_share_a_layer_hold_it_once(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    base = archives.write_layer(
        tmp_path / "base.tar", [(program, "/usr/bin/program")], [("/link", "usr/bin/program")]
    )
    top = archives.write_layer(tmp_path / "top.tar", [(program, "/manager")], accounts=False)
    archive = tmp_path / "both.tar"
    archives.write_archive(archive, [Image(("a:1", "a:2"), {}, (base,)), Image(("b:1",), {}, (base, top))])
    with tarfile.open(archive) as opened:
        names = opened.getnames()
        manifest = json.load(opened.extractfile("manifest.json"))
        config = json.load(opened.extractfile(manifest[1]["Config"]))
    assert names.count(f"{base.digest}/layer.tar") == 1
    assert [entry["RepoTags"] for entry in manifest] == [["a:1", "a:2"], ["b:1"]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{base.digest}", f"sha256:{top.digest}"]
    with tarfile.open(base.file) as layer:
        assert layer.getmember("usr/bin/program").mode == 0o755
        assert layer.getmember("link").linkname == "usr/bin/program"


def test_a_layer_is_the_same_whenever_it_is_made(tmp_path):
    program = tmp_path / "program"
    digests = set()
    for name in ("one", "two"):
        program.write_text("x")
        digests.add(archives.write_layer(tmp_path / name, [(program, "/program")]).digest)
    assert len(digests) == 1
