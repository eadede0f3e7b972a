"""Checks the templates without AWS: `cargo xtask tidy` runs it in an environment of its own.

1. IAM statements name their resources, except where WILDCARDS says why not; resources say what PROMISES
   wants; the configuration takes the variables that are set; alarms and dashboard show metrics that are
   written (rules.py).
2. The function's role is function-policy.json, which is what `streamdex iam-policy` prints.
3. cfn-lint on every template, and on what the SAM transform makes of sam/template.yaml.
4. checkov on all of that. What it may find and is accepted stands with its reason in the Metadata of the
   resource.

Usage: check.py FOLDER, where the transformed template may be written to.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import resolve
import rules
import test_rules

DEPLOY = Path(__file__).resolve().parent.parent
EXPECTED_POLICY = DEPLOY / "check" / "function-policy.json"
SAM_TEMPLATE = DEPLOY / "sam" / "template.yaml"


class NoManagedPolicies:
    """The transform would ask IAM for the names of managed policies. The templates use none."""

    def load(self):
        return {}


def templates():
    return sorted(path for folder in ("cloudformation", "sam") for path in (DEPLOY / folder).glob("*.yaml"))


def transformed():
    """The SAM template as CloudFormation sees it."""
    template = yaml_parse(SAM_TEMPLATE.read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # As packaging leaves it.
            resource["Properties"]["CodeUri"] = "s3://bucket/streamdex-lambda.zip"
    # Any will do; the transform only wants to know the partition.
    os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
    whole = transform(template, {}, NoManagedPolicies())
    # W3002: nested templates become addresses in S3 when they are packaged.
    whole["Metadata"]["cfn-lint"]["config"]["ignore_checks"].append("W3002")
    return whole


def function_policy(template):
    """The function's role against the policy that the command line tool prints for the same deployment."""
    expected = json.loads(EXPECTED_POLICY.read_text())
    stack = resolve.Stack(expected["values"], expected["conditions"])
    [policy] = stack.resolve(template["Resources"]["FunctionRole"]["Properties"]["Policies"])
    policy = resolve.policy(policy["PolicyDocument"])
    if os.environ.get("UPDATE_DOCS"):
        EXPECTED_POLICY.write_text(json.dumps({**expected, "policy": policy}, indent=2) + "\n")
    elif policy != expected["policy"]:
        yield f"{EXPECTED_POLICY.name} is not the policy of FunctionRole: UPDATE_DOCS=1 cargo xtask templates"


def tool(name, *arguments):
    """Runs a tool of this environment; whether it found nothing."""
    program = Path(sys.executable).parent / name
    return subprocess.run([program, *map(str, arguments)], cwd=DEPLOY, check=False).returncode == 0


def main(work):
    rule_tests = unittest.defaultTestLoader.loadTestsFromModule(test_rules)
    passed = unittest.TextTestRunner(verbosity=0).run(rule_tests).wasSuccessful()

    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    readable = {}
    for path in templates():
        text = path.read_text()
        name = f"{path.parent.name}/{path.name}"
        readable[name] = yaml_parse(text)
        for problem in rules.aliases(text):
            print(f"{name}: {problem}")
            passed = False
        (work / path.parent.name).mkdir(exist_ok=True)
        if path != SAM_TEMPLATE:
            shutil.copy(path, work / name)
    whole = work / "sam" / "template.json"
    plain = transformed()
    whole.write_text(json.dumps(plain, indent=2))

    main_template = readable["sam/template.yaml"]
    function = main_template["Resources"]["Function"]
    metrics = (DEPLOY.parent / "crates" / "lambda" / "src" / "metrics.rs").read_text()
    for problem in [
        *rules.problems(readable),
        *rules.promises({**readable, "sam/template.yaml": plain}),
        *function_policy(main_template),
        *rules.variables(function, (DEPLOY / "sam" / "streamdex.toml").read_text()),
        *rules.metrics(readable["sam/monitoring.yaml"], metrics),
    ]:
        print(problem)
        passed = False
    passed &= tool("cfn-lint", "--template", *templates())
    passed &= tool("cfn-lint", "--template", whole)
    # Once for the folder: starting it takes longer than its checks.
    passed &= tool(
        "checkov", "--directory", work, "--framework", "cloudformation", "--skip-download", "--quiet", "--compact"
    )
    print(f"{len(templates())} templates " + ("have no findings" if passed else "have findings"))
    return passed


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]).resolve()) else 1)
