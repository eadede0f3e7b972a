"""What has to be handed on so that somebody reaches the search, and the program its services."""

import json

from refused import listed

# Child templates that a search is in, and the network.
SEARCH = ("search-domain.yaml", "search-serverless.yaml")
NETWORK = "network.yaml"
STREAMS = "STREAMDEX_STREAMS_ENDPOINT_URL"
OPERATORS = "OperatorSecurityGroupId"
# Who is to have which role in OpenSearch.
PEOPLE = {"STREAMDEX_WRITER_ARNS", "STREAMDEX_SEARCHER_ARNS", "STREAMDEX_ADMINISTRATOR_ARNS"}
MODE = "STREAMDEX_SET_UP"


def problems(templates):
    """All findings in templates, a mapping of name to content."""
    for name, template in templates.items():
        for rule in (operators, streams, assuming, arns):
            yield from (f"{name}: {problem}" for problem in rule(template))
    yield from (f"sam/template.yaml: {problem}" for problem in set_up(templates["sam/template.yaml"]))


def operators(template):
    """A search in a VPC of the user's that no group but the writer's reaches: "security groups" of the VPC decide who does:
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/vpc.html"""
    for logical, given in nested(template, SEARCH):
        if {"Ref": OPERATORS} not in list(parts(given.get(OPERATORS))):
            yield f"{logical}: with Network=existing nobody can say who searches: {OPERATORS} is no parameter"


def streams(template):
    """A way to DynamoDB Streams that nobody takes: the service has no private DNS name, so clients need the endpoint's name:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/privatelink-streams.html"""
    for logical, given in nested(template, (NETWORK,)):
        if given.get("StreamsEndpoint", "no") == "no":
            continue
        address = f"{logical}.Outputs.StreamsEndpointUrl"
        if not any(one == {"Fn::GetAtt": form} for one in parts(template) for form in (address, address.split(".", 1))):
            yield f"{logical}: nobody takes the endpoint's own name, its output StreamsEndpointUrl"
        for task, resource in of_type(template, "AWS::ECS::TaskDefinition"):
            for container in resource["Properties"]["ContainerDefinitions"]:
                if STREAMS not in [one["Name"] for one in container["Environment"]]:
                    yield f"{task}: is not given {STREAMS}"


def assuming(template):
    """A role that talks to OpenSearch, and may not take the role that the configuration names for it:
    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    if "AssumedRoleArn" not in template.get("Parameters", {}):
        return
    allowed = {}
    for logical, resource in of_type(template, "AWS::IAM::Role"):
        allowed.setdefault(logical, set()).update(actions(resource["Properties"].get("Policies", [])))
    for _, resource in of_type(template, "AWS::IAM::RolePolicy"):
        role = resource["Properties"]["RoleName"]["Ref"]
        allowed.setdefault(role, set()).update(actions(resource["Properties"]["PolicyDocument"]))
    for role, may in allowed.items():
        if "es:ESHttpGet" in may and "sts:AssumeRole" not in may:
            yield f"{role}: talks to OpenSearch, and may not assume AssumedRoleArn"


def arns(template):
    """Parameters for ARNs that take anything: what is none is found when the domain is made. A session's ARN, which
    `aws sts get-caller-identity` shows, is no role's:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
    if not list(nested(template, (NETWORK,))):
        # It is given what its parent has looked at.
        return
    for name, parameter in template["Parameters"].items():
        if name.endswith("Arn") and "arn:" not in parameter.get("AllowedPattern", ""):
            yield f"{name} takes what is no ARN"


def set_up(template):
    """A deployment that nobody can search: no function that sets up, one that is set up for others, or an answer that does
    not arrive. "The maximum time, in seconds, that can elapse before a custom resource operation times out":
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
    The answer goes to a bucket of CloudFormation's:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-vpce-bucketnames.html"""
    made = {logical: one for logical, one in template["Resources"].items() if one["Type"].startswith("Custom::")}
    if not made:
        yield "nothing sets up the domain, so nobody can search it"
    functions = {
        logical: (one["Properties"], one["Properties"]["Environment"]["Variables"])
        for logical, one in of_type(template, "AWS::Serverless::Function")
    }
    for logical, resource in made.items():
        own = resource["Properties"]["ServiceToken"]["Fn::GetAtt"]
        function, variables = functions[own.split(".")[0] if isinstance(own, str) else own[0]]
        if not {MODE, *PEOPLE} <= variables.keys():
            yield f"{logical}: its function does not know who writes, searches and administers"
        if not resource["Properties"].get("ServiceTimeout", 3600) > function["Timeout"]:
            yield f"{logical}: CloudFormation does not wait as long as the function tries"
        for name, (writer, others) in functions.items():
            if MODE in others:
                continue
            for variable in sorted(others.keys() - {"STREAMDEX_OPENSEARCH_URL", "STREAMDEX_OPENSEARCH_SERVICE"}):
                if variables.get(variable) != others[variable]:
                    yield f"{logical}: is set up with another {variable} than {name}"
            if {"Ref": logical} not in list(parts(writer)):
                yield f"{logical}: {name} does not wait for it"
        for network, given in nested(template, (NETWORK,)):
            if given.get("Answers") != "yes":
                yield f"{logical}: its answer does not leave {network}"


def nested(template, children):
    """The name and the parameters of each nested stack of these templates."""
    for logical, resource in of_type(template, "AWS::CloudFormation::Stack"):
        if resource["Properties"]["TemplateURL"].endswith(children):
            yield logical, resource["Properties"].get("Parameters", {})


def of_type(template, kind):
    return [(logical, one) for logical, one in template.get("Resources", {}).items() if one["Type"] == kind]


def parts(node):
    """Everything in a part of a template, itself first."""
    yield node
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from parts(one)


def actions(node):
    """Every action that statements allow."""
    for one in parts(node):
        if isinstance(one, dict) and one.get("Effect") == "Allow":
            yield from (action for action in listed(one["Action"]) if isinstance(action, str))
