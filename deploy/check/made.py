"""What the services say about what was made, held against what is promised."""

import jmespath
from botocore.exceptions import ClientError
from jmespath.exceptions import JMESPathTypeError

from services import ask

# Where what is in the VPC names its security groups.
GROUPS = {
    "AWS::EC2::VPCEndpoint": ("SecurityGroupIds",),
    "AWS::ECS::Service": ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"),
    "AWS::Lambda::Function": ("VpcConfig", "SecurityGroupIds"),
    "AWS::OpenSearchServerless::VpcEndpoint": ("SecurityGroupIds",),
    "AWS::OpenSearchService::Domain": ("VPCOptions", "SecurityGroupIds"),
    "AWS::Scheduler::Schedule": (
        "Target",
        "EcsParameters",
        "NetworkConfiguration",
        "AwsvpcConfiguration",
        "SecurityGroups",
    ),
}
WRITERS = ("AWS::ECS::Service", "AWS::Lambda::Function", "AWS::Scheduler::Schedule")


def problems(every):
    """All findings in the resources of an account, whose deployments share one key."""
    key = next((one.made.attributes["Arn"] for one in every if one.kind == "AWS::KMS::Key"), None)
    for one in every:
        if one.is_made:
            for request, wanted in PROMISES.get(one.kind, lambda *_: [])(one, key):
                yield from (f"{one}: {problem}" for problem in differences(request, wanted))
    yield from ways(every)


def differences(request, wanted):
    """Where the answer to a request is another than wanted, a mapping of paths to values."""
    try:
        answer = ask(*request)
    except ClientError as error:
        yield str(error)
        return
    for path, value in wanted.items():
        try:
            found = jmespath.search(path, answer)
        except JMESPathTypeError:
            # A function of what is not there.
            found = None
        if found != value:
            yield f"{path} is {found}, not {value}"


def table(one, key):
    named = {"TableName": one.made.identity}
    view = "NEW_AND_OLD_IMAGES" if one.template == "cloudformation/session-table.yaml" else None
    whole = {
        "Table.DeletionProtectionEnabled": True,
        "Table.SSEDescription.KMSMasterKeyArn": key,
        "Table.StreamSpecification.StreamViewType": view,
    }
    recovery = "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus"
    yield ("dynamodb", "describe_table", named), whole
    yield ("dynamodb", "describe_time_to_live", named), {"TimeToLiveDescription.TimeToLiveStatus": "ENABLED"}
    yield ("dynamodb", "describe_continuous_backups", named), {recovery: "ENABLED"}


def log_group(one, key):
    # Of the names that begin so it is the first.
    request = ("logs", "describe_log_groups", {"logGroupNamePrefix": one.made.identity})
    yield request, {"logGroups[0].kmsKeyId": key, "logGroups[0].retentionInDays > `0`": True}


def bucket(one, key):
    named = {"Bucket": one.made.identity}
    rule = "ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault"
    yield ("s3", "get_bucket_encryption", named), {f"{rule}.KMSMasterKeyID": key}
    yield ("s3", "get_public_access_block", named), {"values(PublicAccessBlockConfiguration)": [True] * 4}
    yield ("s3", "get_bucket_lifecycle_configuration", named), {"Rules[].Status": ["Enabled"]}
    yield ("s3", "get_bucket_versioning", named), {"Status": "Enabled"}
    refused = {"contains(Policy, 'aws:SecureTransport')": True, "contains(Policy, 's3:TlsVersion')": True}
    yield ("s3", "get_bucket_policy", named), refused


def rotation(one, _key):
    yield ("kms", "get_key_rotation_status", {"KeyId": one.made.identity}), {"KeyRotationEnabled": True}


def function(one, key):
    request = ("lambda", "get_function_configuration", {"FunctionName": one.made.identity})
    yield request, {"KMSKeyArn": key, "length(VpcConfig.SubnetIds)": 2}


def mapping(one, _key):
    failed = "starts_with(DestinationConfig.OnFailure.Destination, 'arn:aws:s3:::')"
    answers = {"BisectBatchOnFunctionError": True, "FunctionResponseTypes": ["ReportBatchItemFailures"], failed: True}
    yield ("lambda", "get_event_source_mapping", {"UUID": one.made.identity}), answers


def domain(one, key):
    zones = int(one.properties["ClusterConfig"]["ZoneAwarenessConfig"]["AvailabilityZoneCount"])
    wanted = {
        "DomainStatus.DomainEndpointOptions.EnforceHTTPS": True,
        "DomainStatus.EncryptionAtRestOptions.KmsKeyId": key,
        "length(DomainStatus.VPCOptions.SubnetIds)": zones,
    }
    yield ("opensearch", "describe_domain", {"DomainName": one.made.identity}), wanted


def security_group(one, _key):
    # Nobody has that address. Its rule takes the place of the one that EC2 makes.
    blocks = "SecurityGroups[].[IpPermissions, IpPermissionsEgress][][].IpRanges[].CidrIp | [?@ != '127.0.0.1/32']"
    yield ("ec2", "describe_security_groups", {"GroupIds": [one.made.identity]}), {blocks: []}


def managed_policy(one, _key):
    # The service's role, and that of its commands.
    request = ("iam", "list_entities_for_policy", {"PolicyArn": one.made.identity})
    yield request, {"length(PolicyRoles)": 2}


def queue(one, _key):
    request = ("sqs", "get_queue_attributes", {"QueueUrl": one.made.identity, "AttributeNames": ["All"]})
    days = {"Attributes.MessageRetentionPeriod": str(14 * 24 * 60 * 60)}
    sends = {"contains(Attributes.Policy, 'events.amazonaws.com')": True}
    yield request, {"Attributes.SqsManagedSseEnabled": "true", **days, **sends}


def event_rule(one, _key):
    named = {"Name": one.made.identity}
    yield ("events", "describe_rule", named), {"State": "ENABLED"}
    sent = {"Targets[].starts_with(Arn, 'arn:aws:sqs:')": [True]}
    yield ("events", "list_targets_by_rule", {"Rule": one.made.identity}), sent


def schedule(one, _key):
    named = {"Name": one.made.identity, "GroupName": one.properties["GroupName"]}
    network = "Target.EcsParameters.NetworkConfiguration.awsvpcConfiguration.AssignPublicIp"
    yield ("scheduler", "get_schedule", named), {"State": "ENABLED", network: "DISABLED"}


PROMISES = {
    "AWS::DynamoDB::Table": table,
    "AWS::EC2::SecurityGroup": security_group,
    "AWS::Events::Rule": event_rule,
    "AWS::IAM::ManagedPolicy": managed_policy,
    "AWS::KMS::Key": rotation,
    "AWS::Lambda::EventSourceMapping": mapping,
    "AWS::Lambda::Function": function,
    "AWS::Logs::LogGroup": log_group,
    "AWS::OpenSearchService::Domain": domain,
    "AWS::S3::Bucket": bucket,
    "AWS::SQS::Queue": queue,
    "AWS::Scheduler::Schedule": schedule,
}


def ways(every):
    """Functions, services and schedules that cannot reach a domain, collection or endpoint in the VPC, or are not let in."""
    names = {one.made.identity: one for one in every if one.kind == "AWS::EC2::SecurityGroup"}
    groups = {one: groups_of(one) for one in every if one.kind in GROUPS}
    listeners = {group for one, its in groups.items() if one.kind not in WRITERS for group in its}
    for writer, its in groups.items():
        if writer.kind in WRITERS:
            for listener in sorted(listeners):
                if not any(leads(group, "IpPermissionsEgress", listener) for group in its):
                    yield f"{writer}: has no way to {names[listener]}"
                if not any(leads(listener, "IpPermissions", group) for group in its):
                    yield f"{writer}: is not let in by {names[listener]}"


def groups_of(one):
    value = one.properties
    for part in GROUPS[one.kind]:
        value = value.get(part, {})
    return list(value)


def leads(group, direction, other):
    """Whether a rule of a group is about HTTPS and another group."""
    [whole] = ask("ec2", "describe_security_groups", {"GroupIds": [group]})["SecurityGroups"]
    return other in jmespath.search(f"{direction}[?FromPort == `443`].UserIdGroupPairs[].GroupId", whole)
