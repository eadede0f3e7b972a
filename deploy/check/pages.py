"""The commands of the pages: what tools and CloudFormation refuse before anything is made."""

import json
import posixpath
import re

import parameters
import resolve

# Who follows a stream, as the page about the stream's own endpoint calls them.
FOLLOWERS = ("service of these templates", "Kubernetes", "on premises", "Lambda function")
# One with its continuation lines, or between backticks.
COMMAND = re.compile(r"(?:aws cloudformation|sam) deploy (?:[^\n`]*\\\n)*[^\n`]*")
GIVEN = re.compile(r"(?<=[\s\"])([A-Z][A-Za-z0-9]+)=([^\s\"]*)")


def problems(pages, templates):
    """All findings in pages, a mapping of name to text; templates are a mapping of name to content."""
    for page, text in pages.items():
        for rule in (regions, capabilities, given):
            yield from (f"{page}: {problem}" for problem in rule(text, templates))


def regions(text, _templates):
    """Commands whose region is set in AWS_REGION alone, which not every tool of AWS reads.

    The SAM CLI answers "Please provide a region via the --region parameter or by the AWS_DEFAULT_REGION environment
    variable", or takes the region of its configuration file. Who reads which:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html"""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        calls = [place for place in (block.find("aws "), block.find("sam ")) if place >= 0]
        if not calls or not re.search(r"\bAWS_REGION=", block):
            continue
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            line = re.search(rf"\b{name}=.*\n", block)
            # A substitution in the line that sets it does not see it yet.
            if line is None or line.end() > min(calls):
                yield f"{name} is not set before the first command that needs it"


def capabilities(text, templates):
    """Deployments that do not say that they make roles, or that a macro or nested stacks expand the template.

    "If you don't specify either of these capabilities, CloudFormation returns an InsufficientCapabilities error":
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html"""
    for command, name in deployments(text, templates):
        for capability in sorted(needed(name, templates)):
            if capability not in command:
                yield f"{name} is deployed without {capability}"


def needed(name, templates):
    """The capabilities that a template and those that it takes in need."""
    template = templates[name]
    found = {"CAPABILITY_AUTO_EXPAND"} if "Transform" in template else set()
    for resource in template["Resources"].values():
        if resource["Type"].startswith("AWS::IAM::"):
            found.add("CAPABILITY_IAM")
        if resource["Type"] == "AWS::CloudFormation::Stack":
            address = posixpath.join(posixpath.dirname(name), resource["Properties"]["TemplateURL"])
            found |= needed(posixpath.normpath(address), templates)
    return found


def given(text, templates):
    """Parameters that a deployment names and its template does not have or take, those that it misses, and what Rules answer:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
    A later one of the same template changes the stack, whose other parameters stay as they are:
    https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/"""
    before = {}
    for command, name in deployments(text, templates):
        if "--parameter-overrides" not in command:
            continue
        known = templates[name]["Parameters"]
        chosen = before.setdefault(name, {})
        chosen |= GIVEN.findall(command.partition("--parameter-overrides")[2])
        for parameter in sorted(chosen.keys() - known.keys()):
            yield f"{name} has no parameter {parameter}"
        for parameter, one in known.items():
            value = chosen.get(parameter)
            if value is None and "Default" not in one:
                yield f"{name} needs {parameter}"
            # What a command or a variable puts there is not known here.
            elif value and "$" not in value and not parameters.is_taken(value, one):
                yield f"{parameter} of {name} cannot be {value}"
        yield from resolve.refusals(templates[name], {one: value for one, value in chosen.items() if one in known})


def audit_logs(text):
    """A page that does not show the second half of audit logs, or shows it wrongly: the domain publishes them, and OpenSearch
    itself has to be asked to write them:
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/audit-logs.html"""
    block = re.search(r"_plugins/_security/api/audit/config\" [^\n]*<<'JSON'\n(.*?)\nJSON\n", text, re.DOTALL)
    if block is None:
        yield "the page does not show how audit logs are switched on"
        return
    try:
        config = json.loads(block[1])
    except ValueError as error:
        yield f"the configuration of audit logs is no JSON: {error}"
        return
    if not config.get("enabled") or config["audit"]["log_request_body"]:
        yield "the configuration of audit logs does not switch them on, or writes bodies, which hold items"


def streams_endpoint(text):
    """A page that leaves somebody out who follows a stream from a network without a way to the internet:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/privatelink-streams.html"""
    section = text.partition("## The stream's own endpoint\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    for follower in FOLLOWERS:
        if not any(follower in row for row in rows):
            yield f"the page does not say where the {follower} finds the stream"
    if "streams_endpoint_url" not in section or "describe-vpc-endpoints" not in section:
        yield "the page does not say what the endpoint's name is, and where it goes"


def deployments(text, templates):
    """Each command that deploys one of the templates without asking, and the template's name."""
    names = {posixpath.basename(name): name for name in templates}
    for command in COMMAND.findall(text):
        file = re.search(r"--template-file (\S+)", command)
        name = names.get(posixpath.basename(file[1])) if file else None
        if name and "--guided" not in command and "--config-file" not in command:
            yield command, name
