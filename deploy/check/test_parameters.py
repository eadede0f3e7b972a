"""Parameters that the template does not take are found."""

import unittest

import parameters

TEMPLATE = {
    "Parameters": {
        "Feeding": {"Type": "String", "Default": "enabled", "AllowedValues": ["enabled", "disabled"]},
        "StreamArn": {"Type": "String", "Default": "", "AllowedPattern": "|arn:.+/stream/.+"},
        "Days": {"Type": "Number", "Default": 30, "MinValue": 1, "MaxValue": 40},
        "Network": {"Type": "String", "Default": "create"},
        "VpcId": {"Type": "String", "Default": ""},
    },
    "Rules": {
        "ExistingNetwork": {
            "RuleCondition": {"Fn::Equals": [{"Ref": "Network"}, "existing"]},
            "Assertions": [
                {
                    "Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "VpcId"}, ""]}]},
                    "AssertDescription": "Network=existing needs VpcId.",
                }
            ],
        }
    },
}


def found(*overrides, wanted=None, template=TEMPLATE):
    overrides = ", ".join(f'"{one}"' for one in overrides)
    text = f'version = 0.1\n[default.deploy.parameters]\nregion = "eu-central-1"\nparameter_overrides = [{overrides}]\n'
    return list(parameters.problems(text, template, wanted or {}))


class Parameters(unittest.TestCase):
    def test_names_and_values(self):
        stream = "arn:aws:dynamodb:{}:123456789012:table/t/stream/x"
        good = ["Feeding=disabled", "Days=40", "StreamArn=" + stream.format("eu-central-1")]
        self.assertEqual(found(*good, wanted={"Feeding": "disabled"}), [])
        for override, problem in [
            ("Feed=disabled", "the template has no parameter Feed"),
            ("Feeding=no", "Feeding cannot be no"),
            ("Days=0", "Days cannot be 0"),
            ("Days=41", "Days cannot be 41"),
            ("Days=many", "Days cannot be many"),
            ("StreamArn=x", "StreamArn cannot be x"),
            ("StreamArn=" + stream.format("eu-west-1"), "StreamArn is in eu-west-1, and the stack in eu-central-1"),
        ]:
            self.assertEqual(found(override), [f"default: {problem}"])

    def test_what_must_be_given(self):
        self.assertEqual(found(wanted={"Feeding": "disabled"}), ["default: Feeding is None, and should be disabled"])
        template = {"Parameters": {"Tag": {"Type": "String"}}}
        self.assertEqual(found(template=template), ["default: Tag has no default and is not given"])

    def test_rules_hold(self):
        self.assertEqual(found("Network=existing"), ["default: Network=existing needs VpcId."])
        self.assertEqual(found("Network=existing", "VpcId=vpc-1"), [])
