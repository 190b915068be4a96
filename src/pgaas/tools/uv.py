"""The uv commands that pgaas runs, as argument lists: each in the folder of a project with a uv.lock."""

from __future__ import annotations

from pathlib import Path

from pgaas.tools.command import inherited_environment

# Settings of a shell that would change what is locked, built or installed.
_IN_THE_WAY = {
    "UV_BUILD_CONSTRAINT",
    "UV_CONSTRAINT",
    "UV_NO_BUILD_ISOLATION",
    "UV_NO_VERIFY_HASHES",
    "UV_OVERRIDE",
    "UV_PROJECT",
    "UV_WORKING_DIRECTORY",
}


def requirements_argv(*, group: str = "") -> list[str]:
    """Return the command that prints what the project needs, or a group of it alone, with hashes."""
    which = ["--only-group", group] if group else ["--no-default-groups"]
    return [*_export("requirements.txt"), "--no-header", *which]


def bill_of_materials_argv() -> list[str]:
    """Return the command that prints a CycloneDX document of what the project needs."""
    return [*_export("cyclonedx1.5"), "--no-default-groups", "--preview-features", "sbom-export"]


def build_wheel_argv(constraints: Path, out: Path) -> list[str]:
    """Return the command that builds the project's wheel, with nothing that the constraints do not pin."""
    pinned = ["--build-constraints", str(constraints), "--require-hashes"]
    return ["uv", "build", "--quiet", "--wheel", "--no-create-gitignore", *pinned, "--out-dir", str(out)]


def environment(seconds: int) -> dict[str, str]:
    """Return the environment for uv; `seconds` is the time that what it builds gets, since 1970."""
    inherited = inherited_environment({"SOURCE_DATE_EPOCH": str(seconds)})
    return {name: value for name, value in inherited.items() if name not in _IN_THE_WAY}


def _export(kind: str) -> list[str]:
    return ["uv", "export", "--quiet", "--locked", "--no-emit-workspace", "--format", kind]
