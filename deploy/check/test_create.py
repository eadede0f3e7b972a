"""What cannot be deployed is found, in two small templates of which one takes the other in."""

import copy
import unittest

import create
import deployments
import inventory
import made
import removal
import resources
import services
import stacks

PAGE = f"""{removal.TITLE}

| resource | of | holds |
|---|---|---|
| `Kept` | `one.yaml` | a stack |
| `Table` | `two.yaml` | items |
"""
ONE = {
    "Parameters": {"Table": {"Type": "String", "Default": "sessions"}},
    "Resources": {
        "Kept": {
            "Type": stacks.STACK,
            "DeletionPolicy": "RetainExceptOnCreate",
            "Properties": {"TemplateURL": "../b/two.yaml", "Parameters": {"Name": {"Ref": "Table"}}},
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
                "Policies": [
                    {
                        "PolicyName": "read",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": {
                                "Effect": "Allow",
                                "Action": "dynamodb:GetItem",
                                "Resource": {"Fn::GetAtt": ["Kept", "Outputs.Arn"]},
                            },
                        },
                    }
                ],
            },
        },
    },
    "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Kept", "Outputs.Arn"]}}},
}
TWO = {
    "Parameters": {"Name": {"Type": "String", "AllowedPattern": "[a-z]+"}},
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "Properties": {
                "TableName": {"Ref": "Name"},
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "DeletionProtectionEnabled": True,
            },
        },
    },
    "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}}},
}
NO_POLICY = "arn:aws:iam::123456789012:policy/none"
STEPS = [("first", "a/one.yaml", {}), ("second", "a/one.yaml", {"Table": "others"})]


def found(change=lambda one, two: None, steps=STEPS, page=PAGE):
    one, two = copy.deepcopy(ONE), copy.deepcopy(TWO)
    change(one, two)
    return list(create.problems({"a/one.yaml": one, "b/two.yaml": two}, page, {"t": steps}))


def queue(**properties):
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def at(template, logical):
    return template["Resources"][logical]["Properties"]


class Create(unittest.TestCase):
    def test_what_can_be_deployed_is_no_finding(self):
        self.assertEqual(found(), [])

    def test_what_has_no_value_is_refused(self):
        role = "t: a/one.yaml: Role: "
        for change, expected in [
            (lambda one, two: two["Outputs"].update(Name=two["Outputs"].pop("Arn")), f"{role}Kept has no Outputs.Arn"),
            (lambda one, two: at(one, "Role").update(RoleName={"Ref": "Other"}), f"{role}there is no Other"),
            (
                lambda one, two: at(one, "Role").update(RoleName={"Ref": "Role"}),
                f"{role}refers to itself, by way of others",
            ),
            (
                lambda one, two: two["Outputs"].update(Id={"Value": {"Fn::GetAtt": ["Table", "Id"]}}),
                "t: b/two.yaml: output Id: Table has no Id",
            ),
        ]:
            self.assertEqual(found(change), [expected])

    def test_what_is_not_made_has_no_value(self):
        def change(one, _two):
            one["Conditions"] = {"Never": {"Fn::Equals": ["a", "b"]}}
            one["Resources"]["Kept"]["Condition"] = "Never"
            del one["Outputs"]

        self.assertEqual(found(change), ["t: a/one.yaml: Role: Kept is not made"])

    def test_services_refuse_requests(self):
        for change, expected in [
            (lambda one, two: at(two, "Table").update(Colour="red"), "b/two.yaml: Table: create_table takes no Colour"),
            (lambda one, two: at(two, "Table").update(KeySchema=[]), "Invalid length"),
            (lambda one, two: at(one, "Role")["Policies"][0].update(PolicyDocument={}), "MalformedPolicyDocument"),
            (lambda one, two: two["Resources"].update(T={"Type": "AWS::SNS::Topic"}), "AWS::SNS::Topic has no maker"),
            (lambda one, two: two["Resources"].update(Q=queue(Colour="red")), "Q: create_queue.Attributes takes no Colour"),
            (lambda one, two: at(one, "Role").update(ManagedPolicyArns=[NO_POLICY]), f"Policy {NO_POLICY} does not exist"),
        ]:
            [problem] = found(change)
            self.assertIn(expected, problem)

    def test_parameters_are_refused(self):
        for given, expected in [
            ({}, "parameter Name has no value"),
            ({"Name": "A"}, "parameter Name: 'A' does not match [a-z]+"),
            ({"Name": "a", "Other": "a"}, "there is no parameter Other"),
            ({"Name": ["a"]}, "parameter Name is a list"),
        ]:
            problems = found(lambda one, two: at(one, "Kept").update(Parameters=given))
            self.assertEqual(problems, [f"t: b/two.yaml: {expected}"])
        number = {"Type": "Number", "MinValue": 2, "AllowedValues": [1, 2]}
        self.assertEqual([len(list(stacks.unfit(value, number))) for value in ("1", "2", "3")], [1, 0, 1])

    def test_two_deployments_have_their_own_names(self):
        def board(name):
            properties = {"DashboardName": name, "DashboardBody": "{}"}
            resource = {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}
            return lambda one, two: one["Resources"].update(Board=resource)

        self.assertEqual(found(board({"Ref": "AWS::StackName"})), [])
        both = "t: a/one.yaml: Board and a/one.yaml: Board are one AWS::CloudWatch::Dashboard, all"
        self.assertEqual(found(board("all"))[0], both)
        [problem] = found(steps=[STEPS[0], (*STEPS[1][:2], {})])
        self.assertIn("b/two.yaml: Table: An error occurred (ResourceInUseException)", problem)

    def test_what_is_named_exists(self):
        other = services.arn("dynamodb", "table/sesions")
        statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": other}
        policy = {"PolicyName": "read", "PolicyDocument": {"Version": "2012-10-17", "Statement": statement}}
        problems = found(lambda one, two: at(one, "Role").update(Policies=[policy]))
        self.assertEqual(problems, [f"t: a/one.yaml: Role: names {other}, which nothing is"] * 2)
        for name, value, expected in [
            ("arn:table/a", "arn:table/a", True),
            ("arn:table/ab", "arn:table/a", False),
            ("arn:table/a", "arn:table/ab", False),
            ("arn:table/a/stream/*", "arn:table/a", True),
            ("arn:table/*", "arn:table/a", True),
            ("arn:logs:/a:*", "arn:logs:/a", True),
        ]:
            self.assertEqual(bool(inventory.is_of(name, value)), expected, (name, value))

    def test_promises_are_held(self):
        broken = "t: b/two.yaml: Table: TimeToLiveDescription.TimeToLiveStatus is DISABLED, not ENABLED"
        never = {"AttributeName": "expires", "Enabled": False}
        self.assertEqual(found(lambda one, two: at(two, "Table").update(TimeToLiveSpecification=never)), [broken] * 2)

    def test_what_has_no_promised_part_is_found(self):
        problems = found(lambda one, two: one["Resources"].update(Q=queue()), STEPS[:1])
        self.assertEqual(
            problems,
            [
                "t: a/one.yaml: Q: Attributes.MessageRetentionPeriod is 345600, not 1209600",
                "t: a/one.yaml: Q: contains(Attributes.Policy, 'events.amazonaws.com') is None, not True",
            ],
        )

    def test_a_role_has_its_managed_policies(self):
        def change(one, _two):
            statement = {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": "*"}
            document = {"Version": "2012-10-17", "Statement": [statement]}
            policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
            one["Resources"]["Policy"] = policy
            at(one, "Role")["ManagedPolicyArns"] = [{"Ref": "Policy"}]
            one["Resources"]["Other"] = copy.deepcopy(one["Resources"]["Role"])

        def for_one(one, two):
            change(one, two)
            del at(one, "Other")["ManagedPolicyArns"]

        self.assertEqual(found(change), [])
        self.assertEqual(found(for_one), ["t: a/one.yaml: Policy: length(PolicyRoles) is 1, not 2"] * 2)

    def test_a_kept_bucket_has_its_policy(self):
        with stacks.account([]):
            named = {"Bucket": "kept"}
            services.ask("s3", "create_bucket", {**named, "CreateBucketConfiguration": services.PLACE})
            self.assertEqual(inventory.there("AWS::S3::BucketPolicy"), set())
            statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::kept"}
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            services.ask("s3", "put_bucket_policy", {**named, "Policy": policy})
            self.assertEqual(inventory.there("AWS::S3::BucketPolicy"), {"kept"})

    def test_what_stays_is_named(self):
        def deleted(**properties):
            def change(_one, two):
                two["Resources"]["Table"]["DeletionPolicy"] = "Delete"
                at(two, "Table").update(properties)

            return found(change)

        unnamed = "t: two.yaml: Table stays when its stack is deleted, and docs/removing.md does not name it"
        self.assertIn(unnamed, found(page=PAGE.replace("`Table`", "`Other`")))
        gone = "docs/removing.md says that Table of two.yaml stays, and no deployment leaves it"
        self.assertIn(gone, deleted(DeletionProtectionEnabled=False))
        self.assertIn("can't be deleted while DeletionProtectionEnabled is set", deleted()[0])

    def test_everything_is_deployed(self):
        def change(one, _two):
            one["Conditions"] = {"Other": {"Fn::Equals": [{"Ref": "Table"}, "others"]}}

        self.assertEqual(found(change), [])
        self.assertEqual(found(change, STEPS[:1]), ["a/one.yaml: Other is true in no deployment of deployments.py"])
        unused = found(steps=[("first", "b/two.yaml", {"Name": "a"})])
        self.assertEqual(unused[0], "a/one.yaml: no deployment of deployments.py makes it")

    def test_each_type_is_listed_or_not_for_a_reason(self):
        listed = {*inventory.LISTS, *inventory.PARTS, *inventory.NOT_LISTED} - {stacks.STACK}
        self.assertEqual(set(resources.MAKERS), listed)
        self.assertEqual(set(made.PROMISES) - set(resources.MAKERS), set())
