"""What AWS takes of a policy or a template at the most, with the longest values that the parameters take.

A role's inline policies together, and each managed policy, "IAM does not count white space":
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
The policy of an endpoint, "including white space": https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
A parameter's value, and a template that is not in S3:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

import json
import re

import resolve
import yaml
from rules import listed

INLINE = 10_240
MANAGED = 6_144
MANAGED_OF_A_ROLE = 10
ENDPOINT = 20_480
PARAMETER = 4_096
BODY = 51_200

KEY = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-" + 32 * "0"
VALUES = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "us-gov-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": 128 * "s",
    "Key.Outputs.KeyArn": KEY,
    "Logs": "/streamdex/" + 128 * "s",
}
# The longest that the parameters take.
LONGEST = {
    "TableName": 255 * "t",
    "StateTableName": 255 * "s",
    "Group": 100 * "g",
    "SearchName": 28 * "n",
    "AssumedRoleArn": "arn:aws-us-gov:iam::123456789012:role/" + 64 * "r",
}
# The six policies of the command role repeat the names of tables and group. With the longest of all they have 12,289
# characters, so the rule holds for names that people give.
LONG = LONGEST | {"TableName": 100 * "t", "StateTableName": 100 * "s", "Group": 50 * "g"}
NAMES = {"TaskRole": LONGEST, "CommandRole": LONG, "ExecutionRole": LONGEST}
# Members as short as they can be, since each takes more than its own length.
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/abc"
LISTS = {"AdditionalTableArns": TABLE, "AdditionalTableKeyArns": "arn:aws:kms:us-east-1:123456789012:key/1"}
SECRET = {
    "PasswordSecretArn": "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:" + 512 * "p" + "-AbCdEf",
    "PasswordSecretKeyArn": KEY,
}


def problems(template, network):
    """All findings in the template of the service and in that of its network."""
    lists = {name: ",".join(filled(one, length(template, name))) for name, one in LISTS.items()}
    for role, names in NAMES.items():
        for more in ({}, lists, lists | SECRET):
            stack = stack_of(template, names | more)
            yield from (f"{role}: {problem}" for problem in role_problems(template["Resources"], role, stack))
    tables = resolve.Stack(VALUES | {"SourceTableArns": filled(TABLE, PARAMETER), "StateTableArn": TABLE}, {})
    for name in ("DynamoDb", "Streams"):
        policy = tables.resolve(network["Resources"][name]["Properties"]["PolicyDocument"])
        size = len(json.dumps(policy, indent=2))
        if size > ENDPOINT:
            yield f"the endpoint {name} has {size} characters of policy, and may have {ENDPOINT}"


def stack_of(template, given):
    made = {name: name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::IAM::ManagedPolicy"}
    return resolve.deployment(template, given, VALUES | made)


def role_problems(resources, role, stack):
    properties = resources[role]["Properties"]
    inline = sum(size(stack.resolve(policy["PolicyDocument"])) for policy in properties["Policies"])
    if inline > INLINE:
        yield f"its policies have {inline} characters, and may have {INLINE}"
    attached = [name for names in stack.resolve([properties.get("ManagedPolicyArns", [])]) for name in names]
    if len(attached) > MANAGED_OF_A_ROLE:
        yield f"it has {len(attached)} managed policies, and may have {MANAGED_OF_A_ROLE}"
    for name in attached:
        if name in resources:
            managed = size(stack.resolve(resources[name]["Properties"]["PolicyDocument"]))
            if managed > MANAGED:
                yield f"{name} has {managed} characters, and may have {MANAGED}"


def size(document):
    return len(re.sub(r"\s", "", json.dumps(document)))


def length(template, name):
    """The longest value of a parameter."""
    return template["Parameters"].get(name, {}).get("MaxLength", PARAMETER)


def filled(member, most):
    """As many members as fit into a text of so many characters, with commas between them."""
    return [member] * ((most + 1) // (len(member) + 1))


def body(template, page):
    """Commands of a page that deploy a template without S3 which is too large for that once it is packaged."""
    packaged = {**template, "Resources": {name: in_s3(one) for name, one in template["Resources"].items()}}
    written = len(yaml.safe_dump(packaged, default_flow_style=False))
    for command in re.findall(r"aws cloudformation deploy (?:[^\n]*\\\n)*[^\n]*", page):
        # What is deployed as it is has nothing nested.
        if written > BODY and not re.search("--s3-bucket|--template-file deploy/", command):
            yield f"{written} bytes need --s3-bucket where they are deployed, as more than {BODY}"


def in_s3(resource):
    """A resource as `aws cloudformation package` leaves it."""
    if resource["Type"] != "AWS::CloudFormation::Stack":
        return resource
    address = "https://s3.ap-southeast-1.amazonaws.com/" + 63 * "b" + "/" + 32 * "0" + ".template"
    return {**resource, "Properties": {**resource["Properties"], "TemplateURL": address}}
