"""Commands that would be refused are found."""

import unittest

import pages

ROLE = {"Type": "AWS::IAM::Role"}
TEMPLATES = {
    "a/parent.yaml": {
        "Parameters": {"Tag": {"Type": "String"}, "Mode": {"Type": "String", "Default": "x", "AllowedValues": ["x", "y"]}},
        "Rules": {"R": {"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "Mode"}, "y"]}, "AssertDescription": "Mode is y."}]}},
        "Resources": {"S": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "../b/child.yaml"}}},
    },
    "b/child.yaml": {"Resources": {"R": ROLE}},
    "b/sam.yaml": {"Transform": "AWS::Serverless-2016-10-31", "Resources": {}},
}


def found(text):
    return list(pages.problems({"p": text}, TEMPLATES))


class Pages(unittest.TestCase):
    def test_every_tool_reads_the_region(self):
        both = "export AWS_REGION=x AWS_DEFAULT_REGION=x\n"
        self.assertEqual(found(f"```sh\n{both}sam deploy\n```"), [])
        one = found("```sh\nexport AWS_REGION=x\nsam deploy\n```")
        self.assertEqual(one, ["p: AWS_DEFAULT_REGION is not set before the first command that needs it"])
        too_late = found("```sh\nexport AWS_REGION=x AWS_DEFAULT_REGION=x ACCOUNT=$(aws sts get-caller-identity)\n```")
        self.assertEqual(len(too_late), 2)
        self.assertEqual(found("```sh\nexport AWS_REGION=x\nstreamdex run\n```"), [])
        self.assertEqual(found("```sh\naws s3 ls\n```"), [])

    def test_capabilities_of_nested_templates_count(self):
        command = "sam deploy --template-file {}"
        self.assertEqual(found(command.format("a/parent.yaml")), ["p: a/parent.yaml is deployed without CAPABILITY_IAM"])
        self.assertEqual(found(command.format("a/parent.yaml --stack-name s \\\n  --capabilities CAPABILITY_IAM")), [])
        self.assertEqual(found(command.format("target/sam.yaml")), ["p: b/sam.yaml is deployed without CAPABILITY_AUTO_EXPAND"])
        self.assertEqual(found(f"`{command.format('b/child.yaml')}` and CAPABILITY_IAM")[0][:15], "p: b/child.yaml")
        for other in ("packaged.yaml", "b/child.yaml --guided", "b/child.yaml --config-file c"):
            self.assertEqual(found(command.format(other)), [])

    def test_parameters_are_those_of_the_template(self):
        def given(parameters):
            head = "aws cloudformation deploy --template-file a/parent.yaml --capabilities CAPABILITY_IAM"
            return found(f"{head} --parameter-overrides {parameters}")

        self.assertEqual(given('"Tag=$(tag of)" Mode=y'), [])
        later = "aws cloudformation deploy --template-file a/parent.yaml --capabilities CAPABILITY_IAM --parameter-overrides"
        self.assertEqual(given(f"Tag=1 Mode=y\n{later} Tag=$TAG"), [])
        self.assertEqual(given("Mode=y"), ["p: a/parent.yaml needs Tag"])
        self.assertEqual(given("Tag=1 Mode=y Other=1"), ["p: a/parent.yaml has no parameter Other"])
        self.assertEqual(given("Tag=1"), ["p: Mode is y."])
        self.assertEqual(given("Tag=1 Mode=z"), ["p: Mode of a/parent.yaml cannot be z", "p: Mode is y."])

    def test_audit_logs_are_switched_on(self):
        def shown(config):
            return list(pages.audit_logs(f"""search -X PUT "$E/_plugins/_security/api/audit/config" -d @- <<'JSON'\n{config}\nJSON\n"""))

        self.assertEqual(shown('{"enabled": true, "audit": {"log_request_body": false}}'), [])
        self.assertEqual(len(shown('{"enabled": false, "audit": {"log_request_body": false}}')), 1)
        self.assertEqual(len(shown('{"enabled": true, "audit": {"log_request_body": true}}')), 1)
        self.assertEqual(len(shown('{"enabled": true,}')), 1)
        self.assertEqual(list(pages.audit_logs("")), ["the page does not show how audit logs are switched on"])

    def test_everybody_who_follows_finds_the_stream(self):
        rows = "\n".join(f"| {follower} | x |" for follower in pages.FOLLOWERS)
        page = f"## The stream's own endpoint\ndescribe-vpc-endpoints streams_endpoint_url\n{rows}\n## Other"
        self.assertEqual(list(pages.streams_endpoint(page)), [])
        self.assertEqual(len(list(pages.streams_endpoint(page.replace("Kubernetes", "x")))), 1)
        self.assertEqual(len(list(pages.streams_endpoint("## Other"))), len(pages.FOLLOWERS) + 1)
