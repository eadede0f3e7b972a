"""What CloudFormation makes of a part of a template, or refuses, for one choice of parameters."""

import ipaddress
import itertools
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
            if function == "Fn::Join":
                return argument[0].join(self.resolve(argument[1]))
            if function == "Fn::Split":
                return self.resolve(argument[1]).split(argument[0])
            if function == "Fn::Select":
                return self.resolve(argument[1])[int(argument[0])]
            if function == "Fn::Cidr":
                return blocks(*map(self.resolve, argument))
            if function == "Fn::GetAZs":
                region = self.resolve(argument) or self.values["AWS::Region"]
                return [f"{region}{letter}" for letter in "abc"]
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not GONE}

    def substitute(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})
        known = self.resolve(own)
        return re.sub(r"\$\{([^}]*)\}", lambda one: str(known[one[1]] if one[1] in known else self.values[one[1]]), text)


def blocks(block, count, bits):
    """The first blocks of addresses in a block, each with so many bits for addresses."""
    subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
    return [str(subnet) for subnet in itertools.islice(subnets, int(count))]


def deployment(template, given, values):
    """The stack that CloudFormation makes with parameters, those that are not given at their defaults. `values` are those
    of attributes and pseudo parameters."""
    parameters = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()} | given
    conditions = template.get("Conditions", {})
    met = {name: holds(expanded(condition, template), parameters) for name, condition in conditions.items()}
    return Stack(parameters | values, met)


def expanded(condition, template):
    """A condition without names of others."""
    [(function, argument)] = condition.items()
    if function == "Condition":
        return expanded(template["Conditions"][argument], template)
    if function in ("Fn::And", "Fn::Or", "Fn::Not"):
        return {function: [expanded(part, template) for part in argument]}
    return condition


def refusals(template, given):
    """What the template's Rules answer to parameters; those that are not given have their defaults."""
    parameters = {name: parameter.get("Default") for name, parameter in template.get("Parameters", {}).items()} | given
    for rule in template.get("Rules", {}).values():
        if "RuleCondition" not in rule or holds(rule["RuleCondition"], parameters):
            for assertion in rule["Assertions"]:
                if not holds(assertion["Assert"], parameters):
                    yield assertion["AssertDescription"]


def holds(condition, parameters):
    """Whether a condition of a rule is true. Parameters are texts, numbers too."""

    def text(node):
        return str(parameters[node["Ref"]] if isinstance(node, dict) else node)

    [(function, argument)] = condition.items()
    if function == "Fn::Equals":
        return text(argument[0]) == text(argument[1])
    if function == "Fn::Contains":
        return text(argument[1]) in map(text, argument[0])
    parts = [holds(part, parameters) for part in argument]
    return {"Fn::And": all(parts), "Fn::Or": any(parts), "Fn::Not": not parts[0]}[function]


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
