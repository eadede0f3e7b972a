"""One version everywhere: what a release would hand out with the version of another one."""

import json
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
# An image of ours with its version, an archive, and a parameter or property that has the version.
NAMED = re.compile(
    r"(?:streamdex:|streamdex-(?:cdk-|lambda-)?|releases/download/v|ImageTag=|imageTag: ')"
    r"(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)(?:\.?\d+)*)?)"
)


def workspace(root=ROOT):
    """The version of the workspace."""
    return cargo(root)["workspace"]["package"]["version"]


def cargo(root):
    return tomllib.loads((root / "Cargo.toml").read_text())


def problems(root, pages):
    """All findings in a repository; pages are a mapping of path to text."""
    version = workspace(root)
    for place, found in [*manifests(root), *named(pages)]:
        if found != version:
            yield f"{place}: version {found}, and Cargo.toml has {version}"
    yield from toolchain(root)


def manifests(root):
    """Each manifest that has the version, and which one it has."""
    for name, crate in cargo(root)["workspace"]["dependencies"].items():
        if isinstance(crate, dict) and "path" in crate and "version" in crate:
            yield f"Cargo.toml, {name}", crate["version"]
    chart = yaml.safe_load((root / "deploy/helm/streamdex/Chart.yaml").read_text())
    for key in ("version", "appVersion"):
        yield f"Chart.yaml, {key}", chart[key]
    package, lock = (json.loads((root / "deploy/cdk" / name).read_text()) for name in ("package.json", "package-lock.json"))
    yield "deploy/cdk/package.json", package["version"]
    yield "deploy/cdk/package-lock.json", lock["version"]
    yield "deploy/cdk/package-lock.json, packages", lock["packages"][""]["version"]
    for crate in tomllib.loads((root / "fuzz/Cargo.lock").read_text())["package"]:
        # What has no source is of this repository; the fuzz target has a version that nobody sees.
        if "source" not in crate and crate["name"] != "streamdex-fuzz":
            yield f"fuzz/Cargo.lock, {crate['name']}", crate["version"]


def named(pages):
    """Versions of streamdex in commands and manifests of the pages."""
    for page, text in sorted(pages.items()):
        for found in NAMED.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{page}:{line}", found[1]


def toolchain(root):
    """The image is built by the Rust that builds the archives."""
    wanted = tomllib.loads((root / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    dockerfile = (root / "deploy/docker/Dockerfile").read_text()
    for form in (r"\brust:(\d[\d.]*)-", r"\bRUSTUP_TOOLCHAIN=(\S+)"):
        found = re.findall(form, dockerfile)
        if found != [wanted]:
            yield f"Dockerfile: Rust {', '.join(found) or 'of no version'}, and rust-toolchain.toml has {wanted}"
