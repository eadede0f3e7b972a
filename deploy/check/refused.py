"""What AWS refuses, or takes and does something else with, although every linter lets it pass.

Each rule quotes the page of AWS that says so; test_first_templates.py looks for that.
"""

import re

import resolve

# Services whose interface endpoints have no private DNS name.
WITHOUT_PRIVATE_DNS = ("dynamodb-streams",)
# How long a stream keeps records. A mapping that begins at TRIM_HORIZON meets records that old.
STREAM_SECONDS = 86_400
HOUR = 3_600
# What a function's role must allow for Lambda to put the function into a VPC.
FOR_VPC = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
# The memory, in MiB, that Fargate takes with each number of CPU units.
FARGATE = {
    256: (512, 1024, 2048),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16_385, 1024),
}
# The days that CloudWatch Logs keeps a group for.
RETENTION = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
# The longest name of a policy of OpenSearch Serverless.
POLICY_NAME = 32
# Templates whose deletion takes documents away.
HOLD_DATA = ("search-domain.yaml", "search-serverless.yaml")
# Sizes of a domain that the service takes, and those that it refuses; parameters are named without `Domain`.
STANDBY = {
    "Standby": "yes",
    "Zones": 3,
    "DataNodes": 3,
    "DedicatedManagers": "yes",
    "InstanceType": "r6g.large.search",
    "ManagerType": "m6g.large.search",
}
TAKEN = [{}, {"DataNodes": 4}, {"Zones": 3, "DataNodes": 3}, {"DataNodes": 12, "DedicatedManagers": "yes"}, STANDBY]
REFUSED = [
    {"DataNodes": 3},
    {"Zones": 3, "DataNodes": 4},
    {"DataNodes": 12},
    STANDBY | {"Zones": 2, "DataNodes": 2},
    STANDBY | {"DedicatedManagers": "no"},
    STANDBY | {"InstanceType": "t3.medium.search"},
    STANDBY | {"ManagerType": "t3.medium.search"},
    STANDBY | {"EngineVersion": "OpenSearch_1.2"},
]


def problems(templates):
    """All findings in templates, a mapping of name to content."""
    for name, template in templates.items():
        for logical, resource in template.get("Resources", {}).items():
            for rule in OF_RESOURCES:
                yield from (f"{name}: {logical}: {problem}" for problem in rule(resource, template))
        for rule in OF_TEMPLATES:
            yield from (f"{name}: {problem}" for problem in rule(template))


def private_dns(resource, _template):
    """An endpoint for a service without a private DNS name is refused where it asks for one.

    "AWS PrivateLink for Amazon DynamoDB Streams doesn't support the following: [...] Private and Hybrid Domain Name System
    (DNS) services": https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/privatelink-streams.html"""
    if resource["Type"] != "AWS::EC2::VPCEndpoint":
        return
    properties = resource["Properties"]
    service = str(properties.get("ServiceName")).rstrip("'}").rpartition(".")[2]
    if service in WITHOUT_PRIVATE_DNS and properties.get("PrivateDnsEnabled"):
        yield f"{service} has no private DNS name, so PrivateDnsEnabled is refused"


def interfaces(resource, _template):
    """Lambda checks, before it makes a function in a VPC, that the role may delete its interfaces, and asks for more
    than network-interface/*.

    "Either specify a unique resource ID, or include all resource IDs, for example, "Resource":
    "arn:aws:ec2:us-west-2:123456789012:*/*"": https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""
    if resource["Type"] != "AWS::IAM::Role":
        return
    allowed = [
        statement
        for policy in resource["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Effect") == "Allow" and "ec2:DeleteNetworkInterface" in listed(statement.get("Action"))
    ]
    for statement in allowed:
        for arn in listed(statement["Resource"]):
            text = arn.get("Fn::Sub") if isinstance(arn, dict) else arn
            if text != "*" and not str(text).endswith(":*/*"):
                yield f"Lambda refuses a role that may delete network interfaces on {text} alone"


def rights_in_vpc(resource, template):
    """Lambda does not make a function in a VPC whose role lacks one of six rights.

    "If you prefer to create your own IAM permissions policy, make sure to add all of the following permissions":
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""
    properties = resource.get("Properties", {})
    if resource["Type"] not in ("AWS::Lambda::Function", "AWS::Serverless::Function") or "VpcConfig" not in properties:
        return
    role = properties["Role"]["Fn::GetAtt"]
    role = template["Resources"][role.split(".")[0] if isinstance(role, str) else role[0]]
    allowed = {
        action
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Effect") == "Allow"
        for action in listed(statement["Action"])
    }
    for action in FOR_VPC:
        if action not in allowed:
            yield f"is in a VPC, and its role does not allow {action}"


def mapping(resource, template):
    """An event source mapping drops what is older than its maximum age, at its first start too.

    "Discard records older than the specified age", and, of the retries, "When set to infinite (-1), failed records are
    retried until the record expires": https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
    "All data in DynamoDB Streams is subject to a 24-hour lifetime":
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html"""
    for properties in streams(resource):
        age = default(properties.get("MaximumRecordAgeInSeconds", -1), template)
        start = default(properties.get("StartingPosition"), template)
        if start == "TRIM_HORIZON" and age != -1 and age < STREAM_SECONDS - HOUR:
            yield f"records of the first day that are older than {age} s are given up at the first start"
        retries = properties.get("MaximumRetryAttempts", -1)
        if lowest(retries, template) > -1:
            yield "MaximumRetryAttempts cannot be -1, which is to try until the records' age ends it"


def kept(resource, _template):
    """The data of a search cluster outlives its stack.

    "Deleting a collection deletes all data and indexes in the collection":
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-delete.html"""
    holds_data = str(resource.get("Properties", {}).get("TemplateURL", "")).endswith(HOLD_DATA)
    if holds_data and resource.get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
        yield "deleting the stack deletes the documents"


def policy_name(resource, template):
    """A policy of OpenSearch Serverless whose name is too long once a parameter has its longest value.

    "Length Constraints: Minimum length of 3. Maximum length of 32":
    https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_CreateAccessPolicy.html"""
    if resource["Type"] not in ("AWS::OpenSearchServerless::AccessPolicy", "AWS::OpenSearchServerless::SecurityPolicy"):
        return
    name = resource["Properties"]["Name"]
    name = name["Fn::Sub"] if "Fn::Sub" in name else "${%s}" % name["Ref"]
    longest = re.sub(r"\$\{(\w+)\}", lambda one: longest_value(template["Parameters"][one[1]]), name)
    if len(longest) > POLICY_NAME:
        yield f"its name can have {len(longest)} characters, and may have {POLICY_NAME}"


def retention(resource, template):
    """A log group that can be given another number of days than the service knows.

    "Possible values are: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, [...]":
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
    days = resource.get("Properties", {}).get("RetentionInDays")
    if resource["Type"] == "AWS::Logs::LogGroup" and isinstance(days, dict):
        allowed = set(template["Parameters"][days["Ref"]].get("AllowedValues", []))
        if not allowed or allowed - RETENTION:
            yield f"{days['Ref']} takes days that are refused"


def longest_value(parameter):
    """A value as long as a pattern like `[a-z][a-z0-9-]{2,27}` lets it be."""
    [most] = re.findall(r"^\[[^]]+\]\[[^]]+\]\{\d+,(\d+)\}$", parameter["AllowedPattern"])
    return "x" * (1 + int(most))


def concurrency(resource, template):
    """New accounts have few concurrent executions, and some of them cannot be reserved.

    "New AWS accounts have reduced concurrency and memory quotas":
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    "You can reserve up to the Unreserved account concurrency value that is shown, minus 100 for functions that don't have
    reserved concurrency": https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
    reserved = resource.get("Properties", {}).get("ReservedConcurrentExecutions")
    if isinstance(reserved, dict) and "Fn::If" in reserved:
        _, chosen, otherwise = reserved["Fn::If"]
        if otherwise == {"Ref": "AWS::NoValue"} and default(chosen, template) == 0:
            return
    elif reserved is None:
        return
    yield "concurrency is reserved by default, which fails in an account with few concurrent executions"


def sizes(template):
    """Where the size of a domain can be chosen, Rules refuse what the service would refuse half an hour later.

    Standby needs three zones, a multiple of three data nodes, three dedicated managers, OpenSearch 1.3 and instances
    other than T3: https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-multiaz.html and
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/supported-instance-types.html.
    More than 10 data nodes need dedicated managers:
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/createupdatedomains.html.
    "You must choose an even number of data nodes for a two Availability Zone deployment" is what the API answers."""
    if "DomainDataNodes" not in template.get("Parameters", {}):
        return
    for choice, wanted in [*((choice, False) for choice in TAKEN), *((choice, True) for choice in REFUSED)]:
        given = {f"Domain{name}": value for name, value in choice.items()}
        answers = resolve.refusals(template, given | {"Search": "domain", "Network": "create"})
        if any(answer.startswith("Domain") for answer in answers) != wanted:
            yield f"Rules {'take' if wanted else 'refuse'} a domain of {choice}"
        answers = resolve.refusals(template, given | {"Search": "serverless", "Network": "create"})
        if any(answer.startswith("Domain") for answer in answers):
            yield f"without a domain of the template Rules refuse {choice}"


def tasks(template):
    """Where the size of a task can be chosen, Rules refuse what Fargate would refuse when the domain is there already.

    "For task definitions that specify FARGATE [...] you must use one of the values in the following table":
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html"""
    parameters = template.get("Parameters", {})
    if not {"Cpu", "MemoryMiB"} <= parameters.keys():
        return
    for cpu in parameters["Cpu"]["AllowedValues"]:
        for memory in parameters["MemoryMiB"]["AllowedValues"]:
            answers = resolve.refusals(template, {"Cpu": cpu, "MemoryMiB": memory})
            refused = any("MemoryMiB" in answer for answer in answers)
            if refused == (int(memory) in FARGATE[int(cpu)]):
                yield f"Rules {'refuse' if refused else 'take'} a task of {cpu} CPU units and {memory} MiB"


def streams(resource):
    """The properties of every event source mapping in a resource."""
    if resource["Type"] == "AWS::Lambda::EventSourceMapping":
        yield resource["Properties"]
    for event in resource.get("Properties", {}).get("Events", {}).values():
        if event["Type"] == "DynamoDB":
            yield event["Properties"]


def default(value, template):
    """A value, or the default of the parameter that it is."""
    parameter = template.get("Parameters", {}).get(value.get("Ref")) if isinstance(value, dict) else None
    return parameter.get("Default") if parameter else value


def lowest(value, template):
    """A value, or the lowest that the parameter allows."""
    parameter = template.get("Parameters", {}).get(value.get("Ref")) if isinstance(value, dict) else None
    return parameter.get("MinValue", -1) if parameter else value


def listed(value):
    return value if isinstance(value, list) else [value]


OF_RESOURCES = (private_dns, interfaces, rights_in_vpc, mapping, kept, policy_name, retention, concurrency)
OF_TEMPLATES = (sizes, tasks)
