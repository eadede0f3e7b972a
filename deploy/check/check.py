"""Checks the templates without AWS: `cargo xtask tidy` runs it in its own environment.

1. IAM statements name their resources, except where WILDCARDS says why not; resources say what PROMISES
   wants; parents pass on what nested templates let one choose; the configuration takes the variables that are set
   (rules.py).
   Nothing in them is what AWS refuses, or takes and does something else with (refused.py).
   The alarms that AWS recommends for a domain are there, and those for gaps and for a mapping that does not poll; alarms and
   dashboard show metrics that are written (alarms.py).
   Policies and templates are not longer than AWS takes (limits.py).
   Roles and endpoints name all tables that are followed (sources.py).
   Names do not collide with those of a second deployment, of a second region, or on a domain (names.py).
   Rules for five places of the first templates, which passed every linter, find them (test_first_templates.py).
   The parameters of a second region fit the template (parameters.py).
   A password is read from one secret, and is in no command of a page (passwords.py).
   What Lambda gave up is taken by a task that its schedule may start, and a run that fails is noticed (redrive.py).
   What stays when a stack is deleted is named by the page about removal (removal.py).
   Tools and CloudFormation take the commands of the pages (pages.py).
   What somebody needs to reach the search, and the program its services, is handed on (reach.py).
2. The roles of function and service are those of the files …-policy.json, which are what `streamdex iam-policy` prints.
3. The image, the compose file, the task definitions and the page about them keep what they promise, and agree
   (containers.py).
4. moto makes every stack, in several deployments, and deletes it again (create.py).
5. cfn-lint on every template, and on what the SAM transform makes of sam/template.yaml.
6. checkov on all of that. What it may find and is accepted stands with its reason in the Metadata of the
   resource.
7. Alert rules, their tests and the dashboard ask for metrics that are served, and promtool passes the tests (prometheus.py).
8. helm renders the chart; what it gives is valid, and says what values, configuration and page say (helm.py).
9. actionlint on the workflows.
   One version everywhere (versions.py); `.ci/check-release` names what keeps a commit from being released (test_release.py).
   Links between pages lead somewhere, and the book of docs/ has all of them (links.py).
10. hadolint on the Dockerfile, and the Compose Specification's schema on the compose file.

Usage: check.py FOLDER, where the transformed template may be written to.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import alarms
import containers
import create
import gotools
import helm
import limits
import links
import names
import pages
import parameters
import passwords
import prometheus
import reach
import redrive
import refused
import removal
import resolve
import rules
import sources
import test_alarms
import test_containers
import test_create
import test_first_templates
import test_helm
import test_limits
import test_links
import test_names
import test_pages
import test_parameters
import test_passwords
import test_prometheus
import test_reach
import test_redrive
import test_refused
import test_release
import test_removal
import test_rules
import test_site
import test_sources
import test_versions
import versions

TESTS = [
    test_rules,
    test_containers,
    test_refused,
    test_alarms,
    test_removal,
    test_names,
    test_parameters,
    test_sources,
    test_limits,
    test_first_templates,
    test_pages,
    test_reach,
    test_passwords,
    test_prometheus,
    test_redrive,
    test_create,
    test_helm,
    test_links,
    test_site,
    test_versions,
    test_release,
]
DEPLOY = Path(__file__).resolve().parent.parent
CRATES = DEPLOY.parent / "crates"
DOCS = DEPLOY.parent / "docs"
FUNCTION_POLICY = DEPLOY / "check" / "function-policy.json"
SERVICE_POLICY = DEPLOY / "check" / "service-policy.json"
# The same roles with a password.
FUNCTION_PASSWORD_POLICY = DEPLOY / "check" / "function-password-policy.json"
SERVICE_PASSWORD_POLICY = DEPLOY / "check" / "service-password-policy.json"
REDRIVE_POLICIES = [DEPLOY / "check" / f"redrive-{name}.json" for name in ("policy", "password-policy", "collection-policy")]
SAM_TEMPLATE = DEPLOY / "sam" / "template.yaml"
SECOND_REGION = DEPLOY / "sam" / "second-region.toml"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
GRAFANA = DEPLOY / "grafana"


# What Lambda does in the name of a function's role.
OF_LAMBDA = {
    "FunctionKey",
    "Logs",
    "Network",
    "NetworkInterfaceDelete",
    "NetworkInterfaces",
    "NetworkLists",
    "NetworkNotFromCode",
}


class NoManagedPolicies:
    """The transform would ask IAM for the names of AWS's managed policies. The templates use none."""

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


def printed_names():
    """What the command line tool prints of roles, held to it by its own tests, and the pages that say where to put it."""
    places = [*(CRATES / "cli" / "tests" / "snapshots").glob("*iam_policy*.snap"), *DOCS.glob("*.md")]
    return {place.name: place.read_text() for place in sorted(places)}


def roles(path, template):
    """The roles of a template against the policies that the command line tool prints for the same deployment. Managed
    policies of the template add to each inline one."""
    expected = json.loads(path.read_text())
    resources = template["Resources"]
    made = {name: name for name, one in resources.items() if one["Type"] == "AWS::IAM::ManagedPolicy"}
    stack = resolve.Stack(made | expected["values"], expected["conditions"])
    for one in expected["policies"]:
        role = stack.resolve(resources[one["role"]]["Properties"])
        [policy] = [policy["PolicyDocument"] for policy in role["Policies"] if policy["PolicyName"] == one["name"]]
        for name in role.get("ManagedPolicyArns", []):
            policy["Statement"] += stack.resolve(resources[name]["Properties"]["PolicyDocument"]["Statement"])
        policy = resolve.policy(policy)
        if os.environ.get("UPDATE_DOCS"):
            one["policy"] = policy
        elif policy != one["policy"]:
            yield f"{path.name}: policy {one['name']} of {one['role']} is another: UPDATE_DOCS=1 cargo xtask templates"
    named = {(one["role"], one["name"]) for one in expected["policies"]}
    for role in {one["role"] for one in expected["policies"]}:
        for policy in resources[role]["Properties"]["Policies"]:
            if (role, policy["PolicyName"]) not in named:
                yield f"{path.name}: nothing holds policy {policy['PolicyName']} of {role}"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(json.dumps(expected, indent=2) + "\n")


def set_up_role(template, function, service):
    """The role of the function that sets up may do what `iam-policy --for index` prints, which the command role of the service
    is held to, and what Lambda does in its name."""
    stack = resolve.Stack(function["values"] | {"SetUpLogs": "logs"}, function["conditions"])
    [policy] = stack.resolve(template["Resources"]["SetUpRole"]["Properties"]["Policies"])
    found = {statement["Sid"]: statement for statement in resolve.policy(policy["PolicyDocument"])["Statement"]}
    [printed] = [one["policy"]["Statement"] for one in service["policies"] if one["name"] == "index"]
    for wanted in printed:
        if found.pop(wanted["Sid"], None) != wanted:
            yield f"SetUpRole: {wanted['Sid']} is not what iam-policy --for index prints"
    for sid in sorted(found.keys() - OF_LAMBDA):
        yield f"SetUpRole: nothing needs {sid}"


def function_problems(template, monitoring):
    """The function: its role, its environment, its metrics."""
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    yield from roles(FUNCTION_POLICY, template)
    yield from set_up_role(template, *(json.loads(path.read_text()) for path in (FUNCTION_POLICY, SERVICE_POLICY)))
    yield from roles(FUNCTION_PASSWORD_POLICY, template)
    yield from rules.variables(variables, (DEPLOY / "sam" / "streamdex.toml").read_text())
    yield from alarms.metrics(monitoring, (CRATES / "lambda" / "src" / "metrics.rs").read_text())


def service_problems(template, network, monitoring):
    """The service: its roles and tables, its image, its environment, its log lines."""
    page = (DOCS / "deploy-container.md").read_text()
    dockerfile = DOCKERFILE.read_text()
    config = (DEPLOY / "cloudformation" / "streamdex.toml").read_text()
    program = (path for crate in ("cli", "poller", "sink") for path in sorted((CRATES / crate / "src").rglob("*.rs")))
    yield from roles(SERVICE_POLICY, template)
    yield from roles(SERVICE_PASSWORD_POLICY, template)
    yield from containers.image(dockerfile)
    yield from containers.tasks(template, dockerfile)
    for task in ("TaskDefinition", "CommandTask"):
        [container] = template["Resources"][task]["Properties"]["ContainerDefinitions"]
        yield from rules.variables(containers.environment(container), config)
        yield from sources.example(page, containers.environment(container))
    yield from sources.problems(template)
    yield from limits.problems(template, network)
    yield from limits.body(template, page)
    yield from alarms.log_filters(monitoring, "\n".join(path.read_text() for path in program))
    yield from containers.compose(yaml.safe_load(COMPOSE.read_text()))
    yield from containers.examples(page, dockerfile)
    yield from pages.streams_endpoint(page)


def redrive_problems(readable):
    """The redrive: its role and task, its environment, its schedule, and what it needs of the function's stack."""
    template, function = readable["cloudformation/redrive.yaml"], readable["sam/template.yaml"]
    [container] = template["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    yield from (problem for path in REDRIVE_POLICIES for problem in roles(path, template))
    yield from containers.tasks(template, DOCKERFILE.read_text())
    yield from rules.variables(containers.environment(container), (DEPLOY / "sam" / "streamdex.toml").read_text())
    yield from redrive.problems(template)
    yield from redrive.writers(function)
    size = (DEPLOY / "cloudformation" / "redrive.yaml").stat().st_size
    yield from redrive.page((DOCS / "deploy-lambda.md").read_text(), readable, size)


def prometheus_problems():
    """Alert rules and dashboard, which read what `run` serves."""
    rules_and_tests = (yaml.safe_load((GRAFANA / name).read_text()) for name in ("alerts.yaml", "alerts_test.yaml"))
    dashboard = json.loads((GRAFANA / "streamdex.json").read_text())
    root = DEPLOY.parent
    docs = {str(page.relative_to(root)): page.read_text() for page in [root / "README.md", *sorted(DOCS.glob("*.md"))]}
    served = prometheus.metrics(docs["docs/metrics.md"], CRATES)
    found = [*prometheus.problems(*rules_and_tests, dashboard, served, docs), *prometheus.accepted(GRAFANA)]
    yield from (f"grafana: {problem}" for problem in found)


def tool(name, *arguments, cwd=DEPLOY):
    """Runs a tool of this environment in a folder; whether it found nothing."""
    program = Path(sys.executable).parent / name
    return subprocess.run([program, *map(str, arguments)], cwd=cwd, check=False).returncode == 0


def helm_problems(tools):
    """The chart, with an example's configuration."""
    configuration, page = (DEPLOY.parent / "examples/sessions.toml").read_text(), (DOCS / "deploy-container.md").read_text()
    help_text = (CRATES / "cli/tests/snapshots/main__help__help.snap").read_text()
    program = gotools.built(*helm.HELM, tools)
    return helm.problems(program, DEPLOY / "helm/streamdex", configuration, page, help_text)


def repository_problems():
    """Links and versions on all pages of the repository; what was built, or fetched, is none of it."""
    root, paths = DEPLOY.parent, set()
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in {"target", ".git", "node_modules"}]
        paths |= {str(Path(folder, name).relative_to(root)) for name in [*folders, *files]}
    pages = {path: (root / path).read_text() for path in paths if path.endswith(".md")}
    yield from links.problems(pages, paths)
    # A decision keeps the version of its time, and the changelog has all of them.
    dated = {path: text for path, text in pages.items() if not path.startswith("docs/adr/") and path != "CHANGELOG.md"}
    yield from versions.problems(root, dated)


def workflows(tools):
    """Whether actionlint finds nothing in the workflows; shellcheck of the machine is left out, since not every one has it."""
    files = sorted((DEPLOY.parent / ".github/workflows").glob("*.yml"))
    program = gotools.built("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12", tools)
    return subprocess.run([program, "-shellcheck=", "-pyflakes=", *files], check=False).returncode == 0


def main(work):
    load = unittest.defaultTestLoader.loadTestsFromModule
    rule_tests = unittest.TestSuite(map(load, TESTS))
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

    for problem in [
        *rules.problems(readable),
        *refused.problems(readable),
        *names.problems(readable),
        *names.on_domain(printed_names()),
        *alarms.problems(readable),
        *reach.problems(readable),
        *(
            f"{SECOND_REGION.name}: {problem}"
            for problem in parameters.problems(
                SECOND_REGION.read_text(), readable["sam/template.yaml"], parameters.SECOND_REGION
            )
        ),
        *removal.problems(readable, (DOCS / "removing.md").read_text()),
        *pages.problems({page.name: page.read_text() for page in sorted(DOCS.glob("*.md"))}, readable),
        *passwords.problems(readable),
        *passwords.documented((DOCS / "deploy-lambda.md").read_text()),
        *(
            f"{name}: {problem}"
            for name in ("sam/template.yaml", "cloudformation/service.yaml", "cloudformation/redrive.yaml")
            for problem in sources.endpoints(readable["cloudformation/network.yaml"], readable[name])
        ),
        *(
            f"cloudformation/network.yaml: {problem}"
            for problem in sources.shared(readable["cloudformation/network.yaml"])
        ),
        *rules.nested(readable),
        *(
            f"{name}: {problem}"
            for name, template in {**readable, "sam/template.yaml": plain}.items()
            for problem in [*rules.network(template), *rules.log_keys(template)]
        ),
        *pages.audit_logs((DOCS / "deploy-lambda.md").read_text()),
        *rules.documented(readable["cloudformation/key.yaml"], (DOCS / "deploy-lambda.md").read_text()),
        *rules.promises({**readable, "sam/template.yaml": plain}),
        *function_problems(readable["sam/template.yaml"], readable["sam/monitoring.yaml"]),
        *limits.body(readable["sam/template.yaml"], (DOCS / "deploy-lambda.md").read_text()),
        *service_problems(
            readable["cloudformation/service.yaml"],
            readable["cloudformation/network.yaml"],
            readable["cloudformation/service-monitoring.yaml"],
        ),
        *redrive_problems(readable),
        *prometheus_problems(),
        *create.problems({**readable, "sam/template.yaml": plain}, (DOCS / "removing.md").read_text()),
        *helm_problems(work.parent / "tools"),
        *repository_problems(),
    ]:
        print(problem)
        passed = False
    passed &= workflows(work.parent / "tools")
    passed &= tool("cfn-lint", "--template", *templates())
    passed &= tool("cfn-lint", "--template", whole)
    # Once for the folder: starting it takes longer than its checks. The folder's own path is not given: where part of it has
    # the length of an AWS secret, checkov finds a secret.
    passed &= tool(
        "checkov", "--directory", ".", "--framework", "cloudformation", "--skip-download", "--quiet", "--compact", cwd=work
    )
    passed &= tool("hadolint", DOCKERFILE)
    passed &= tool("check-jsonschema", "--quiet", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    print(f"{len(templates())} templates " + ("have no findings" if passed else "have findings"))
    return passed


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]).resolve()) else 1)
