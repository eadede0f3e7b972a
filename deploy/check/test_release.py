"""`.ci/check-release` names each thing that keeps a commit from being released."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent.parent / ".ci" / "check-release"
ADDRESS = "https://github.com/somebody/streamdex"
FILES = {
    "Cargo.toml": f'[workspace.package]\nversion = "1.2.3"\nrepository = "{ADDRESS}"\n',
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3\n\n- one\n\n## 1.2.2\n\n- two\n",
    "README.md": f"curl {ADDRESS}/releases/download/v1.2.3/streamdex-1.2.3-x.tar.gz\n",
    "SECURITY.md": "Only the newest release gets fixes. Replace OWNER/REPOSITORY.\n",
    "CONTRIBUTING.md": "Write the address in place of OWNER/streamdex. Once there is a release: no release yet.\n",
}


def said(tag="v1.2.3", branch="main", uncommitted="", on_github=False, **changed):
    """The exit status and the lines for these files, committed after a branch `old`, but for what is added to the README."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".ci").mkdir()
        shutil.copy(SCRIPT, Path(folder) / ".ci")

        def git(*arguments):
            identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

        git("init", "--initial-branch=main")
        git("commit", "--allow-empty", "--message=first")
        git("branch", "old")
        for name, text in FILES.items():
            (Path(folder) / name).write_text(changed.get(name.split(".")[0], text))
        git("add", ".")
        git("commit", "--message=second")
        with (Path(folder) / "README.md").open("a") as readme:
            readme.write(uncommitted)
        environment = {"PATH": os.environ["PATH"]} | ({"GITHUB_ACTIONS": "true"} if on_github else {})
        command = [".ci/check-release", tag, ADDRESS, branch]
        script = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, env=environment)
        return script.returncode, (script.stdout + script.stderr).splitlines()


class Release(unittest.TestCase):
    def test_a_commit_that_may_be_released_has_no_findings(self):
        self.assertEqual(said(), (0, []))

    def test_each_reason_against_it_is_named(self):
        rows = [
            ({"tag": "v1.2.4"}, "the tag is v1.2.4"),
            ({"branch": "old"}, "this commit is not on old"),
            ({"uncommitted": "\n"}, "there are changes that are not committed"),
            ({"CHANGELOG": "## 1.2.3\n\n## 1.2.2\n- one\n"}, "CHANGELOG.md says nothing about 1.2.3"),
            ({"CHANGELOG": "## Unreleased\n- two\n## 1.2.3\n- one\n"}, 'CHANGELOG.md still has changes under "## Unreleased"'),
            ({"CHANGELOG": "## Unreleased\n"}, 'CHANGELOG.md needs one heading "## 1.2.3"'),
            ({"CHANGELOG": "## 1.2.3\n## 1.2.3\n"}, 'CHANGELOG.md needs one heading "## 1.2.3"'),
            ({"Cargo": '[workspace.package]\nversion = "1.2.3"\n'}, f'Cargo.toml lacks: repository = "{ADDRESS}"'),
            ({"README": FILES["README.md"].replace("v1.2.3", "v1.2.2")}, "README.md lacks: "),
            ({"README": FILES["README.md"] + "https://github.com/OWNER/streamdex\n"}, "a placeholder: README.md:2:"),
            ({"README": FILES["README.md"] + "Write the owner in place of `OWNER`.\n"}, "a placeholder: README.md:2:"),
            ({"Cargo": FILES["Cargo.toml"] + "# OWNER/streamdex\n"}, "a placeholder: Cargo.toml:4:"),
            ({"SECURITY": "ghcr.io/Acme/streamdex:1.2.3\n"}, "a registry takes lower case alone: SECURITY.md:1:"),
            *(
                ({"SECURITY": f"{text}\n"}, "not true any more in a release: SECURITY.md:1:")
                for text in ("There is no release yet.", "Once there is a release, it is.", "The workflows never ran on GitHub.")
            ),
        ]
        for changed, reason in rows:
            with self.subTest(reason=reason):
                status, lines = said(**changed)
                self.assertEqual(status, 1)
                self.assertTrue(any(line.startswith(reason) for line in lines), lines)

    def test_all_reasons_are_named_together(self):
        self.assertEqual(len(said(tag="v9.9.9", branch="old")[1]), 5)

    def test_on_github_each_line_is_an_annotation(self):
        status, lines = said(SECURITY="no release yet\nno release yet\n", on_github=True)
        self.assertEqual(status, 1)
        self.assertTrue(len(lines) == 2 and all(line.startswith("::error::") for line in lines), lines)


if __name__ == "__main__":
    unittest.main()
