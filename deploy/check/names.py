"""Names that a second deployment of a template, or the same one in a second region, would want too; and those that two
deployments would put on one domain.

"Resource names must be unique across all your active stacks. If you reuse templates to create multiple stacks, you must
change or remove custom names": https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
So a name is made of the stack's own name, of a resource's, or of a parameter: one without a default, or one of something
that another deployment can leave out, because it takes what exists.
"""

import posixpath
import re

import resolve

REGION, ACCOUNT, PARTITION = "region", "account", "partition"
# What gives a resource its name, and where no other one may have that.
NAMES = {
    ("AWS::CloudWatch::Alarm", "AlarmName"): REGION,
    # "All dashboards in your account are global, not region-specific", and putting one replaces what has its name.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudwatch-dashboard.html
    ("AWS::CloudWatch::Dashboard", "DashboardName"): ACCOUNT,
    ("AWS::DynamoDB::Table", "TableName"): REGION,
    ("AWS::ECS::Cluster", "ClusterName"): REGION,
    ("AWS::ECS::Service", "ServiceName"): REGION,
    ("AWS::ECS::TaskDefinition", "Family"): REGION,
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"): ACCOUNT,
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-iam-role.html
    ("AWS::IAM::Role", "RoleName"): ACCOUNT,
    ("AWS::KMS::Alias", "AliasName"): REGION,
    ("AWS::Lambda::Function", "FunctionName"): REGION,
    ("AWS::Logs::LogGroup", "LogGroupName"): REGION,
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-logs-resourcepolicy.html
    ("AWS::Logs::ResourcePolicy", "PolicyName"): REGION,
    ("AWS::OpenSearchServerless::AccessPolicy", "Name"): REGION,
    ("AWS::OpenSearchServerless::Collection", "Name"): REGION,
    ("AWS::OpenSearchServerless::SecurityPolicy", "Name"): REGION,
    ("AWS::OpenSearchServerless::VpcEndpoint", "Name"): REGION,
    ("AWS::OpenSearchService::Domain", "DomainName"): REGION,
    # "Each bucket name must be unique across all AWS accounts in all the AWS Regions within a partition":
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
    ("AWS::S3::Bucket", "BucketName"): PARTITION,
    ("AWS::Serverless::Function", "FunctionName"): REGION,
}
# What names another resource, or a part of one.
OTHERS = {
    ("AWS::CloudWatch::Alarm", "MetricName"),
    ("AWS::EC2::FlowLog", "LogGroupName"),
    ("AWS::EC2::VPCEndpoint", "ServiceName"),
    ("AWS::IAM::RolePolicy", "PolicyName"),
    ("AWS::IAM::RolePolicy", "RoleName"),
    ("AWS::Logs::MetricFilter", "LogGroupName"),
    ("AWS::Scheduler::Schedule", "GroupName"),
}
# The stack's name is unique in an account and region, its id everywhere.
STACK = ("AWS::StackName", "AWS::StackId")
# What leaves the name to CloudFormation, which makes one of its own.
NONE = {"Ref": "AWS::NoValue"}
WIDER = {REGION: set(), ACCOUNT: {"AWS::Region"}, PARTITION: {"AWS::Region", "AWS::AccountId"}}


def problems(templates):
    """All findings in templates, a mapping of name to content.

    "Resource names must be unique across all your active stacks":
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html"""
    for name, template in templates.items():
        for logical, resource in template.get("Resources", {}).items():
            for key, value in resource.get("Properties", {}).items():
                what = (resource["Type"], key)
                if what not in NAMES:
                    if (key.endswith("Name") or key == "Family") and what not in OTHERS:
                        yield f"{name}: {logical}: names.py does not know {key}"
                    continue
                parts = set(variables(value))
                missing = WIDER[NAMES[what]] - parts
                if missing and "AWS::StackId" not in parts and value != NONE:
                    yield f"{name}: {logical}: {key} collides between regions or accounts without {', '.join(sorted(missing))}"
                if value != NONE and not is_own(value, resource, (name, template), templates):
                    yield f"{name}: {logical}: {key} is the same in a second deployment"


# Where a command, or what `iam-policy --opensearch` prints, names a role of a domain or a data access policy.
PUT = re.compile(r"_security/api/(?:roles|rolesmapping|\$kind)/([^\s\"'`)]+)|-access-policy [^\n`]*?--name ([^\s`]+)")


def on_domain(texts):
    """Roles of a domain, and data access policies, that two deployments would put under one name. Texts are a mapping of
    name to content.

    A domain replaces what has the name, "Creates or replaces the specified role":
    https://docs.opensearch.org/latest/security/access-control/api/, which is a domain's API too:
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/fgac.html
    OpenSearch Serverless refuses it, "a resource with the same name already exists":
    https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_CreateAccessPolicy.html"""
    for where, text in texts.items():
        for role, policy in PUT.findall(text):
            name = (role or policy).strip('"')
            if not re.fullmatch(r"streamdex-.+-.+", name):
                yield f"{where}: {name} names neither group nor purpose, so that another deployment's takes its place"


def is_own(value, resource, place, templates):
    """Whether a second deployment has another value here, or can do without the resource."""
    _, template = place
    if isinstance(value, dict) and "Fn::If" in value:
        return all(branch == NONE or is_own(branch, resource, place, templates) for branch in value["Fn::If"][1:])
    return can_be_left_out(resource, template) or any(
        part in STACK
        or part.partition(".")[0] in template["Resources"]
        or (part in template.get("Parameters", {}) and is_chosen(part, place, templates))
        for part in variables(value)
    )


def is_chosen(parameter, place, templates):
    """Whether whoever deploys has to choose a parameter, or each template that takes this one in gives its own value."""
    name, template = place
    given = list(givers(name, parameter, templates))
    has_default = "Default" in template["Parameters"][parameter]
    return all(is_own(*one, templates) for one in given) if given else not has_default


def givers(child, parameter, templates):
    """The value of a parameter in each template that takes the child in, with the stack's resource and its template."""
    for name, template in templates.items():
        for resource in template["Resources"].values():
            address = str(resource.get("Properties", {}).get("TemplateURL", ""))
            if address and posixpath.normpath(posixpath.join(posixpath.dirname(name), address)) == child:
                yield resource["Properties"].get("Parameters", {}).get(parameter, ""), resource, (name, template)


def can_be_left_out(resource, template):
    """Whether a parameter says that what exists is taken: `existing…`, or what it is, where the default is nothing."""
    if "Condition" not in resource:
        return False
    condition = resolve.expanded({"Condition": resource["Condition"]}, template)
    defaults = {name: one.get("Default", "") for name, one in template["Parameters"].items()}
    choices = [
        (name, value)
        for name, one in template["Parameters"].items()
        for value in [*(one.get("AllowedValues") or []), *(["x"] if one.get("Default") == "" else [])]
        if value == "x" or str(value).startswith("existing")
    ]
    return any(not resolve.holds(condition, defaults | {name: value}) for name, value in choices)


def variables(value):
    """What a name is made of, by reference."""
    if isinstance(value, list):
        for one in value:
            yield from variables(one)
    if not isinstance(value, dict):
        return
    [(function, argument)] = value.items() if len(value) == 1 else [(None, list(value.values()))]
    if function == "Ref":
        yield argument
    elif function == "Fn::GetAtt":
        yield argument if isinstance(argument, str) else ".".join(argument)
    elif function == "Fn::Sub":
        text, own = argument if isinstance(argument, list) else (argument, {})
        yield from (name for name in re.findall(r"\$\{([^}!]+)\}", text) if name not in own)
        yield from variables(list(own.values()))
    else:
        yield from variables(argument)
