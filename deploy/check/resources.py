"""How moto makes each resource: with the requests that CloudFormation would send to the resource's service.

moto's own CloudFormation knows no alarms, domains or bucket policies, and drops most properties of what it knows, such
as the time to live of a table. So each type has a maker, here or in schedules.py. botocore looks at the form of each
request, and moto at policies, ids and names as far as it can.
"""

import collections
import copy

# Imported for its makers.
import schedules  # noqa: F401
from makers import MAKERS, Made, makes, plain, renamed
from services import PLACE, arn, ask

# Types, or types with a `Type`, that moto does not make, and why. References to them have an invented value.
NOT_MADE = {
    "AWS::OpenSearchServerless::AccessPolicy": "moto has no requests for policies of access to data",
    "AWS::OpenSearchServerless::SecurityPolicy network": "moto then looks for the collection's key in it, and fails",
    "Custom::StreamdexSetUp": "moto would have to run the function. It only has to exist",
}


class NotMade(Made):
    """What takes the place of a resource of NOT_MADE."""

    def __init__(self, name, what):
        super().__init__(f"not-made-{name}", collections.defaultdict(lambda: f"not-made-{name}"))
        self.what = what


def make(kind, name, properties):
    """Makes a resource, under this name where the properties give none."""
    for what in (kind, f"{kind} {properties.get('Type')}"):
        if what in NOT_MADE:
            if "ServiceToken" in properties:
                ask("lambda", "get_function", {"FunctionName": properties["ServiceToken"]})
            return NotMade(name, what)
    if kind not in MAKERS:
        raise LookupError(f"{kind} has no maker, and no reason in NOT_MADE")
    return MAKERS[kind](copy.deepcopy(properties), name)


# === Key and tables


@makes("AWS::KMS::Key")
def key(p, _name):
    rotates = p.pop("EnableKeyRotation", False)
    made = ask("kms", "create_key", renamed(p, KeyPolicy="Policy"))["KeyMetadata"]
    if rotates:
        ask("kms", "enable_key_rotation", {"KeyId": made["KeyId"]})
    return Made(made["KeyId"], {"Arn": made["Arn"]}, [("kms", "schedule_key_deletion", {"KeyId": made["KeyId"]})])


@makes("AWS::DynamoDB::Table")
def table(p, _name):
    later = {
        "TimeToLiveSpecification": "update_time_to_live",
        "PointInTimeRecoverySpecification": "update_continuous_backups",
    }
    given = {part: p.pop(part) for part in later if part in p}
    if "StreamSpecification" in p:
        p["StreamSpecification"]["StreamEnabled"] = True
    if "SSESpecification" in p:
        p["SSESpecification"] = renamed(p["SSESpecification"], SSEEnabled="Enabled")
    made = ask("dynamodb", "create_table", p)["TableDescription"]
    name = {"TableName": made["TableName"]}
    for part, value in given.items():
        ask("dynamodb", later[part], {**name, part: value})
    attributes = {"Arn": made["TableArn"], "StreamArn": made.get("LatestStreamArn")}
    return Made(made["TableName"], attributes, [("dynamodb", "delete_table", name)])


# === Network


plain("AWS::EC2::Subnet", "create_subnet", "Subnet.SubnetId", "delete_subnet", "SubnetId")
plain("AWS::EC2::RouteTable", "create_route_table", "RouteTable.RouteTableId", "delete_route_table", "RouteTableId")
plain(
    "AWS::EC2::SubnetRouteTableAssociation",
    "associate_route_table",
    "AssociationId",
    "disassociate_route_table",
    "AssociationId",
)
plain_vpc = plain("AWS::EC2::VPC", "create_vpc", "Vpc.VpcId", "delete_vpc", "VpcId")


@makes("AWS::EC2::VPC")
def vpc(p, name):
    switches = {part: p.pop(part) for part in ("EnableDnsSupport", "EnableDnsHostnames") if part in p}
    made = plain_vpc(p, name)
    for part, value in switches.items():
        ask("ec2", "modify_vpc_attribute", {"VpcId": made.identity, part: {"Value": value}})
    return made


@makes("AWS::EC2::VPCEndpoint")
def vpc_endpoint(p, _name):
    made = ask("ec2", "create_vpc_endpoint", p)["VpcEndpoint"]
    names = [f"{one['HostedZoneId']}:{one['DnsName']}" for one in made.get("DnsEntries", [])]
    identity = made["VpcEndpointId"]
    return Made(identity, {"DnsEntries": names}, [("ec2", "delete_vpc_endpoints", {"VpcEndpointIds": [identity]})])


@makes("AWS::EC2::FlowLog")
def flow_log(p, _name):
    p["ResourceIds"] = [p.pop("ResourceId")]
    answer = ask("ec2", "create_flow_logs", p)
    if answer["Unsuccessful"]:
        raise LookupError(answer["Unsuccessful"][0]["Error"]["Message"])
    identity = answer["FlowLogIds"][0]
    return Made(identity, undo=[("ec2", "delete_flow_logs", {"FlowLogIds": [identity]})])


# Where a rule of a security group leads to: the list of the request that has it, and its name there.
ENDS = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


def allow(direction, group, rule):
    """Adds a rule to a security group."""
    about = {"Description": rule.pop("Description")} if "Description" in rule else {}
    for end in ENDS.keys() & rule.keys():
        inside, named = ENDS[end]
        rule[inside] = [{named: rule.pop(end), **about}]
    request = {"GroupId": group, "IpPermissions": [rule]}
    made = ask("ec2", f"authorize_security_group_{direction}", request)["SecurityGroupRules"]
    identity = made[0]["SecurityGroupRuleId"]
    undo = ("ec2", f"revoke_security_group_{direction}", {"GroupId": group, "SecurityGroupRuleIds": [identity]})
    return Made(identity, undo=[undo])


@makes("AWS::EC2::SecurityGroup")
def security_group(p, name):
    rules = {direction: p.pop(f"SecurityGroup{direction.title()}", []) for direction in ("ingress", "egress")}
    request = {"GroupName": name, **renamed(p, GroupDescription="Description")}
    identity = ask("ec2", "create_security_group", request)["GroupId"]
    if rules["egress"]:
        # They take the place of the rule that EC2 makes.
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ask("ec2", "revoke_security_group_egress", {"GroupId": identity, "IpPermissions": [everything]})
    for direction, given in rules.items():
        for rule in given:
            allow(direction, identity, rule)
    attributes = {"Arn": arn("ec2", f"security-group/{identity}"), "GroupId": identity}
    return Made(identity, attributes, [("ec2", "delete_security_group", {"GroupId": identity})])


@makes("AWS::EC2::SecurityGroupEgress")
def egress(p, _name):
    return allow("egress", p.pop("GroupId"), p)


@makes("AWS::EC2::SecurityGroupIngress")
def ingress(p, _name):
    return allow("ingress", p.pop("GroupId"), p)


# === Roles and logs


@makes("AWS::IAM::ManagedPolicy")
def managed_policy(p, name):
    made = ask("iam", "create_policy", {"PolicyName": name, **renamed(p, ManagedPolicyName="PolicyName")})["Policy"]
    return Made(made["Arn"], undo=[("iam", "delete_policy", {"PolicyArn": made["Arn"]})])


@makes("AWS::IAM::Role")
def role(p, name):
    policies, managed = p.pop("Policies", []), p.pop("ManagedPolicyArns", [])
    made = ask("iam", "create_role", {"RoleName": name, **p})["Role"]
    named = {"RoleName": made["RoleName"]}
    undo = [("iam", "delete_role", named)]
    for policy in managed:
        ask("iam", "attach_role_policy", {**named, "PolicyArn": policy})
        undo.insert(0, ("iam", "detach_role_policy", {**named, "PolicyArn": policy}))
    for policy in policies:
        ask("iam", "put_role_policy", {**named, **policy})
        undo.insert(0, ("iam", "delete_role_policy", {**named, "PolicyName": policy["PolicyName"]}))
    return Made(made["RoleName"], {"Arn": made["Arn"]}, undo)


@makes("AWS::IAM::RolePolicy")
def role_policy(p, _name):
    ask("iam", "put_role_policy", p)
    named = {part: p[part] for part in ("RoleName", "PolicyName")}
    return Made(f"{p['RoleName']}|{p['PolicyName']}", undo=[("iam", "delete_role_policy", named)])


@makes("AWS::Logs::LogGroup")
def log_group(p, _name):
    days = p.pop("RetentionInDays", None)
    ask("logs", "create_log_group", p)
    named = {"LogGroupName": p["LogGroupName"]}
    if days:
        ask("logs", "put_retention_policy", {**named, "RetentionInDays": days})
    attributes = {"Arn": arn("logs", f"log-group:{p['LogGroupName']}:*")}
    return Made(p["LogGroupName"], attributes, [("logs", "delete_log_group", named)])


@makes("AWS::Logs::ResourcePolicy")
def log_policy(p, _name):
    ask("logs", "put_resource_policy", p)
    return Made(p["PolicyName"], undo=[("logs", "delete_resource_policy", {"PolicyName": p["PolicyName"]})])


@makes("AWS::Logs::MetricFilter")
def metric_filter(p, name):
    ask("logs", "put_metric_filter", {"FilterName": name, **p})
    named = {"LogGroupName": p["LogGroupName"], "FilterName": name}
    return Made(name, undo=[("logs", "delete_metric_filter", named)])


@makes("AWS::CloudWatch::Alarm")
def alarm(p, _name):
    ask("cloudwatch", "put_metric_alarm", p)
    attributes = {"Arn": arn("cloudwatch", f"alarm:{p['AlarmName']}")}
    return Made(p["AlarmName"], attributes, [("cloudwatch", "delete_alarms", {"AlarmNames": [p["AlarmName"]]})])


@makes("AWS::CloudWatch::Dashboard")
def dashboard(p, _name):
    ask("cloudwatch", "put_dashboard", p)
    named = {"DashboardNames": [p["DashboardName"]]}
    return Made(p["DashboardName"], undo=[("cloudwatch", "delete_dashboards", named)])


# === Function, service, bucket


@makes("AWS::Lambda::Function")
def function(p, _name):
    reserved = p.pop("ReservedConcurrentExecutions", None)
    p["Tags"] = {one["Key"]: one["Value"] for one in p.pop("Tags", [])}
    made = ask("lambda", "create_function", p)
    named = {"FunctionName": made["FunctionName"]}
    if reserved:
        ask("lambda", "put_function_concurrency", {**named, "ReservedConcurrentExecutions": reserved})
    return Made(made["FunctionName"], {"Arn": made["FunctionArn"]}, [("lambda", "delete_function", named)])


plain(
    "AWS::Lambda::EventSourceMapping",
    "create_event_source_mapping",
    "UUID",
    "delete_event_source_mapping",
    "UUID",
    service="lambda",
)
plain(
    "AWS::ECS::TaskDefinition",
    "register_task_definition",
    "taskDefinition.taskDefinitionArn",
    "deregister_task_definition",
    "taskDefinition",
    service="ecs",
)


@makes("AWS::ECS::Cluster")
def cluster(p, _name):
    made = ask("ecs", "create_cluster", renamed(p, ClusterSettings="settings"))["cluster"]
    named = {"cluster": made["clusterName"]}
    return Made(made["clusterName"], {"Arn": made["clusterArn"]}, [("ecs", "delete_cluster", named)])


@makes("AWS::ECS::Service")
def service(p, _name):
    made = ask("ecs", "create_service", p)["service"]
    named = {"cluster": made["clusterArn"], "service": made["serviceName"], "force": True}
    return Made(made["serviceArn"], {"Name": made["serviceName"]}, [("ecs", "delete_service", named)])


def lifecycle(rules):
    """Rules of a bucket's lifecycle as S3 takes them. One without a filter is about every object."""
    for rule in rules:
        if "ExpirationInDays" in rule:
            rule["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
        rule.setdefault("Filter", {"Prefix": ""})
    return rules


@makes("AWS::S3::Bucket")
def bucket(p, name):
    encryption = p.pop("BucketEncryption")["ServerSideEncryptionConfiguration"]
    rules = [renamed(rule, ServerSideEncryptionByDefault="ApplyServerSideEncryptionByDefault") for rule in encryption]
    life = {"Rules": lifecycle(p.pop("LifecycleConfiguration")["Rules"])}
    requests = {
        "encryption": {"ServerSideEncryptionConfiguration": {"Rules": rules}},
        "lifecycle_configuration": {"LifecycleConfiguration": life},
        "ownership_controls": {"OwnershipControls": p.pop("OwnershipControls")},
        "versioning": {"VersioningConfiguration": p.pop("VersioningConfiguration")},
    }
    block = {"Bucket": name, "PublicAccessBlockConfiguration": p.pop("PublicAccessBlockConfiguration")}
    ask("s3", "create_bucket", {"Bucket": name, "CreateBucketConfiguration": PLACE, **p})
    ask("s3", "put_public_access_block", block)
    for part, request in requests.items():
        ask("s3", f"put_bucket_{part}", {"Bucket": name, **request})
    return Made(name, {"Arn": f"arn:aws:s3:::{name}"}, [("s3", "delete_bucket", {"Bucket": name})])


@makes("AWS::S3::BucketPolicy")
def bucket_policy(p, _name):
    ask("s3", "put_bucket_policy", renamed(p, PolicyDocument="Policy"))
    return Made(p["Bucket"], undo=[("s3", "delete_bucket_policy", {"Bucket": p["Bucket"]})])


# === OpenSearch


@makes("AWS::OpenSearchService::Domain")
def domain(p, _name):
    made = ask("opensearch", "create_domain", p)["DomainStatus"]
    attributes = {"Arn": made["ARN"], "DomainEndpoint": made["Endpoints"]["vpc"]}
    named = {"DomainName": made["DomainName"]}
    return Made(made["DomainName"], attributes, [("opensearch", "delete_domain", named)])


@makes("AWS::OpenSearchServerless::SecurityPolicy")
def security_policy(p, _name):
    ask("opensearchserverless", "create_security_policy", p)
    return Made(f"{p['Type']}|{p['Name']}")


@makes("AWS::OpenSearchServerless::VpcEndpoint")
def collection_endpoint(p, _name):
    return Made(ask("opensearchserverless", "create_vpc_endpoint", p)["createVpcEndpointDetail"]["id"])


@makes("AWS::OpenSearchServerless::Collection")
def collection(p, _name):
    made = ask("opensearchserverless", "create_collection", p)["createCollectionDetail"]
    [whole] = ask("opensearchserverless", "batch_get_collection", {"ids": [made["id"]]})["collectionDetails"]
    attributes = {"Arn": made["arn"], "CollectionEndpoint": whole["collectionEndpoint"]}
    return Made(made["id"], attributes, [("opensearchserverless", "delete_collection", {"id": made["id"]})])
