"""The rules find what they are for, and a stack resolves as CloudFormation would."""

import unittest

import resolve
import rules


def sub(text):
    return {"Fn::Sub": text}


class Rules(unittest.TestCase):
    def test_what_names_one_thing(self):
        for resource in [
            "arn:aws:s3:::bucket/*",
            {"Fn::GetAtt": ["Bucket", "Arn"]},
            sub("${Bucket.Arn}/*"),
            sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Table}/stream/*"),
            sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Logs}:*"),
            {"Fn::If": ["Made", {"Ref": "KeyArn"}, {"Fn::GetAtt": ["Key", "Arn"]}]},
            {"Fn::Split": [",", {"Ref": "TableArns"}]},
            {"Fn::Split": [",", sub("${TableArns}/stream/*")]},
        ]:
            self.assertTrue(rules.names_one(resource), resource)

    def test_what_does_not(self):
        for resource in [
            "*",
            sub("*"),
            "arn:aws:s3:::*",
            sub("arn:${AWS::Partition}:dynamodb:*:${AWS::AccountId}:table/x"),
            sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:*:table/x"),
            sub("arn:aws:ec2:x:y:subnet/*"),
            {"Fn::If": ["Made", "*", {"Ref": "KeyArn"}]},
            {"Fn::Split": [",", "*"]},
        ]:
            self.assertFalse(rules.names_one(resource), resource)

    def test_statements_are_found_wherever_they_are(self):
        nested = {"Resources": {"R": {"Policies": [{"Fn::If": ["C", {"Effect": "Allow", "Sid": "A"}, {"Ref": "N"}]}]}}}
        text = {"PolicyDocument": sub('{"Statement": [{"Effect": "Deny", "Sid": "${B}"}]}')}
        self.assertEqual([found["Sid"] for found in rules.statements([nested, text])], ["A", "x"])

    def test_a_statement_without_a_listed_reason_is_a_finding(self):
        statement = {"Effect": "Allow", "Sid": "S", "Action": "s3:*", "Resource": "*"}
        found = [text for text in rules.problems({"t.yaml": {"Statement": statement}}) if "WILDCARDS" not in text]
        self.assertEqual(found, ["t.yaml: S: action s3:*", "t.yaml: S: resource *"])

    def test_what_a_nested_template_lets_one_choose_is_passed_on(self):
        def found(given, own=None, taken=None):
            stack = {"TemplateURL": "../b/child.yaml", "Parameters": given}
            resource = {"Type": "AWS::CloudFormation::Stack", "Properties": stack}
            parent = {"Parameters": {"P": own or {}}, "Resources": {"R": resource}}
            templates = {"a/parent.yaml": parent, "b/child.yaml": {"Parameters": {"C": taken or {}}, "Resources": {}}}
            return [problem for problem in rules.nested(templates) if "LEFT" not in problem]

        self.assertEqual(found({}), ["a/parent.yaml: R: does not pass C on"])
        self.assertEqual(found({"C": {"Ref": "P"}}), [])
        self.assertEqual(found({"C": 1, "D": 1}), ["a/parent.yaml: R: b/child.yaml takes no D"])
        self.assertEqual(found({"C": {"Ref": "P"}}, {"Default": 1}, {"Default": 1}), [])
        self.assertEqual(
            found({"C": {"Ref": "P"}}, {"Default": 1}, {"Default": 2}),
            ["a/parent.yaml: R: Default of C is 1 outside and 2 inside"],
        )
        self.assertEqual(
            found({"C": {"Ref": "P"}}, {"Type": "CommaDelimitedList"}), ["a/parent.yaml: R: C is passed on as a list"]
        )
        self.assertEqual(len(list(rules.nested({}))), len(rules.LEFT))

    def test_reasons_that_nothing_needs_are_findings(self):
        self.assertEqual(len(rules.problems({})), len(rules.WILDCARDS))

    def test_everybody_needs_an_account(self):
        statement = {"Effect": "Allow", "Principal": "*"}
        self.assertTrue(rules.open_to_all(statement))
        self.assertTrue(rules.open_to_all({**statement, "Principal": {"AWS": "*"}}))
        own = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
        self.assertFalse(rules.open_to_all({**statement, "Condition": own}))
        self.assertFalse(rules.open_to_all({**statement, "Effect": "Deny"}))

    def test_managed_policies_are_found(self):
        def found(arns, kind="AWS::IAM::ManagedPolicy"):
            return list(rules.managed({"Resources": {"P": {"Type": kind}, "R": {"ManagedPolicyArns": arns}}}))

        nothing, made = {"Ref": "AWS::NoValue"}, {"Fn::If": ["C", [{"Ref": "P"}], {"Ref": "AWS::NoValue"}]}
        self.assertEqual(found(["arn"]), [["arn"]])
        self.assertEqual([found([{"Ref": "P"}]), found(made), found(nothing)], [[], [], []])
        self.assertEqual(found(made, "AWS::IAM::Role"), [made])
        self.assertEqual(len(found({"Fn::If": ["C", ["arn"], nothing]})), 1)

    def test_aliases_are_found(self):
        self.assertEqual(list(rules.aliases("a: &x 1\nb: *x\n")), ["line 2: a YAML alias"])
        self.assertEqual(list(rules.aliases("a: 1\n")), [])

    def test_texts_must_be_json(self):
        self.assertEqual(list(rules.texts({"DashboardBody": sub('{"a": "${B}"}')})), [])
        self.assertEqual(len(list(rules.texts({"Policy": sub('{"a": ${B},}')}))), 1)

    def test_resources_must_say_what_is_promised(self):
        def found(resource):
            problems = rules.promises({"t.yaml": {"Resources": {"R": resource}}})
            return [problem for problem in problems if not problem.startswith("no template holds")]

        group = {"Type": "AWS::Logs::LogGroup", "Properties": {"KmsKeyId": {"Ref": "Key"}, "RetentionInDays": 1}}
        self.assertEqual(found(group), [])
        self.assertEqual(found({**group, "Properties": {"KmsKeyId": "k"}}), ["t.yaml: R: RetentionInDays is None"])
        key = {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": False}}
        self.assertEqual(found(key), ["t.yaml: R: EnableKeyRotation is False"])
        self.assertEqual(found({"Type": "AWS::EC2::NatGateway"}), ["t.yaml: R: a way out of the VPC"])
        world = {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": {"CidrIp": "0.0.0.0/0"}}
        self.assertEqual(found(world), ["t.yaml: R: open to the world"])
        self.assertEqual(len(list(rules.promises({}))), len(rules.PROMISES))

    def test_a_vpc_has_flow_logs(self):
        def found(action, resource, principal="vpc-flow-logs.amazonaws.com"):
            trust = {
                "Effect": "Allow",
                "Principal": {"Service": principal},
                "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
            }
            role = {
                "AssumeRolePolicyDocument": {"Statement": [trust]},
                "Policies": [{"Effect": "Allow", "Action": action, "Resource": sub(resource)}],
            }
            log = {
                "ResourceId": {"Ref": "V"},
                "LogGroupName": {"Ref": "G"},
                "DeliverLogsPermissionArn": {"Fn::GetAtt": ["R", "Arn"]},
            }
            resources = {
                "V": {"Type": "AWS::EC2::VPC"},
                "R": {"Type": "AWS::IAM::Role", "Properties": role},
                "L": {"Type": "AWS::EC2::FlowLog", "Properties": log},
            }
            return list(rules.network({"Resources": resources}))

        group = "arn:${AWS::Partition}:logs:r:a:log-group:${G}:*"
        self.assertEqual(found(rules.FLOW_LOG_ACTIONS, group), [])
        self.assertEqual(found(["logs:PutLogEvents"], group), ["L: its role may do ['logs:PutLogEvents']"])
        self.assertEqual(len(found([*rules.FLOW_LOG_ACTIONS, "logs:DeleteLogGroup"], group)), 1)
        self.assertEqual(len(found(rules.FLOW_LOG_ACTIONS, "arn:aws:logs:r:a:log-group:/streamdex/*")), 1)
        self.assertEqual(len(found(rules.FLOW_LOG_ACTIONS, group, "ec2.amazonaws.com")), 1)
        vpc = {"Resources": {"V": {"Type": "AWS::EC2::VPC"}}}
        self.assertEqual(list(rules.network(vpc)), ["V: has no flow logs"])

    def test_nothing_is_in_the_default_group(self):
        def found(**properties):
            endpoint = {"Type": "AWS::EC2::VPCEndpoint", "Properties": properties}
            return len(list(rules.network({"Resources": {"E": endpoint}})))

        self.assertEqual(found(VpcEndpointType="Interface"), 1)
        self.assertEqual(found(VpcEndpointType="Interface", SecurityGroupIds=[{"Ref": "G"}]), 0)
        self.assertEqual(found(VpcEndpointType="Gateway"), 0)

    def test_a_key_of_logs_says_what_its_policy_needs(self):
        def found(description):
            group = {"Type": "AWS::Logs::LogGroup", "Properties": {"KmsKeyId": {"Fn::If": ["C", "x", {"Ref": "Key"}]}}}
            parameters = {"Key": {"Description": description}, "Other": {}}
            return len(list(rules.log_keys({"Parameters": parameters, "Resources": {"G": group}})))

        self.assertEqual(found("A key."), 1)
        self.assertEqual(found("A key that logs.REGION.amazonaws.com may use."), 0)

    def test_a_page_shows_the_statement_of_the_key(self):
        key = {"Effect": "Allow", "Sid": "LogGroups", "Principal": {"Service": sub("logs.${AWS::Region}.amazonaws.com")}}
        shown = '{"Sid": "LogGroups", "Effect": "Allow", "Principal": {"Service": "logs.REGION.amazonaws.com"}}'
        self.assertEqual(list(rules.documented(key, f"text\n```json\n{shown}\n```\n")), [])
        self.assertEqual(len(list(rules.documented(key, shown))), 1)
        self.assertEqual(len(list(rules.documented(key, f"```json\n{shown.replace('REGION', 'eu-west-1')}\n```"))), 1)

    def test_variables_are_those_that_are_set(self):
        given = {"STREAMDEX_A", "STREAMDEX_B", "RUST_LOG"}
        found = list(rules.variables(given, 'x = "${STREAMDEX_A}"\ny = "${STREAMDEX_C:-c}"'))
        self.assertEqual(
            found, ["STREAMDEX_B is set, and not used by streamdex.toml", "STREAMDEX_C is not set by the template"]
        )


class Resolve(unittest.TestCase):
    def test_functions_are_carried_out(self):
        stack = resolve.Stack({"A": "a", "Key.Arn": "k", "AWS::Region": "r"}, {"Yes": True, "No": False})
        for node, expected in [
            ({"Ref": "A"}, "a"),
            ({"Fn::GetAtt": ["Key", "Arn"]}, "k"),
            (sub("${Key.Arn}/${AWS::Region}"), "k/r"),
            ({"Fn::Sub": ["${Own}-${A}", {"Own": {"Ref": "A"}}]}, "a-a"),
            ({"Fn::If": ["Yes", {"Ref": "A"}, "b"]}, "a"),
            ({"Fn::Join": [",", [{"Ref": "A"}, "b"]]}, "a,b"),
            ({"Fn::Split": [",", sub("${A},b")]}, ["a", "b"]),
            ({"Fn::Select": [1, {"Fn::Cidr": ["10.1.0.0/24", 2, 6]}]}, "10.1.0.64/26"),
            ({"Fn::Select": ["0", {"Fn::GetAZs": ""}]}, "ra"),
            ({"Fn::Sub": ["${Number}", {"Number": 3}]}, "3"),
            ([{"Fn::If": ["No", "x", {"Ref": "AWS::NoValue"}]}, "y"], ["y"]),
            ({"x": {"Fn::If": ["No", "x", {"Ref": "AWS::NoValue"}]}, "y": 1}, {"y": 1}),
        ]:
            self.assertEqual(stack.resolve(node), expected, node)

    def test_rules_answer_to_parameters(self):
        few = {"Fn::Contains": [["1", "2"], {"Ref": "N"}]}
        assertion = {"Assert": {"Fn::Or": [few, {"Fn::Equals": [{"Ref": "M"}, "yes"]}]}, "AssertDescription": "M"}
        condition = {"Fn::And": [{"Fn::Not": [{"Fn::Equals": [{"Ref": "N"}, "0"]}]}]}
        template = {
            "Parameters": {"N": {"Default": 0}, "M": {"Default": "no"}},
            "Rules": {"R": {"RuleCondition": condition, "Assertions": [assertion]}},
        }
        for given, expected in [({}, []), ({"N": 1}, []), ({"N": 3}, ["M"]), ({"N": 3, "M": "yes"}, [])]:
            self.assertEqual(list(resolve.refusals(template, given)), expected, given)

    def test_a_policy_has_lists_everywhere(self):
        statement = {"Effect": "Allow", "Action": "a:B", "Resource": ["r"], "Condition": {"Op": {"key": "v"}}}
        [listed] = resolve.policy({"Version": "v", "Statement": [statement]})["Statement"]
        self.assertEqual(listed["Action"], ["a:B"])
        self.assertEqual(listed["Condition"], {"Op": {"key": ["v"]}})
