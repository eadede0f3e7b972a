"""The templates of commit 4650108 passed every linter, and would have stopped or hurt the first deployment in five places.

Here is an excerpt of each place, as it was, with the rule that finds it. Each rule quotes the page of AWS that it rests on.
"""

import re
import unittest

from samtranslator.yaml_helper import yaml_parse

import names
import refused

# deploy/cloudformation/network.yaml
STREAMS_ENDPOINT = """
Resources:
  Streams:
    Type: AWS::EC2::VPCEndpoint
    Condition: WithStreams
    Properties:
      VpcId: !Ref Vpc
      VpcEndpointType: Interface
      PrivateDnsEnabled: true
      ServiceName: !Sub "com.amazonaws.${AWS::Region}.dynamodb-streams"
"""
# deploy/sam/template.yaml
FUNCTION_ROLE = """
Resources:
  FunctionRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: streamdex
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Sid: NetworkInterfaces
                Effect: Allow
                Action:
                  - ec2:AssignPrivateIpAddresses
                  - ec2:DeleteNetworkInterface
                  - ec2:UnassignPrivateIpAddresses
                Resource: !Sub "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:network-interface/*"
"""
# deploy/sam/template.yaml
AGES = """
Parameters:
  StartingPosition: {Type: String, Default: TRIM_HORIZON, AllowedValues: [TRIM_HORIZON, LATEST]}
  MaximumRecordAgeSeconds: {Type: Number, Default: 43200, MinValue: 60, MaxValue: 86400}
  MaximumRetries: {Type: Number, Default: 1000, MinValue: 0, MaxValue: 10000}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Stream:
          Type: DynamoDB
          Properties:
            StartingPosition: !Ref StartingPosition
            MaximumRetryAttempts: !Ref MaximumRetries
            MaximumRecordAgeInSeconds: !Ref MaximumRecordAgeSeconds
"""
# deploy/sam/monitoring.yaml, and service-monitoring.yaml alike
DASHBOARD = """
Parameters:
  FunctionName: {Type: String}
Resources:
  Dashboard:
    Type: AWS::CloudWatch::Dashboard
    Properties:
      DashboardName: !Ref FunctionName
"""
# What iam-policy --opensearch printed for each purpose of each deployment, and the page about permissions (docs/iam.md)
PRINTED = '{"role": {"path": "_plugins/_security/api/roles/streamdex"}}'
COMMAND = "aws opensearchserverless create-access-policy --type data --name streamdex --policy file://access.json"
# deploy/sam/template.yaml
CONCURRENCY = """
Parameters:
  ReservedConcurrency: {Type: Number, Default: 10, MinValue: 1}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      ReservedConcurrentExecutions: !Ref ReservedConcurrency
"""


class FirstTemplates(unittest.TestCase):
    def found(self, rule, excerpt):
        return list(rule({"t.yaml": yaml_parse(excerpt)}))

    def test_the_endpoint_of_streams_asked_for_private_dns(self):
        problem = "t.yaml: Streams: dynamodb-streams has no private DNS name, so PrivateDnsEnabled is refused"
        self.assertEqual(self.found(refused.problems, STREAMS_ENDPOINT), [problem])

    def test_the_role_of_the_function_did_not_pass_the_check_of_lambda(self):
        [problem] = self.found(refused.problems, FUNCTION_ROLE)
        self.assertRegex(problem, "^t.yaml: FunctionRole: Lambda refuses a role that may delete network interfaces on .*/\\* alone$")

    def test_records_of_the_first_day_were_discarded(self):
        age, retries = self.found(refused.problems, AGES)
        self.assertEqual(age, "t.yaml: Function: records of the first day that are older than 43200 s are given up at the first start")
        self.assertTrue(retries.startswith("t.yaml: Function: MaximumRetryAttempts cannot be -1"), retries)

    def test_names_collided_in_an_account(self):
        problem = "t.yaml: Dashboard: DashboardName collides between regions or accounts without AWS::Region"
        self.assertEqual(self.found(names.problems, DASHBOARD), [problem])

    def test_names_collided_on_a_domain(self):
        for text in (PRINTED, COMMAND):
            [problem] = names.on_domain({"t": text})
            self.assertTrue(problem.startswith("t: streamdex names neither group nor purpose"), problem)
            self.assertEqual(list(names.on_domain({"t": re.sub(r"streamdex\b", "streamdex-default-run", text)})), [])

    def test_what_a_new_account_does_not_have_was_reserved(self):
        [problem] = self.found(refused.problems, CONCURRENCY)
        self.assertTrue(problem.startswith("t.yaml: Function: concurrency is reserved by default"), problem)

    def test_each_rule_quotes_its_page(self):
        for rule in (*refused.OF_RESOURCES, *refused.OF_TEMPLATES, names.problems, names.on_domain):
            self.assertRegex(rule.__doc__, r"https://docs\.aws\.amazon\.com/\S+", rule.__name__)
            self.assertRegex(rule.__doc__, r'"[A-Za-z][^"]{20,}"', rule.__name__)


class Domain(unittest.TestCase):
    def test_other_requests_of_the_security_api_name_nothing(self):
        text = '"$ENDPOINT/_plugins/_security/api/audit/config" _security/api/$kind/streamdex-$GROUP-$purpose"'
        self.assertEqual(list(names.on_domain({"t": text})), [])
