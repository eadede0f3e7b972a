"""The model finds what AWS refused in earlier templates."""

import unittest

import refused


def found(resource, parameters=None):
    template = {"Parameters": parameters or {}, "Resources": {"R": resource}}
    return list(refused.problems({"t.yaml": template}))


class Refused(unittest.TestCase):
    def test_private_dns_of_streams(self):
        def endpoint(service, private):
            service = {"Fn::Sub": "com.amazonaws.${AWS::Region}." + service}
            return {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"ServiceName": service, "PrivateDnsEnabled": private}}

        self.assertEqual(len(found(endpoint("dynamodb-streams", True))), 1)
        self.assertEqual(found(endpoint("dynamodb-streams", False)), [])
        self.assertEqual(found(endpoint("logs", True)), [])

    def test_rights_on_network_interfaces(self):
        def role(resource):
            statement = {"Effect": "Allow", "Action": ["ec2:DeleteNetworkInterface"], "Resource": {"Fn::Sub": resource}}
            policy = {"PolicyDocument": {"Statement": [{"Fn::If": ["C", {}, {}]}, statement]}}
            return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}

        head = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:"
        self.assertEqual(len(found(role(head + "network-interface/*"))), 1)
        self.assertEqual(found(role(head + "*/*")), [])

    def test_rights_of_a_function_in_a_vpc(self):
        def found(*actions, **more):
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            role = {"Policies": [{"PolicyDocument": {"Statement": [statement]}}]}
            resources = {
                "F": {"Type": "AWS::Serverless::Function", "Properties": {"Role": {"Fn::GetAtt": ["R", "Arn"]}, **more}},
                "R": {"Type": "AWS::IAM::Role", "Properties": role},
            }
            return list(refused.rights_in_vpc(resources["F"], {"Resources": resources}))

        self.assertEqual(found(*refused.FOR_VPC, VpcConfig={}), [])
        self.assertEqual(found(), [])
        for action in refused.FOR_VPC:
            others = [one for one in refused.FOR_VPC if one != action]
            self.assertEqual(found(*others, VpcConfig={}), [f"is in a VPC, and its role does not allow {action}"])

    def test_records_of_the_first_day(self):
        def function(age, start="TRIM_HORIZON", retries=-1):
            stream = {
                "MaximumRecordAgeInSeconds": {"Ref": "Age"},
                "MaximumRetryAttempts": {"Ref": "Retries"},
                "StartingPosition": start,
            }
            events = {"Stream": {"Type": "DynamoDB", "Properties": stream}}
            parameters = {"Age": {"Default": age}, "Retries": {"Default": 1000, "MinValue": retries}}
            return found({"Type": "AWS::Serverless::Function", "Properties": {"Events": events}}, parameters)

        self.assertEqual(len(function(43_200)), 1)
        self.assertEqual(function(82_800), [])
        self.assertEqual(function(-1), [])
        self.assertEqual(function(43_200, "LATEST"), [])
        self.assertEqual(len(function(-1, retries=0)), 1)

    def test_stacks_that_hold_documents(self):
        stack = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "search-serverless.yaml"}}
        self.assertEqual(len(found(stack)), 1)
        self.assertEqual(found({**stack, "DeletionPolicy": "RetainExceptOnCreate"}), [])
        self.assertEqual(found({**stack, "Properties": {"TemplateURL": "search-alarms.yaml"}}), [])

    def test_names_of_policies(self):
        def policy(name):
            resource = {"Type": "AWS::OpenSearchServerless::AccessPolicy", "Properties": {"Name": name}}
            return found(resource, {"Collection": {"AllowedPattern": "[a-z][a-z0-9-]{2,27}"}})

        self.assertEqual(policy({"Fn::Sub": "${Collection}-put"}), [])
        self.assertEqual(policy({"Ref": "Collection"}), [])
        too_long = policy({"Fn::Sub": "${Collection}-write"})
        self.assertEqual(too_long, ["t.yaml: R: its name can have 34 characters, and may have 32"])

    def test_days_of_logs(self):
        def logs(**days):
            group = {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": {"Ref": "Days"}}}
            return found(group, {"Days": {"Default": 30, **days}})

        self.assertEqual(logs(AllowedValues=[7, 30]), [])
        self.assertEqual(logs(AllowedValues=[7, 31]), ["t.yaml: R: Days takes days that are refused"])
        self.assertEqual(len(logs()), 1)

    def test_sizes_of_a_domain(self):
        names = ("Zones", "DataNodes", "DedicatedManagers", "InstanceType", "ManagerType", "EngineVersion", "Standby")
        parameters = {f"Domain{name}": {"Default": 2} for name in names}
        found = list(refused.problems({"t.yaml": {"Parameters": parameters}}))
        self.assertEqual(len(found), len(refused.REFUSED))
        self.assertIn("t.yaml: Rules take a domain of {'DataNodes': 3}", found)
        never = {"Assert": {"Fn::Equals": ["a", "b"]}, "AssertDescription": "Domain"}
        rules = {"Rules": {"R": {"Assertions": [never]}}}
        found = list(refused.problems({"t.yaml": {"Parameters": parameters, **rules}}))
        self.assertIn("t.yaml: Rules refuse a domain of {}", found)
        self.assertIn("t.yaml: without a domain of the template Rules refuse {}", found)

    def test_sizes_of_a_task(self):
        def found(*memory):
            parameters = {"Cpu": {"AllowedValues": ["1024"]}, "MemoryMiB": {"AllowedValues": ["512", "2048"]}}
            one = {"Assert": {"Fn::Contains": [list(memory), {"Ref": "MemoryMiB"}]}, "AssertDescription": "MemoryMiB"}
            return list(refused.tasks({"Parameters": parameters, "Rules": {"R": {"Assertions": [one]}}}))

        self.assertEqual(found("2048"), [])
        self.assertEqual(found("512", "2048"), ["Rules take a task of 1024 CPU units and 512 MiB"])
        self.assertEqual(found(), ["Rules refuse a task of 1024 CPU units and 2048 MiB"])

    def test_reserved_concurrency(self):
        def function(reserved, of_account):
            properties = {"ReservedConcurrentExecutions": reserved}
            return found({"Type": "AWS::Serverless::Function", "Properties": properties}, {"N": {"Default": of_account}})

        choice = {"Fn::If": ["Reserves", {"Ref": "N"}, {"Ref": "AWS::NoValue"}]}
        self.assertEqual(len(function({"Ref": "N"}, 10)), 1)
        self.assertEqual(len(function(choice, 10)), 1)
        self.assertEqual(function(choice, 0), [])
