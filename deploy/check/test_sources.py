"""The rules about tables find what they are for."""

import unittest

import sources

ATTACHED = {"Fn::If": ["More", [{"Ref": "Additional"}], {"Ref": "AWS::NoValue"}]}
TABLE = {"Fn::Sub": "arn:aws:dynamodb:eu-west-1:123456789012:table/${TableName}"}
LIST = {"Fn::Split": [",", {"Ref": "AdditionalTableArns"}]}
JOINED = {"Fn::Join": [",rebuild|", LIST]}
GROUP = "follow|${Group}|arn:aws:dynamodb:eu-west-1:123456789012:table/"
ONE_KEY = {"ForAllValues:StringEquals": {sources.LEADING_KEYS: [{"Fn::Sub": GROUP + "${TableName}"}]}}
PATTERN = "|arn:aws:{}(,arn:aws:{})*"


def more_keys(text=GROUP + "*,rebuild|${Tables}"):
    keys = {"Fn::Split": [",", {"Fn::Sub": [text, {"Tables": JOINED}]}]}
    return {"ForAllValues:StringLike": {sources.LEADING_KEYS: keys}}


def statement(resource, **other):
    return {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": resource, **other}


def service(**change):
    """A service of a role that scans tables and keeps state, and reads what their keys encrypt."""
    state = statement("state", Condition={"Fn::If": ["More", change.get("keys", more_keys()), ONE_KEY]})
    key = statement({"Ref": "TableKeyArn"}, Action="kms:Decrypt")
    keys = statement({"Fn::Split": [",", {"Ref": "AdditionalTableKeyArns"}]}, Action="kms:Decrypt")
    policy = {"PolicyDocument": {"Version": "v", "Statement": [statement(TABLE), state, key]}}
    role = {"Policies": [policy], "ManagedPolicyArns": change.get("attached", ATTACHED)}
    more = {"Version": "v", "Statement": [statement(change.get("tables", LIST)), keys]}
    return {
        "Parameters": {
            name: {"Type": "String", "Default": ""}
            for name in ("TableName", "Group", "TableKeyArn", "AdditionalTableArns", "AdditionalTableKeyArns")
        },
        "Conditions": {"More": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AdditionalTableArns"}, ""]}]}},
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Additional": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": more}},
        },
    }


def rights(**change):
    return list(sources.rights(service(**change), "Role"))


class Roles(unittest.TestCase):
    def test_what_is_allowed_on_one_table_is_on_all(self):
        self.assertEqual(rights(), [])

    def test_a_role_that_reads_one_table_is_a_finding(self):
        found = rights(attached={"Ref": "AWS::NoValue"})
        # Two tables and two keys.
        self.assertEqual(len(found), 4)
        self.assertIn("table/orders", found[0])

    def test_state_of_one_table_is_a_finding(self):
        # Its own partition too: the statement would be about the additional tables alone.
        self.assertEqual(len(rights(keys=ONE_KEY)), 2)
        self.assertEqual(len(rights(keys=more_keys("rebuild|${Tables}"))), 3)

    def test_more_than_the_tables_is_a_finding(self):
        for tables in [
            {"Fn::Split": [",", {"Fn::Sub": "${AdditionalTableArns},arn:aws:dynamodb:eu-west-1:123456789012:table/*"}]},
            {"Fn::Split": [",", {"Fn::Sub": ["${AdditionalTableArns},${Own}*", {"Own": TABLE}]}]},
        ]:
            [found] = rights(tables=tables)
            self.assertIn("table/sessions-archive", found)

    def test_state_of_another_group_is_a_finding(self):
        [found] = rights(keys=more_keys("follow|*,rebuild|${Tables}"))
        self.assertIn("follow|another|", found)


class Parameters(unittest.TestCase):
    def test_the_network_is_given_all_tables(self):
        def found(text):
            template = service()
            template["Parameters"]["OtherTableArns"] = {"Default": ""}
            template["Conditions"]["Others"] = {"Fn::Not": [{"Fn::Equals": [{"Ref": "OtherTableArns"}, ""]}]}
            parts = {
                "More": {"Fn::If": ["More", {"Fn::Sub": ",${AdditionalTableArns}"}, ""]},
                "Others": {"Fn::If": ["Others", {"Fn::Sub": ",${OtherTableArns}"}, ""]},
            }
            given = {"SourceTableArns": {"Fn::Sub": [TABLE["Fn::Sub"] + text, parts]}}
            template["Resources"]["Vpc"] = {"Type": "AWS::CloudFormation::Stack", "Properties": {"Parameters": given}}
            return len(list(sources.given_to_network(template)))

        self.assertEqual([found("${More}${Others}"), found("${Others}"), found("${More}")], [0, 2, 2])

    def test_parameters_name_tables_and_keys(self):
        def found(table="dynamodb:[a-z0-9:-]+:table/[a-z]+", key="kms:[a-z0-9:-]+:key/[0-9]", rules=True):
            patterns = {"AdditionalTableArns": table, "AdditionalTableKeyArns": key}
            listed = {
                name: {"Type": "String", "Default": "", "AllowedPattern": PATTERN.format(one, one)}
                for name, one in patterns.items()
            }
            assertion = {
                "Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AdditionalTableArns"}, ""]}]},
                "AssertDescription": "AdditionalTableKeyArns needs AdditionalTableArns.",
            }
            return list(sources.taken({"Parameters": listed, "Rules": {"R": {"Assertions": [assertion]}} if rules else {}}))

        self.assertEqual(found(), [])
        self.assertEqual(found(table="dynamodb:[a-z0-9:-]+:table/[a-z*]+")[0][-8:], ":table/*")
        self.assertEqual(len(found(table="[^,]+")), 2)
        self.assertEqual(len(found(key="kms:[0-9:]+")), 1)
        self.assertEqual(found(rules=False), ["Rules take keys without tables"])
        missing = ["there is no parameter AdditionalTableArns", "there is no parameter AdditionalTableKeyArns"]
        self.assertEqual(list(sources.taken({"Parameters": {}}))[:2], missing)

    def test_the_page_shows_a_configuration(self):
        def found(second="name = 'b'", route="b", variable="A"):
            source = f"streams_endpoint_url = '${{{variable}}}'\n"
            text = f"[[source]]\nname = 'a'\n{source}[[source]]\n{second}\n{source}"
            routes = f"[[route]]\nsource = 'a'\n[[route]]\nsource = '{route}'\n"
            return len(list(sources.example(f"text\n```toml\n{text}{routes}```\n", {"A"})))

        self.assertEqual(found(), 0)
        self.assertEqual([found(second=""), found(route="c"), found(variable="B")], [1, 1, 1])
        one_endpoint = "```toml\n[[source]]\nname = 'a'\n[[source]]\nname = 'b'\n[[route]]\nsource = 'a'\n[[route]]\nsource = 'b'\n```\n"
        self.assertEqual(list(sources.example(one_endpoint, set())), ["a source of the page does not name the endpoint of the streams"])
        self.assertEqual(list(sources.example("", set())), ["the page shows no configuration of several tables"])


class Network(unittest.TestCase):
    def test_what_no_endpoint_lets_through_is_a_finding(self):
        network = [
            {"Effect": "Allow", "Sid": "Source", "Action": ["dynamodb:DescribeTable"]},
            {"Effect": "Allow", "Sid": "State", "Action": "dynamodb:Query"},
        ]
        role = {"Effect": "Allow", "Sid": "SourceTable", "Action": ["dynamodb:DescribeTable", "dynamodb:Scan"]}
        found = list(sources.endpoints(network, [role, {**role, "Sid": "Other"}]))
        self.assertEqual(found, ["the endpoint's statement Source does not let dynamodb:Scan of SourceTable through"])
        bucket = {"Effect": "Allow", "Sid": "OnFailureRecords", "Action": ["s3:GetObject"]}
        role = {"Effect": "Allow", "Sid": "GivenUp", "Action": ["s3:DeleteObject", "s3:GetObject"]}
        found = list(sources.endpoints([bucket], [role]))
        self.assertEqual(found, ["the endpoint's statement OnFailureRecords does not let s3:DeleteObject of GivenUp through"])

    def test_endpoints_let_each_table_of_a_list_through(self):
        def found(streams, kind="CommaDelimitedList"):
            endpoints = [
                {"Effect": "Allow", "Sid": "Source", "Resource": {"Ref": "SourceTableArns"}},
                {"Effect": "Allow", "Sid": "Streams", "Resource": streams},
            ]
            return list(sources.shared({"Parameters": {"SourceTableArns": {"Type": kind}}, "Resources": endpoints}))

        joined = {"Fn::Join": ["/stream/*,", {"Ref": "SourceTableArns"}]}
        each = {"Fn::Split": [",", {"Fn::Sub": ["${Tables}/stream/*", {"Tables": joined}]}]}
        self.assertEqual(found(each), [])
        self.assertEqual(found(each, "String"), ["SourceTableArns is no list of tables"])
        last = {"Fn::Sub": ["${Tables}/stream/*", {"Tables": {"Fn::Join": [",", {"Ref": "SourceTableArns"}]}}]}
        self.assertEqual(len(found(last)), 1)
