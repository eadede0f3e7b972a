"""What moto lists, and what resources name."""

import re

import jmespath
from botocore.exceptions import ClientError

import services
from services import ACCOUNT, REGION, ask

RULES = ("ec2", "describe_security_group_rules", "SecurityGroupRules[].SecurityGroupRuleId")
# How the resources of a type are listed: the request, the way to their ids in the answer, and what the request says.
LISTS = {
    "AWS::CloudFormation::Stack": ("cloudformation", "describe_stacks", "Stacks[].StackName"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", "list_dashboards", "DashboardEntries[].DashboardName"),
    "AWS::DynamoDB::Table": ("dynamodb", "list_tables", "TableNames"),
    "AWS::EC2::FlowLog": ("ec2", "describe_flow_logs", "FlowLogs[].FlowLogId"),
    "AWS::EC2::RouteTable": ("ec2", "describe_route_tables", "RouteTables[].RouteTableId"),
    "AWS::EC2::SecurityGroup": ("ec2", "describe_security_groups", "SecurityGroups[].GroupId"),
    "AWS::EC2::SecurityGroupEgress": RULES,
    "AWS::EC2::SecurityGroupIngress": RULES,
    "AWS::EC2::Subnet": ("ec2", "describe_subnets", "Subnets[].SubnetId"),
    "AWS::EC2::SubnetRouteTableAssociation": (
        "ec2",
        "describe_route_tables",
        "RouteTables[].Associations[].RouteTableAssociationId",
    ),
    "AWS::EC2::VPC": ("ec2", "describe_vpcs", "Vpcs[].VpcId"),
    "AWS::EC2::VPCEndpoint": ("ec2", "describe_vpc_endpoints", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
    "AWS::ECS::TaskDefinition": ("ecs", "list_task_definitions", "taskDefinitionArns"),
    "AWS::Events::Rule": ("events", "list_rules", "Rules[].Name"),
    "AWS::IAM::ManagedPolicy": ("iam", "list_policies", "Policies[].Arn", {"Scope": "Local"}),
    "AWS::IAM::Role": ("iam", "list_roles", "Roles[].RoleName"),
    "AWS::KMS::Key": ("kms", "list_keys", "Keys[].KeyId"),
    "AWS::Lambda::EventSourceMapping": ("lambda", "list_event_source_mappings", "EventSourceMappings[].UUID"),
    "AWS::Lambda::Function": ("lambda", "list_functions", "Functions[].FunctionName"),
    "AWS::Logs::LogGroup": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
    "AWS::Logs::MetricFilter": ("logs", "describe_metric_filters", "metricFilters[].filterName"),
    "AWS::Logs::ResourcePolicy": ("logs", "describe_resource_policies", "resourcePolicies[].policyName"),
    "AWS::OpenSearchServerless::Collection": ("opensearchserverless", "list_collections", "collectionSummaries[].id"),
    "AWS::OpenSearchService::Domain": ("opensearch", "list_domain_names", "DomainNames[].DomainName"),
    "AWS::S3::Bucket": ("s3", "list_buckets", "Buckets[].Name"),
    "AWS::SQS::Queue": ("sqs", "list_queues", "QueueUrls"),
    "AWS::Scheduler::Schedule": ("scheduler", "list_schedules", "Schedules[].Name"),
    "AWS::Scheduler::ScheduleGroup": ("scheduler", "list_schedule_groups", "ScheduleGroups[].Name"),
}
# What has the id of another resource, whose part it is: that one's type, and the request for the part.
PARTS = {"AWS::S3::BucketPolicy": ("AWS::S3::Bucket", "s3", "get_bucket_policy", "Bucket")}
# Types that are not looked for, and why.
NOT_LISTED = {
    "AWS::ECS::Cluster": "moto lists it as before when it is deleted",
    "AWS::ECS::Service": "moto lists the services of one cluster at a time",
    "AWS::IAM::RolePolicy": "a part of its role",
    "AWS::OpenSearchServerless::SecurityPolicy": "moto has no request that deletes it",
    "AWS::OpenSearchServerless::VpcEndpoint": "moto has no requests that list and delete it",
    "AWS::SQS::QueuePolicy": "a part of its queue, and goes with it",
}
# What resources name and no deployment makes: how it begins, and why.
ELSEWHERE = {
    f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/": "Lambda makes them later",
    f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/": "the role of a flow log is made before it",
    f"arn:aws:iam::{ACCOUNT}:root": "the account itself",
    "arn:aws:s3:::cloudformation-custom-resource-response-": "CloudFormation's own",
    "arn:aws:s3:::prod-": "Amazon ECR's own",
}
NAMES = re.compile(r"arn:aws:[^\s\",]+|\b(?:pl|rtb|sg|subnet|vpc|vpce)-[0-9a-f]+\b")


def there(kind):
    """The ids of all resources of a type."""
    if kind in PARTS:
        whole, *request = PARTS[kind]
        return {identity for identity in there(whole) if has_part(identity, *request)}
    service, operation, path, *about = LISTS[kind]
    given = about[0] if about else {}
    client = services.client(service)
    if client.can_paginate(operation):
        answer = client.get_paginator(operation).paginate(**given).build_full_result()
    else:
        answer = getattr(client, operation)(**given)
    return set(jmespath.search(path, answer) or [])


def has_part(identity, service, operation, argument):
    try:
        ask(service, operation, {argument: identity})
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("NoSuch"):
            return False
        raise
    return True


def listed(every):
    """Those of the resources that moto made and can list."""
    return [one for one in every if one.is_made and one.kind not in NOT_LISTED]


def of(every):
    """The ids of everything that has the type of one of these resources."""
    return {kind: there(kind) for kind in {one.kind for one in listed(every)}}


def strangers(every, known):
    """Ids and ARNs that resources name, and that nothing has. Known are those of what was there before."""
    known = known | {one.physical_resource_id for one in every}
    known |= {value for one in every for value in one.made.attributes.values() if isinstance(value, str)}
    known = {value.removesuffix(":*") for value in known}
    for one in every:
        for name in sorted(set(NAMES.findall(" ".join(texts(one.properties))))):
            if not name.startswith(tuple(ELSEWHERE)) and not any(is_of(name, value) for value in known):
                yield f"{one}: names {name}, which nothing is"


def is_of(name, value):
    """Whether a name is a value, a part of what the value names, or has a wildcard that the value fits."""
    whole, wildcard, _ = name.partition("*")
    whole = whole.rstrip("/:")
    return value == whole or whole.startswith((f"{value}/", f"{value}:")) or (wildcard and value.startswith(whole))


def texts(node):
    """All texts in properties."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from texts(one)
    elif isinstance(node, str):
        yield node
