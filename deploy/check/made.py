"""What the services say about what was made, held against what is promised."""

import jmespath

from services import ask

# Where what is in the VPC names its security groups.
GROUPS = {
    "AWS::EC2::VPCEndpoint": ("SecurityGroupIds",),
    "AWS::ECS::Service": ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"),
    "AWS::Lambda::Function": ("VpcConfig", "SecurityGroupIds"),
    "AWS::OpenSearchServerless::VpcEndpoint": ("SecurityGroupIds",),
    "AWS::OpenSearchService::Domain": ("VPCOptions", "SecurityGroupIds"),
}
WRITERS = ("AWS::ECS::Service", "AWS::Lambda::Function")


def problems(every):
    """All findings in the resources of an account, whose deployments share one key."""
    key = next((one.made.attributes["Arn"] for one in every if one.kind == "AWS::KMS::Key"), None)
    for one in every:
        if one.is_made:
            for request, wanted in PROMISES.get(one.kind, lambda *_: [])(one, key):
                yield from (f"{one}: {problem}" for problem in differences(ask(*request), wanted))
    yield from ways(every)


def differences(answer, wanted):
    """Where an answer is another than wanted, a mapping of paths to values."""
    for path, value in wanted.items():
        found = jmespath.search(path, answer)
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


PROMISES = {
    "AWS::DynamoDB::Table": table,
    "AWS::EC2::SecurityGroup": security_group,
    "AWS::KMS::Key": rotation,
    "AWS::Lambda::EventSourceMapping": mapping,
    "AWS::Lambda::Function": function,
    "AWS::Logs::LogGroup": log_group,
    "AWS::OpenSearchService::Domain": domain,
    "AWS::S3::Bucket": bucket,
}


def ways(every):
    """Functions and services that cannot reach a domain, collection or endpoint in the VPC, or are not let in there."""
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
