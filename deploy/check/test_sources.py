"""The rules about tables find what they are for."""

import unittest

import sources


class Network(unittest.TestCase):
    def test_what_no_endpoint_lets_through_is_a_finding(self):
        network = [
            {"Effect": "Allow", "Sid": "Source", "Action": ["dynamodb:DescribeTable"]},
            {"Effect": "Allow", "Sid": "State", "Action": "dynamodb:Query"},
        ]
        role = {"Effect": "Allow", "Sid": "SourceTable", "Action": ["dynamodb:DescribeTable", "dynamodb:Scan"]}
        found = list(sources.endpoints(network, [role, {**role, "Sid": "Other"}]))
        self.assertEqual(found, ["the endpoint's statement Source does not let dynamodb:Scan of SourceTable through"])

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
