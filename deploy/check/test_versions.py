"""The rule about versions finds each place that was forgotten."""

import json
import tempfile
import unittest
from pathlib import Path

import versions

DOCKERFILE = "FROM --platform=x rust:1.95.0-bookworm@sha256:0 AS build\nENV RUSTUP_TOOLCHAIN=1.95.0\n"
PAGE = (
    "streamdex:0.2.0 ImageTag=0.2.0 streamdex-cdk-0.2.0.tgz streamdex-lambda-0.2.0-arm64.zip "
    "releases/download/v0.2.0/streamdex-0.2.0-x imageTag: '0.2.0',"
)


def found(crate="0.2.0", chart="0.2.0", app="0.2.0", cdk="0.2.0", locked="0.2.0", fuzz="0.2.0", page=PAGE, dockerfile=DOCKERFILE):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("deploy/helm/streamdex", "deploy/cdk", "deploy/docker", "fuzz"):
            (root / name).mkdir(parents=True)
        (root / "Cargo.toml").write_text(
            "[workspace.package]\nversion = '0.2.0'\n[workspace.dependencies]\n"
            f"streamdex-aws = {{ path = 'crates/aws', version = '{crate}' }}\ntokio = '1'\nkit = {{ path = 'crates/kit' }}\n"
        )
        (root / "rust-toolchain.toml").write_text("[toolchain]\nchannel = '1.95.0'\n")
        (root / "deploy/helm/streamdex/Chart.yaml").write_text(f"version: {chart}\nappVersion: {app}\n")
        for name in ("package.json", "package-lock.json"):
            (root / "deploy/cdk" / name).write_text(json.dumps({"version": cdk, "packages": {"": {"version": locked}}}))
        (root / "fuzz/Cargo.lock").write_text(
            f"[[package]]\nname = 'streamdex-mapping'\nversion = '{fuzz}'\n[[package]]\nname = 'streamdex-fuzz'\nversion = '0.0.0'\n"
            "[[package]]\nname = 'serde'\nversion = '1.0.0'\nsource = 'registry'\n"
        )
        (root / "deploy/docker/Dockerfile").write_text(dockerfile)
        return list(versions.problems(root, {"docs/page.md": page}))


class Versions(unittest.TestCase):
    def test_one_version_everywhere_has_no_findings(self):
        self.assertEqual(found(), [])

    def test_each_place_that_was_forgotten_is_named(self):
        forms = ["streamdex:0.2.0", "ImageTag=0.2.0", "cdk-0.2.0", "lambda-0.2.0", "v0.2.0", "streamdex-0.2.0", "imageTag: '0.2.0'"]
        rows = [
            ({"crate": "0.1.0"}, "Cargo.toml, streamdex-aws"),
            ({"chart": "0.1.0"}, "Chart.yaml, version"),
            ({"app": "0.1.0"}, "Chart.yaml, appVersion"),
            ({"cdk": "0.1.0"}, "deploy/cdk/package.json"),
            ({"cdk": "0.1.0"}, "deploy/cdk/package-lock.json"),
            *(
                ({"page": f"\n{PAGE.replace(form, form.replace('0.2.0', '0.1.0'))}"}, "docs/page.md:2")
                for form in forms
            ),
            ({"locked": "0.1.0"}, "deploy/cdk/package-lock.json, packages"),
            ({"fuzz": "0.1.0"}, "fuzz/Cargo.lock, streamdex-mapping"),
            ({"dockerfile": DOCKERFILE.replace("rust:1.95.0", "rust:1.94.0")}, "Dockerfile"),
            ({"dockerfile": DOCKERFILE.replace("TOOLCHAIN=1.95.0", "TOOLCHAIN=1.94.0")}, "Dockerfile"),
            ({"dockerfile": "FROM scratch"}, "Dockerfile"),
        ]
        for changed, place in rows:
            with self.subTest(changed=changed):
                self.assertTrue(any(problem.startswith(f"{place}: ") for problem in found(**changed)), found(**changed))

    def test_a_version_ends_before_the_end_of_a_name_or_a_sentence(self):
        for version in ("0.2.0", "0.2.0-rc.1", "0.2.0-beta1", "0.2.0-alpha"):
            page = f"streamdex-cdk-{version}.tgz streamdex-{version}-x86_64 and streamdex:{version}. `streamdex:{version}`"
            self.assertEqual([found for _, found in versions.named({"page": page})], [version] * 4)

    def test_the_pages_of_this_repository_name_versions(self):
        page = (versions.ROOT / "docs/deploy-container.md").read_text()
        self.assertEqual({version for _, version in versions.named({"page": page})}, {versions.workspace()})


if __name__ == "__main__":
    unittest.main()
