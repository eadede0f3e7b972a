"""What create.py deploys.

In each of ALL, one stack after the other is made in an empty account: name, template, parameters. `@NAME.OUTPUT` is an
output of an earlier stack, or one of the values of before(). All together use every template, and have each condition
of each template once true and once false.
"""

from services import ACCOUNT, REGION, ask

FUNCTION, SERVICE = "sam/template.yaml", "cloudformation/service.yaml"
REDRIVE = "cloudformation/redrive.yaml"
PREFIX_LISTS = {"DynamoDbPrefixListId": "@prefix-list.dynamodb", "S3PrefixListId": "@prefix-list.s3"}
# docs/deploy-lambda.md, "A second deployment in the same VPC".
SECOND = {
    "Group": "orders",
    "IndexName": "orders",
    "KeyArn": "@first.KeyArn",
    "Network": "existing",
    "Search": "existing-domain",
    "SearchEndpoint": "@first.SearchEndpoint",
    "SearchName": "streamdex",
    "StateTable": "existing",
    "StateTableName": "streamdex-state",
    "SubnetA": "@first.SubnetA",
    "SubnetB": "@first.SubnetB",
    "TableName": "orders",
    "VpcId": "@first.VpcId",
}
# What uses a key, tables and a network that are stacks already.
APART = {
    "KeyArn": "@key.KeyArn",
    "Network": "existing",
    "StateTable": "existing",
    "StateTableName": "@state.TableName",
    "SubnetA": "@network.SubnetA",
    "SubnetB": "@network.SubnetB",
    "TableName": "@table.TableName",
    "VpcId": "@network.VpcId",
}
# A domain with everything that one can choose.
DOMAIN = {
    "DomainDataNodes": "6",
    "DomainDedicatedManagers": "yes",
    "DomainInstanceType": "r6g.large.search",
    "DomainStandby": "yes",
    "DomainZones": "3",
}
SHARED = [
    ("key", "cloudformation/key.yaml", {}),
    ("state", "cloudformation/state.yaml", {"KeyArn": "@key.KeyArn"}),
    ("table", "cloudformation/session-table.yaml", {"KeyArn": "@key.KeyArn"}),
]
NETWORK = {
    **PREFIX_LISTS,
    "KeyArn": "@key.KeyArn",
    "LogGroupArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/streamdex/*",
    "SourceTableArns": "@tables.Arns",
    "StateTableArn": "@state.TableArn",
}
# Those that containers need.
ENDPOINTS = {
    "LogsEndpoint": "yes",
    "RegistryEndpoints": "yes",
    "RepositoryArn": "@repository.Arn",
    "StreamsEndpoint": "yes",
}
# What the search templates need by themselves.
INSIDE = {
    "FunctionRoleArn": "@role.writer",
    "FunctionSecurityGroupId": "@network.FunctionSecurityGroupId",
    "KeyArn": "@key.KeyArn",
    "SubnetA": "@network.SubnetA",
    "SubnetB": "@network.SubnetB",
    "VpcId": "@network.VpcId",
}
# What a deployment may have besides.
MORE = {
    "AlarmTopicArn": "@topic.Arn",
    "AssumedRoleArn": "@role.assumed",
    "OtherTableArns": "@tables.Arns",
    "SearchAdminArn": "@role.administrator",
}
# What a redrive takes from the function's stack: docs/deploy-lambda.md, "The bucket on a schedule".
OF_FUNCTION = {
    "BucketName": "@first.OnFailureBucket",
    "ImageTag": "1",
    "KeyArn": "@first.KeyArn",
    "SearchEndpoint": "@first.SearchEndpoint",
    "SecurityGroupId": "@first.FunctionSecurityGroupId",
    "SubnetA": "@first.SubnetA",
    "SubnetB": "@first.SubnetB",
}
# Of a service that follows another table too.
ADDITIONAL = {
    "AdditionalTableArns": "@invoices.Arn",
    "AdditionalTableKeyArns": "@invoices.KeyArn",
    "Configuration": "[[source]]",
}
# A table and a domain that are there, with the password of a user.
WITH_PASSWORD = {
    "PasswordSecretArn": "@secret.Arn",
    "PasswordSecretKeyArn": "@secret.KeyArn",
    "SearchEndpoint": "@domain.Endpoint",
    "SearchName": "users",
    "TableName": "orders",
}
# What a function that archives has besides.
ARCHIVES = {"Feeding": "disabled", "Records": "expiries", "ReservedConcurrency": "5"}
ALL = {
    "a function, and in its VPC another one and a service": [
        ("first", FUNCTION, {**PREFIX_LISTS, "OtherTableArns": "@tables.Arns", "SearcherArn": "@role.searcher"}),
        (
            "second",
            FUNCTION,
            {
                **SECOND,
                "FunctionSecurityGroupId": "@first.FunctionSecurityGroupId",
                "StreamArn": "@orders.StreamArn",
                "TableKeyArn": "@orders.KeyArn",
            },
        ),
        (
            "third",
            SERVICE,
            {
                **SECOND,
                "Group": "invoices",
                "ImageTag": "1",
                "IndexName": "invoices",
                "SecurityGroupId": "@first.FunctionSecurityGroupId",
                "Table": "existing",
                "TableName": "invoices",
            },
        ),
    ],
    "a service, and in its VPC another one": [
        ("first", SERVICE, {**PREFIX_LISTS, **MORE, **ADDITIONAL, "ImageTag": "1"}),
        (
            "second",
            SERVICE,
            {
                **SECOND,
                "Configuration": "[source]",
                "ImageTag": "1",
                "SecurityGroupId": "@first.SecurityGroupId",
                "StreamsEndpointUrl": "@first.StreamsEndpointUrl",
                "Table": "existing",
                "TableKeyArn": "@orders.KeyArn",
            },
        ),
    ],
    "a function with a collection, which archives, and its redrive on demand": [
        ("first", FUNCTION, {**PREFIX_LISTS, **MORE, **ARCHIVES, "PollerEndpoints": "yes", "Search": "serverless"}),
        (
            "redrive",
            REDRIVE,
            {
                **OF_FUNCTION,
                "AlarmTopicArn": "@topic.Arn",
                "AssumedRoleArn": "@role.assumed",
                "CollectionArn": "@first.CollectionArn",
                "Schedule": "off",
                "TableKeyArn": "@first.KeyArn",
            },
        ),
    ],
    "a function with a large domain, and its redrive": [
        (
            "first",
            FUNCTION,
            {**PREFIX_LISTS, **DOMAIN, "AdditionalWriterArns": "@role.writer", "PollerEndpoints": "commands"},
        ),
        ("redrive", REDRIVE, {**OF_FUNCTION, "Configuration": "[[source]]", "TableKeyArn": "@first.KeyArn"}),
    ],
    "a service with a large domain": [
        ("first", SERVICE, {**PREFIX_LISTS, **DOMAIN, "ImageTag": "1"}),
    ],
    "a network and tables, and with them a service with a collection and a function with a domain": [
        *SHARED,
        ("network", "cloudformation/network.yaml", {**NETWORK, "ThirdSubnet": "yes", "KmsEndpoint": "yes"}),
        (
            "first",
            SERVICE,
            {
                **APART,
                "ImageTag": "1",
                "Search": "serverless",
                "SecurityGroupId": "@network.FunctionSecurityGroupId",
                "Table": "existing",
            },
        ),
        (
            "second",
            FUNCTION,
            {
                **APART,
                **DOMAIN,
                "FunctionSecurityGroupId": "@network.FunctionSecurityGroupId",
                "Group": "second",
                "StreamArn": "@table.StreamArn",
                "SubnetC": "@network.SubnetC",
            },
        ),
    ],
    "a network, and in it a function, its redrive and a service, with a password": [
        *SHARED[:2],
        ("network", "cloudformation/network.yaml", {**NETWORK, **ENDPOINTS, "PasswordSecretArn": "@secret.Arn"}),
        (
            "first",
            FUNCTION,
            {
                **APART,
                **WITH_PASSWORD,
                "FunctionSecurityGroupId": "@network.FunctionSecurityGroupId",
                "Search": "existing-domain",
                "StreamArn": "@orders.StreamArn",
            },
        ),
        ("redrive", REDRIVE, {**OF_FUNCTION, **WITH_PASSWORD, "StateTableName": "@state.TableName"}),
        (
            "second",
            SERVICE,
            {
                **APART,
                **ADDITIONAL,
                **WITH_PASSWORD,
                "Group": "second",
                "ImageTag": "1",
                "Search": "existing-domain",
                "SecurityGroupId": "@network.FunctionSecurityGroupId",
                "StreamsEndpointUrl": "@network.StreamsEndpointUrl",
                "Table": "existing",
            },
        ),
    ],
    "a domain and a collection by themselves": [
        *SHARED[:2],
        ("network", "cloudformation/network.yaml", NETWORK),
        ("domain", "cloudformation/search-domain.yaml", INSIDE),
        ("collection", "cloudformation/search-serverless.yaml", INSIDE),
    ],
}


def before():
    """Makes what somebody has before a deployment, and returns what it is called."""
    values = {"topic.Arn": ask("sns", "create_topic", {"Name": "alarms"})["TopicArn"]}
    for name in ("administrator", "assumed", "searcher", "writer"):
        role = {"RoleName": name, "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}}
        values[f"role.{name}"] = ask("iam", "create_role", role)["Role"]["Arn"]
    for name in ("orders", "invoices"):
        table = {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
        made = ask("dynamodb", "create_table", table)["TableDescription"]
        values |= {f"{name}.Arn": made["TableArn"], f"{name}.StreamArn": made["LatestStreamArn"]}
    for name in ("invoices", "orders", "secret"):
        values[f"{name}.KeyArn"] = ask("kms", "create_key", {})["KeyMetadata"]["Arn"]
    secret = {"Name": "streamdex/password", "SecretString": "x", "KmsKeyId": values["secret.KeyArn"]}
    values["secret.Arn"] = ask("secretsmanager", "create_secret", secret)["ARN"]
    domain = ask("opensearch", "create_domain", {"DomainName": "users"})["DomainStatus"]
    values["domain.Endpoint"] = f"https://{domain['Endpoint']}"
    values["tables.Arns"] = f"{values['orders.Arn']},{values['invoices.Arn']}"
    repository = ask("ecr", "create_repository", {"RepositoryName": "streamdex"})["repository"]
    values["repository.Arn"] = repository["repositoryArn"]
    for one in ask("ec2", "describe_managed_prefix_lists", {})["PrefixLists"]:
        values[f"prefix-list.{one['PrefixListName'].rpartition('.')[2]}"] = one["PrefixListId"]
    return values
