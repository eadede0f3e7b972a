"""The rules about sizes count as AWS does."""

import unittest

import limits


def service(inline=1, managed=1, attached=1, most=100):
    def policy(characters):
        return {"PolicyDocument": {"a": characters * "x"}}

    role = {"Policies": [policy(inline), policy(inline)], "ManagedPolicyArns": attached * [{"Ref": "More"}]}
    tables = {"PolicyDocument": {"a": {"Fn::Sub": managed * "x" + "${AdditionalTableArns}"}}}
    more = {"Type": "AWS::IAM::ManagedPolicy", "Properties": tables}
    names = (*limits.LONGEST, *limits.LISTS)
    return {
        "Parameters": {name: {"Default": "", "MaxLength": most} for name in names},
        "Resources": {**{role_: {"Type": "AWS::IAM::Role", "Properties": role} for role_ in limits.NAMES}, "More": more},
    }


def network(characters=1):
    endpoint = {"Properties": {"PolicyDocument": {"a": characters * "x", "Tables": {"Ref": "SourceTableArns"}}}}
    return {"Resources": {"DynamoDb": endpoint, "Streams": endpoint}}


def found(endpoint=1, **change):
    return sorted(set(limits.problems(service(**change), network(endpoint))))


class Limits(unittest.TestCase):
    def test_white_space_does_not_count(self):
        self.assertEqual(limits.size({"a": "b c", "d": ["e"]}), len('{"a":"bc","d":["e"]}'))

    def test_inline_policies_count_together(self):
        # Each is {"a":"…"}, which is eight characters more.
        self.assertEqual(found(inline=limits.INLINE // 2 - 8), [])
        self.assertEqual(len(found(inline=limits.INLINE // 2 - 7)), len(limits.NAMES))

    def test_managed_policies_count_each_with_the_longest_list(self):
        longest = 2 * len(limits.TABLE) + 1
        self.assertLessEqual(longest, 100)
        self.assertEqual(found(managed=limits.MANAGED - 8 - longest), [])
        self.assertEqual(len(found(managed=limits.MANAGED - 7 - longest)), len(limits.NAMES))
        self.assertEqual(len(found(managed=limits.MANAGED - 8 - longest, most=200)), len(limits.NAMES))

    def test_a_role_takes_some_managed_policies(self):
        self.assertEqual(found(attached=limits.MANAGED_OF_A_ROLE), [])
        self.assertEqual(len(found(attached=limits.MANAGED_OF_A_ROLE + 1)), len(limits.NAMES))

    def test_endpoints_have_all_tables(self):
        self.assertEqual(len(found(endpoint=limits.ENDPOINT - limits.PARAMETER)), 2)

    def test_a_large_template_goes_through_s3(self):
        def sizes(characters, command):
            stack = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "x.yaml"}}
            template = {"Description": characters * "x", "Resources": {"S": stack}}
            return len(list(limits.body(template, f"text\naws cloudformation deploy {command}\ntext --s3-bucket\n")))

        self.assertEqual(sizes(limits.BODY, "--stack-name a \\\n  --capabilities b"), 1)
        self.assertEqual(sizes(limits.BODY, "--stack-name a \\\n  --s3-bucket b"), 0)
        self.assertEqual(sizes(limits.BODY - 1_000, "--stack-name a"), 0)
        # Its address in S3 counts.
        self.assertEqual(sizes(limits.BODY - 150, "--stack-name a"), 1)
