"""What is not handed on is found."""

import copy
import unittest

import reach

OWN = {"Fn::GetAtt": "Vpc.Outputs.OperatorSecurityGroupId"}
VARIABLES = {"STREAMDEX_TABLE": "t", "STREAMDEX_GROUP": {"Ref": "Group"}}
TOLD = dict.fromkeys(reach.PEOPLE, "x") | {reach.MODE: "1"}


def stack(url, **parameters):
    return {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url, "Parameters": parameters}}


def function(**properties):
    variables = properties.pop("variables")
    return {"Type": "AWS::Serverless::Function", "Properties": properties | {"Environment": {"Variables": variables}}}


def role(*actions):
    statement = {"Effect": "Allow", "Action": list(actions)}
    return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": {"Statement": [statement]}}]}}


def deployed():
    """A template that sets up."""
    return {
        "Resources": {
            "Writer": function(Timeout=60, Tags={"after": {"Ref": "SetUp"}}, variables=dict(VARIABLES)),
            "Maker": function(Timeout=300, variables=VARIABLES | TOLD),
            "SetUp": {
                "Type": "Custom::SetUp",
                "Properties": {"ServiceToken": {"Fn::GetAtt": ["Maker", "Arn"]}, "ServiceTimeout": 900},
            },
            "Vpc": stack("../network.yaml", Answers="yes"),
        }
    }


class Reach(unittest.TestCase):
    def test_who_searches_reaches_the_search(self):
        def found(value):
            return list(reach.operators({"Resources": {"D": stack("x/search-domain.yaml", OperatorSecurityGroupId=value)}}))

        self.assertEqual(found({"Fn::If": ["MakeNetwork", OWN, {"Ref": "OperatorSecurityGroupId"}]}), [])
        self.assertEqual(len(found({"Fn::If": ["MakeNetwork", OWN, ""]})), 1)

    def test_the_streams_endpoint_is_taken(self):
        def found(endpoint, value, *names):
            container = {"Environment": [{"Name": name, "Value": value} for name in names]}
            task = {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": [container]}}
            return list(reach.streams({"Resources": {"Vpc": stack("network.yaml", StreamsEndpoint=endpoint), "T": task}}))

        for address in ("Vpc.Outputs.StreamsEndpointUrl", ["Vpc", "Outputs.StreamsEndpointUrl"]):
            self.assertEqual(found("yes", {"Fn::GetAtt": address}, reach.STREAMS), [])
        self.assertEqual(len(found("yes", "", reach.STREAMS)), 1)
        self.assertEqual(found("yes", {"Fn::GetAtt": address}, "OTHER"), [f"T: is not given {reach.STREAMS}"])
        self.assertEqual(found("no", "", "OTHER"), [])

    def test_the_role_of_the_configuration_can_be_assumed(self):
        def found(*resources):
            named = {f"R{number}": one for number, one in enumerate(resources)}
            return list(reach.assuming({"Parameters": {"AssumedRoleArn": {}}, "Resources": named}))

        apart = {"RoleName": {"Ref": "R0"}, "PolicyDocument": role("sts:AssumeRole")["Properties"]["Policies"]}
        self.assertEqual(found(role("es:ESHttpGet", "sts:AssumeRole")), [])
        self.assertEqual(found(role("es:ESHttpGet"), {"Type": "AWS::IAM::RolePolicy", "Properties": apart}), [])
        self.assertEqual(found(role("es:ESHttpGet")), ["R0: talks to OpenSearch, and may not assume AssumedRoleArn"])
        self.assertEqual(found(role("logs:PutLogEvents")), [])
        self.assertEqual(list(reach.assuming({"Resources": {"R": role("es:ESHttpGet")}})), [])

    def test_arns_are_arns(self):
        def found(parameter, url="network.yaml"):
            return list(reach.arns({"Parameters": {"KeyArn": parameter, "Other": {}}, "Resources": {"V": stack(url)}}))

        self.assertEqual(found({"AllowedPattern": "|arn:.+"}), [])
        self.assertEqual(found({}), ["KeyArn takes what is no ARN"])
        self.assertEqual(found({}, "other.yaml"), [])


class SetUp(unittest.TestCase):
    def found(self, change):
        template = copy.deepcopy(deployed())
        change(template["Resources"])
        return list(reach.set_up(template))

    def test_a_deployment_leads_to_a_search(self):
        self.assertEqual(list(reach.set_up(deployed())), [])

    def test_nothing_sets_up(self):
        self.assertEqual(self.found(lambda resources: resources.pop("SetUp")), ["nothing sets up the domain, so nobody can search it"])

    def test_what_the_function_must_know(self):
        def variables(resources):
            return resources["Maker"]["Properties"]["Environment"]["Variables"]

        for name in reach.PEOPLE:
            self.assertEqual(len(self.found(lambda resources: variables(resources).pop(name))), 1, name)
        other = self.found(lambda resources: variables(resources).update(STREAMDEX_TABLE="u"))
        self.assertEqual(other, ["SetUp: is set up with another STREAMDEX_TABLE than Writer"])

    def test_cloudformation_hears_of_it(self):
        def first(resources):
            resources["Writer"]["Properties"]["Tags"].clear()

        def impatient(resources):
            resources["SetUp"]["Properties"]["ServiceTimeout"] = 300

        def shut(resources):
            resources["Vpc"]["Properties"]["Parameters"]["Answers"] = "no"

        self.assertEqual(self.found(first), ["SetUp: Writer does not wait for it"])
        self.assertEqual(self.found(impatient), ["SetUp: CloudFormation does not wait as long as the function tries"])
        self.assertEqual(self.found(shut), ["SetUp: its answer does not leave Vpc"])
