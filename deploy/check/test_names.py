"""Names that collided in earlier templates, or would, are found."""

import unittest

import names

FIXED = ["t.yaml: R: {} is the same in a second deployment"]
STACK = {"Ref": "AWS::StackName"}


def sub(text):
    return {"Fn::Sub": text}


def found(kind, key, value, parameters=None, condition=None, **others):
    resource = {"Type": kind, "Properties": {key: value}, **({"Condition": "Make"} if condition else {})}
    template = {"Parameters": parameters or {}, "Conditions": {"Make": condition}, "Resources": {"R": resource}}
    return list(names.problems({"t.yaml": template, **others}))


def table(value, *rest, **others):
    return found("AWS::DynamoDB::Table", "TableName", value, *rest, **others)


class Names(unittest.TestCase):
    def test_a_fixed_name_collides(self):
        for value in ["state", sub("state-${AWS::Region}"), {"Fn::If": ["C", STACK, "state"]}]:
            self.assertEqual(table(value), [FIXED[0].format("TableName")], value)
        for value in [STACK, sub("${AWS::StackName}-state"), sub("${R}-b"), {"Fn::If": ["C", STACK, names.NONE]}, names.NONE]:
            self.assertEqual(table(value), [], value)
        policy = found("AWS::Logs::ResourcePolicy", "PolicyName", "domain-logs")
        self.assertEqual(policy, [FIXED[0].format("PolicyName")])

    def test_a_parameter_must_be_chosen(self):
        name = {"Ref": "Name"}
        self.assertEqual(table(name, {"Name": {}}), [])
        self.assertEqual(len(table(name, {"Name": {"Default": "state"}})), 1)

    def test_a_default_is_enough_where_what_exists_can_be_taken(self):
        name = {"Ref": "Name"}
        fixed = {"Name": {"Default": "state"}}
        state = {"State": {"Default": "create", "AllowedValues": ["create", "existing"]}}
        made = {"Fn::Equals": [{"Ref": "State"}, "create"]}
        self.assertEqual(table(name, fixed | state, made), [])
        self.assertEqual(table(name, fixed | state, {"Fn::Not": [{"Fn::Not": [made]}]}), [])
        arn = {"Fn::Equals": [{"Ref": "StreamArn"}, ""]}
        self.assertEqual(table(name, fixed | {"StreamArn": {"Default": ""}}, arn), [])
        admin = {"Fn::Equals": [{"Ref": "Admin"}, "yes"]}
        no_choice = {"Admin": {"Default": "yes", "AllowedValues": ["yes", "no"]}}
        self.assertEqual(len(table(name, fixed | no_choice, admin)), 1)

    def test_what_a_parent_gives_counts(self):
        def nested(given):
            properties = {"TemplateURL": "t.yaml", "Parameters": given}
            stack = {"Type": "AWS::CloudFormation::Stack", "Properties": properties}
            parent = {"Parameters": {}, "Resources": {"S": stack}}
            return table({"Ref": "Name"}, {"Name": {}}, **{"p.yaml": parent})

        self.assertEqual(nested({"Name": STACK}), [])
        self.assertEqual(len(nested({"Name": "state"})), 1)
        self.assertEqual(len(nested({})), 1)

    def test_global_names_have_the_region(self):
        def dashboard(value):
            return len(found("AWS::CloudWatch::Dashboard", "DashboardName", value))

        self.assertEqual(dashboard(STACK), 1)
        self.assertEqual(dashboard(sub("${AWS::StackName}-${AWS::Region}")), 0)
        self.assertEqual(len(found("AWS::IAM::Role", "RoleName", STACK)), 1)
        self.assertEqual(len(found("AWS::S3::Bucket", "BucketName", sub("${AWS::StackName}-${AWS::Region}"))), 1)
        unique = sub("${AWS::StackName}-${AWS::Region}-${AWS::AccountId}")
        self.assertEqual(found("AWS::S3::Bucket", "BucketName", unique), [])

    def test_unknown_names_are_findings(self):
        self.assertEqual(found("AWS::SQS::Queue", "QueueName", STACK), ["t.yaml: R: names.py does not know QueueName"])
        self.assertEqual(found("AWS::Logs::MetricFilter", "LogGroupName", "x"), [])
