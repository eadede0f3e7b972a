"""What CloudFormation makes of a part of a template, for one choice of parameters."""

import re

GONE = object()


class Stack:
    """Values of parameters and attributes by their reference (`Key.Outputs.KeyArn`), and conditions by name."""

    def __init__(self, values, conditions):
        self.values = values
        self.conditions = conditions

    def resolve(self, node):
        """The node with its functions carried out."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not GONE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(function, argument)] = node.items()
            if function == "Ref":
                return GONE if argument == "AWS::NoValue" else self.values[argument]
            if function == "Fn::GetAtt":
                return self.values[argument if isinstance(argument, str) else ".".join(argument)]
            if function == "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self.conditions[condition] else no)
            if function == "Fn::Sub":
                return self.substitute(argument)
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not GONE}

    def substitute(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})
        known = {**self.values, **self.resolve(own)}
        return re.sub(r"\$\{([^}]*)\}", lambda variable: known[variable[1]], text)


def policy(document):
    """A policy as `streamdex iam-policy` writes it: lists everywhere."""

    def listed(value):
        return value if isinstance(value, list) else [value]

    statements = []
    for statement in document["Statement"]:
        condition = statement.get("Condition", {})
        plain = {**statement, "Action": listed(statement["Action"]), "Resource": listed(statement["Resource"])}
        if condition:
            plain["Condition"] = {
                operator: {key: listed(value) for key, value in keys.items()} for operator, keys in condition.items()
            }
        statements.append(plain)
    return {"Version": document["Version"], "Statement": statements}
