"""The rules about passwords find what they are for."""

import unittest

import passwords


def network(condition="With", dns=True, action="secretsmanager:GetSecretValue", resource=passwords.ITSELF, group="With"):
    """A network with an endpoint of Secrets Manager, and what makes it."""
    statement = {"Sid": "Password", "Effect": "Allow", "Action": action, "Resource": resource}
    properties = {
        "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.secretsmanager"},
        "PrivateDnsEnabled": dns,
        "SecurityGroupIds": [{"Ref": "Group"}],
        "PolicyDocument": {"Statement": [statement]},
    }
    given = {"Fn::Not": [{"Fn::Equals": [{"Ref": "PasswordSecretArn"}, ""]}]}
    return {
        "Parameters": {"PasswordSecretArn": {"Default": ""}},
        "Conditions": {"With": given, "Always": {"Fn::Equals": ["", ""]}, "Never": {"Fn::Equals": ["", "x"]}},
        "Resources": {
            "Endpoint": {"Type": "AWS::EC2::VPCEndpoint", "Condition": condition, "Properties": properties},
            "Group": {"Type": "AWS::EC2::SecurityGroup", "Condition": group, "Properties": {}},
        },
    }


def template(secret="arn:[a-z0-9:-]+:secret:[a-z/]+-[A-Za-z]{6}", key="arn:.+:key/[0-9-]+", rules=("Search", "Key"), **search):
    """A template that takes a secret, and says for which search."""
    allowed = {
        "Search": {"Fn::Equals": [{"Ref": "Search"}, "existing-domain"]},
        "Collection": {"Fn::Equals": [{"Ref": "CollectionArn"}, ""]},
    }
    has = {name: {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]} for name in ("PasswordSecretArn", "PasswordSecretKeyArn")}
    made = {
        **{name: (has["PasswordSecretArn"], one, "PasswordSecretArn needs") for name, one in allowed.items()},
        "Key": (has["PasswordSecretKeyArn"], has["PasswordSecretArn"], "PasswordSecretKeyArn needs PasswordSecretArn"),
    }
    listed = {
        name: {"RuleCondition": made[name][0], "Assertions": [{"Assert": made[name][1], "AssertDescription": made[name][2]}]}
        for name in rules
    }
    return {
        "Parameters": {
            "PasswordSecretArn": {"Type": "String", "Default": "", "AllowedPattern": "|" + secret},
            "PasswordSecretKeyArn": {"Type": "String", "Default": "", "AllowedPattern": "|" + key},
            **(search or {"Search": {"Default": "domain", "AllowedValues": ["domain", "existing-domain", "serverless"]}}),
        },
        "Rules": listed,
        "Resources": {},
    }


PAGE = f"""
```toml
[opensearch]
auth = {{ kind = "basic", username = "u", password_secret = "{passwords.SECRET}" }}
```
aws secretsmanager create-secret --name n \\
  --secret-string file:///dev/stdin
"""


class Passwords(unittest.TestCase):
    def test_a_network_leads_to_the_secret_alone(self):
        self.assertEqual(list(passwords.endpoint(network())), [])
        for change in [
            {"condition": "Always"},
            {"condition": "Never"},
            {"group": "Never"},
            {"dns": False},
            {"action": "secretsmanager:*"},
            {"resource": "*"},
        ]:
            self.assertEqual(len(list(passwords.endpoint(network(**change)))), 1, change)
        self.assertEqual(list(passwords.endpoint({"Resources": {}})), ["there is no endpoint of Secrets Manager"])

    def test_parameters_name_one_secret_and_its_key(self):
        self.assertEqual(list(passwords.taken(template())), [])
        self.assertEqual(len(list(passwords.taken(template(secret=".+")))), 4)
        refused = list(passwords.taken(template(secret="arn:.+:secret:[a-z]+")))
        self.assertEqual(refused[0], f"PasswordSecretArn cannot be {passwords.SECRET}")
        self.assertEqual(len(list(passwords.taken(template(key="arn:.+")))), 2)

    def test_a_search_without_users_is_given_no_password(self):
        self.assertEqual(list(passwords.needed(template())), [])
        found = list(passwords.needed(template(rules=())))
        self.assertEqual(
            found, ["Rules take a password for domain", "Rules take a password for serverless", "Rules take the key of no secret"]
        )
        collection = {"CollectionArn": {"Default": ""}}
        self.assertEqual(list(passwords.needed(template(rules=("Collection", "Key"), **collection))), [])
        found = list(passwords.needed(template(rules=("Key",), **collection)))
        self.assertEqual(found, ["Rules take a password for a collection"])

    def test_templates_take_a_password(self):
        good = {name: network() if name.endswith("network.yaml") else template() for name in passwords.TAKE}
        self.assertEqual(list(passwords.problems(good)), [])
        for name in passwords.TAKE:
            found = list(passwords.problems(good | {name: {"Parameters": {}}}))
            self.assertEqual(found, [f"{name}: takes no password"])

    def test_a_page_keeps_passwords_out_of_commands(self):
        self.assertEqual(list(passwords.documented(PAGE)), [])
        for old, new in [
            ("file:///dev/stdin", """'{"password": "x"}'"""),
            ('kind = "basic"', 'kind = "sigv4"'),
            ("-AbCdEf", ""),
            ("create-secret", "put-secret-value"),
        ]:
            self.assertEqual(len(list(passwords.documented(PAGE.replace(old, new)))), 1, old)
