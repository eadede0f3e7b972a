"""What the templates promise and no linter looks for."""

import json
import posixpath
import re

import yaml

import resolve

# Statements that name no resource, or a kind of resource instead of one: (template, Sid) and the reason.
# A reason that no statement needs any more is a finding too.
WILDCARDS = {
    ("cloudformation/key.yaml", "Account"): "in a key policy `*` is the key itself, and IAM policies decide further",
    ("cloudformation/key.yaml", "LogGroups"): "in a key policy `*` is the key itself",
    ("cloudformation/network.yaml", "Token"): "ecr:GetAuthorizationToken takes no resource",
    ("cloudformation/redrive.yaml", "RegistryToken"): "ecr:GetAuthorizationToken takes no resource",
    ("cloudformation/search-domain.yaml", "FunctionIsNoAdministrator"): "a Deny",
    ("cloudformation/search-domain.yaml", "Administrator"): "every method, of one domain, for who administers it",
    ("cloudformation/service.yaml", "RegistryToken"): "ecr:GetAuthorizationToken takes no resource",
    ("sam/template.yaml", "TlsOnly"): "a Deny",
    ("sam/template.yaml", "Tls12"): "a Deny",
    ("sam/template.yaml", "Network"): "an interface that is being made has no id yet; subnets and group are named",
    ("sam/template.yaml", "NetworkInterfaces"): "Lambda makes the interfaces, so that their ids are not known before",
    ("sam/template.yaml", "NetworkInterfaceDelete"): "Lambda refuses a role that may do it on network-interface/* alone",
    ("sam/template.yaml", "NetworkLists"): "EC2's Describe actions take no resource",
    ("sam/template.yaml", "NetworkNotFromCode"): "a Deny",
}

# Statements that allow every account, and the reason.
OPEN = {
    ("cloudformation/network.yaml", "ImageLayers"): "Amazon ECR signs the addresses of layers, in its own bucket",
    ("cloudformation/network.yaml", "Answers"): "CloudFormation signs the address that it is answered at, in its own bucket",
}

# Parameters of nested templates that a parent leaves at their defaults: (template, parameter) and the reason.
LEFT = {
    ("cloudformation/network.yaml", "BucketArn"): "a service has no bucket of on-failure records",
    ("cloudformation/network.yaml", "KmsEndpoint"): "for tools that are not streamdex",
    ("cloudformation/search-serverless.yaml", "StandbyReplicas"): "an example keeps its standby replicas",
}

# What resources of a type must say, by path; ANY is any value but none.
ANY = object()
PROMISES = {
    "AWS::CloudWatch::Alarm": {"AlarmActions": ANY, "OKActions": ANY, "TreatMissingData": ANY},
    "AWS::DynamoDB::Table": {
        "DeletionProtectionEnabled": True,
        "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled": True,
        "SSESpecification.KMSMasterKeyId": ANY,
        "SSESpecification.SSEEnabled": True,
        "TimeToLiveSpecification.Enabled": True,
    },
    "AWS::EC2::FlowLog": {
        "DeliverLogsPermissionArn": ANY,
        "LogGroupName": ANY,
        "TrafficType": "ALL",
    },
    # Without a rule CloudFormation lets everything out.
    "AWS::EC2::SecurityGroup": {"SecurityGroupEgress": ANY},
    "AWS::EC2::VPCEndpoint": {"PolicyDocument": ANY},
    "AWS::ECS::Cluster": {"ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]},
    "AWS::ECS::TaskDefinition": {
        "ExecutionRoleArn": ANY,
        "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"],
        "TaskRoleArn": ANY,
    },
    "AWS::KMS::Key": {"EnableKeyRotation": True},
    "AWS::Lambda::EventSourceMapping": {
        "BatchSize": 1000,
        "BisectBatchOnFunctionError": True,
        "DestinationConfig.OnFailure.Destination": ANY,
        # Without it Lambda takes every answer for a success.
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumBatchingWindowInSeconds": 1,
        "MaximumRecordAgeInSeconds": ANY,
        "MaximumRetryAttempts": ANY,
        "MetricsConfig.Metrics": ["EventCount"],
        "StartingPosition": ANY,
    },
    "AWS::Lambda::Function": {
        "KmsKeyArn": ANY,
        "LoggingConfig.LogGroup": ANY,
        "VpcConfig.SubnetIds": ANY,
    },
    "AWS::Logs::LogGroup": {"KmsKeyId": ANY, "RetentionInDays": ANY},
    "AWS::OpenSearchService::Domain": {
        "AccessPolicies": ANY,
        "AdvancedSecurityOptions.Enabled": True,
        "AdvancedSecurityOptions.InternalUserDatabaseEnabled": False,
        "DomainEndpointOptions.EnforceHTTPS": True,
        "DomainEndpointOptions.TLSSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10",
        "EncryptionAtRestOptions.Enabled": True,
        "EncryptionAtRestOptions.KmsKeyId": ANY,
        "LogPublishingOptions.AUDIT_LOGS.Enabled": True,
        "NodeToNodeEncryptionOptions.Enabled": True,
        "VPCOptions.SubnetIds": ANY,
    },
    "AWS::S3::Bucket": {
        "BucketEncryption": ANY,
        "LifecycleConfiguration.Rules": ANY,
        "PublicAccessBlockConfiguration.BlockPublicPolicy": True,
        "PublicAccessBlockConfiguration.RestrictPublicBuckets": True,
    },
}
# Where resources in a VPC name their security groups. One that names none is in the default group of the VPC, whose
# rules no template can take away: https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
GROUPS = {
    "AWS::EC2::VPCEndpoint": "SecurityGroupIds",
    "AWS::ECS::Service": "NetworkConfiguration.AwsvpcConfiguration.SecurityGroups",
    "AWS::Lambda::Function": "VpcConfig.SecurityGroupIds",
    "AWS::OpenSearchServerless::VpcEndpoint": "SecurityGroupIds",
    "AWS::OpenSearchService::Domain": "VPCOptions.SecurityGroupIds",
}
# What who writes flow logs into a group that is there already may do: what the AWS CDK gives it.
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
FLOW_LOG_ACTIONS = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
# Ways out of the VPC.
WAYS_OUT = ("AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway")


def promises(templates):
    """Resources that do not say what they must; types that no template holds any more."""
    seen = set()
    for name, template in templates.items():
        for logical, resource in template["Resources"].items():
            kind = resource["Type"]
            seen.add(kind)
            if kind in WAYS_OUT:
                yield f"{name}: {logical}: a way out of the VPC"
            for path, wanted in PROMISES.get(kind, {}).items():
                value = at(resource, path)
                if value is None or wanted not in (ANY, value):
                    yield f"{name}: {logical}: {path} is {value}"
            if kind.startswith("AWS::EC2::SecurityGroup") and "0.0.0.0/0" in json.dumps(resource, default=str):
                yield f"{name}: {logical}: open to the world"
    for kind in sorted(PROMISES.keys() - seen):
        yield f"no template holds a {kind}"


def at(resource, path):
    """The property at a path, or nothing."""
    value = resource.get("Properties", {})
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def network(template):
    """A VPC without flow logs, a role for them that may do more, a resource in the VPC's default group."""
    resources = template["Resources"]
    for logical, resource in resources.items():
        kind = resource["Type"]
        if kind in GROUPS and not at(resource, GROUPS[kind]) and at(resource, "VpcEndpointType") != "Gateway":
            yield f"{logical}: names no security group, and so is in the default group of the VPC"
        if kind == "AWS::EC2::VPC":
            logs = [one for one in resources.values() if at(one, "ResourceId") == {"Ref": logical}]
            if not any(one["Type"] == "AWS::EC2::FlowLog" for one in logs):
                yield f"{logical}: has no flow logs"
        if kind == "AWS::EC2::FlowLog":
            role = at(resource, "DeliverLogsPermissionArn")["Fn::GetAtt"]
            role = resources[role.split(".")[0] if isinstance(role, str) else role[0]]["Properties"]
            yield from (f"{logical}: its role {problem}" for problem in flow_log_role(role, at(resource, "LogGroupName")))


def flow_log_role(role, group):
    """More than to write into one group, or for more than the flow logs of this account."""
    for statement in statements(role["Policies"]):
        if sorted(listed(statement["Action"])) != FLOW_LOG_ACTIONS:
            yield f"may do {statement['Action']}"
        if not str(statement["Resource"].get("Fn::Sub")).endswith(":log-group:${%s}:*" % group["Ref"]):
            yield f"may write to {statement['Resource']}"
    for statement in statements(role["AssumeRolePolicyDocument"]):
        account = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
        if statement["Principal"] != {"Service": "vpc-flow-logs.amazonaws.com"} or account != {"Ref": "AWS::AccountId"}:
            yield f"is given to {statement['Principal']} of any account"


def problems(templates):
    """All findings in templates, a mapping of name to content."""
    found, used = [], set()
    for name, template in templates.items():
        for statement in statements(template):
            where = (name, statement.get("Sid", "(a statement without Sid)"))
            wide = list(too_wide(statement))
            if wide and where in WILDCARDS:
                used.add(where)
            elif wide:
                found.extend(f"{name}: {where[1]}: {text}" for text in wide)
            if "Sid" not in statement:
                found.append(f"{name}: a statement has no Sid")
            if open_to_all(statement) and where not in OPEN:
                found.append(f"{name}: {where[1]}: allows every account")
        found.extend(f"{name}: managed policies are wider than what is needed: {arns}" for arns in managed(template))
        found.extend(f"{name}: {problem}" for problem in texts(template))
    found.extend(f"{name}: {sid} is listed in WILDCARDS, and needs no reason" for name, sid in WILDCARDS.keys() - used)
    return found


def nested(templates):
    """Parameters of nested templates that nobody can choose, that nothing takes, or whose default is another; lists,
    which a nested stack takes as a text alone: https://repost.aws/knowledge-center/cloudformation-parameters-nested-stacks
    """
    left = set()
    for name, template in templates.items():
        for logical, resource in template["Resources"].items():
            if resource["Type"] != "AWS::CloudFormation::Stack":
                continue
            child = posixpath.normpath(posixpath.join(posixpath.dirname(name), resource["Properties"]["TemplateURL"]))
            given = resource["Properties"].get("Parameters", {})
            taken = templates[child].get("Parameters", {})
            for parameter in sorted(given.keys() ^ taken.keys()):
                if (child, parameter) in LEFT:
                    left.add((child, parameter))
                elif parameter in taken:
                    yield f"{name}: {logical}: does not pass {parameter} on"
                else:
                    yield f"{name}: {logical}: {child} takes no {parameter}"
            for parameter, value in given.items():
                own = template["Parameters"].get(value.get("Ref")) if isinstance(value, dict) else None
                if own is not None and (own.get("Type") == "CommaDelimitedList" or "List<" in own.get("Type", "")):
                    yield f"{name}: {logical}: {parameter} is passed on as a list"
                for key in ("Default", "AllowedValues"):
                    pair = [one.get(key) for one in (own or {}, taken.get(parameter, {}))]
                    if None not in pair and pair[0] != pair[1]:
                        yield f"{name}: {logical}: {key} of {parameter} is {pair[0]} outside and {pair[1]} inside"
    for child, parameter in sorted(LEFT.keys() - left):
        yield f"{child}: {parameter} is listed in LEFT, and needs no reason"


def log_keys(template):
    """Keys that encrypt log groups and are given by parameters, whose descriptions do not say what their policies need:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"""
    for name, parameter in template.get("Parameters", {}).items():
        groups = [one for one in template["Resources"].values() if one["Type"] == "AWS::Logs::LogGroup"]
        used = any(json.dumps({"Ref": name}) in json.dumps(at(group, "KmsKeyId")) for group in groups)
        if used and "logs.REGION.amazonaws.com" not in parameter.get("Description", ""):
            yield f"{name}: encrypts logs, and its description does not say that its policy must let the logs use it"


def documented(key, page):
    """A page that names what the policy of a key needs says what the template of a key says."""
    [statement] = [one for one in statements(key) if one["Sid"] == "LogGroups"]
    values = {"AWS::Partition": "aws", "AWS::Region": "REGION", "AWS::AccountId": "ACCOUNT"}
    wanted = resolve.Stack(values, {}).resolve(statement)
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    if wanted not in [json.loads(block) for block in blocks]:
        yield f"the page does not show the key's statement {json.dumps(wanted)}"


def variables(given, config):
    """The configuration takes from the environment what the template sets, and nothing else."""
    given = {name for name in given if name.startswith("STREAMDEX_")}
    taken = set(re.findall(r"\$\{(\w+)", config))
    for name in sorted(given ^ taken):
        yield f"{name} is " + ("set, and not used by streamdex.toml" if name in given else "not set by the template")


def aliases(text):
    """CloudFormation refuses YAML aliases, which every linter resolves."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            yield f"line {event.start_mark.line + 1}: a YAML alias"


def statements(node):
    """Every IAM statement below node: in roles, policies of resources, endpoints, and JSON texts."""
    if isinstance(node, dict):
        if node.get("Effect") in ("Allow", "Deny"):
            yield node
        else:
            for value in node.values():
                yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)
    elif isinstance(node, str) and node.lstrip().startswith(("{", "[")):
        try:
            yield from statements(as_json(node))
        except ValueError:
            return


def as_json(text):
    """A text for Fn::Sub, with something in place of its variables."""
    return json.loads(re.sub(r"\$\{[^}]*\}", "x", text))


def texts(node):
    """Policies, dashboards and filters that are texts must be JSON."""
    if isinstance(node, dict):
        for key, value in node.items():
            text = value.get("Fn::Sub") if isinstance(value, dict) else value
            if key in ("DashboardBody", "Pattern", "Policy", "PolicyDocument") and isinstance(text, str):
                try:
                    as_json(text)
                except ValueError as error:
                    yield f"{key} is no JSON: {error}"
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def managed(template):
    """Managed policies that a role or function takes, and its template does not make."""
    resources = template.get("Resources", {})
    made = {name for name, resource in resources.items() if resource.get("Type") == "AWS::IAM::ManagedPolicy"}
    yield from (arns for arns in each(template, "ManagedPolicyArns") if not made_here(arns, made))


def made_here(arns, made):
    """Whether all that a value can be is among the policies that are made, or nothing."""
    if isinstance(arns, list):
        return all(made_here(one, made) for one in arns)
    if isinstance(arns, dict) and "Fn::If" in arns:
        return made_here(arns["Fn::If"][1:], made)
    return isinstance(arns, dict) and arns.get("Ref") in made | {"AWS::NoValue"}


def each(node, key):
    """The values of a key, wherever it is."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from each(value, key)


def too_wide(statement):
    """What a statement says with a star instead of a name."""
    for key in ("NotAction", "NotResource", "NotPrincipal"):
        if key in statement:
            yield f"{key} allows what is not thought of"
    for action in listed(statement.get("Action")):
        if "*" in action:
            yield f"action {action}"
    for resource in listed(statement.get("Resource")):
        if not names_one(resource):
            yield f"resource {resource}"


def names_one(resource):
    """Whether an ARN names account, region and a thing; a star may stand only behind a name."""
    if isinstance(resource, dict):
        if "Fn::If" in resource:
            return all(names_one(branch) for branch in resource["Fn::If"][1:])
        if "Fn::Split" in resource:
            return names_one(resource["Fn::Split"][1])
        if "Fn::Sub" not in resource:
            # A reference: a parameter or an attribute, which is one thing.
            return True
        resource = resource["Fn::Sub"]
        resource = resource[0] if isinstance(resource, list) else resource
    # A variable can be a whole ARN with colons in it, but is one name here.
    plain = re.sub(r"\$\{[^}]*\}", "x", resource)
    if not plain.startswith("arn:"):
        return not plain.startswith("*")
    *head, thing = plain.split(":", 5)
    # A bucket has no kind before its name.
    kind, _, name = ("bucket", "/", thing) if head[2] == "s3" else thing.partition("/")
    return not any("*" in part for part in head) and not kind.startswith("*") and not name.startswith("*")


def open_to_all(statement):
    """Whether anybody is allowed, of whatever account."""
    principal = statement.get("Principal")
    everybody = principal == "*" or (isinstance(principal, dict) and "*" in listed(principal.get("AWS")))
    account = (statement.get("Condition") or {}).get("StringEquals", {}).get("aws:PrincipalAccount")
    return statement["Effect"] == "Allow" and everybody and account != {"Ref": "AWS::AccountId"}


def listed(value):
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
