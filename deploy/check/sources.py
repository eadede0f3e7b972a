"""The tables that are followed: what roles may do with them, and what the endpoints of the network let through.

CloudFormation cannot put a text behind each member of a list. Fn::Join puts one between members, which must be literal, and
Fn::Split makes a list of that again:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-join.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-split.html
"""

import re
import tomllib
from fnmatch import fnmatchcase
from typing import NamedTuple

import parameters
import resolve
from rules import listed, statements

# The statements of roles, and those of the network's endpoints that must let their actions through.
BEHIND = {
    "GivenUp": "OnFailureRecords",
    "GivenUpBucket": "OnFailureRecords",
    "Password": "Password",
    "SourceStream": "Streams",
    "SourceTable": "Source",
    "StateTable": "State",
}
# What the endpoints of a network let through for each table that it is given: the statement, and what follows the ARN.
OF_TABLES = {"Source": "", "Streams": "/stream/*"}

TABLES = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
KEYS = "arn:aws:kms:eu-west-1:123456789012:key/"
# What a deployment has anyway, what it is given besides, and what it is not given: the table, and its key.
OWN = (TABLES + "sessions", KEYS + "1")
MORE = ([TABLES + "orders", TABLES + "parts"], [KEYS + "2", KEYS + "3"])
FOREIGN = (TABLES + "sessions-archive", KEYS + "1-2")
# A table of another deployment in the same VPC.
OTHER = TABLES + "others"
GIVEN = {"TableName": "sessions", "Table": "existing", "TableKeyArn": OWN[1], "Group": "mine"}
ADDITIONAL = {"AdditionalTableArns": ",".join(MORE[0]), "AdditionalTableKeyArns": ",".join(MORE[1])}
VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "stack",
    "Key.Outputs.KeyArn": KEYS + "state",
}
ROLES = ("TaskRole", "CommandRole")
LEADING_KEYS = "dynamodb:LeadingKeys"
# Partitions of this group: `run` has those of all tables, because a delimiter of Fn::Join cannot hold the group.
OWN_PARTITIONS = "follow|mine|"


class Right(NamedTuple):
    """What a statement allows: an action on a resource, a partition key or none, and what must hold besides."""

    action: str
    resource: str
    partition: str | None
    besides: str

    def replaced(self, old, new):
        return self._replace(resource=self.resource.replace(old, new), partition=(self.partition or "").replace(old, new) or None)


def problems(template):
    """All findings in the template of the service."""
    yield from taken(template)
    yield from given_to_network(template)
    for role in ROLES:
        yield from (f"{role}: {problem}" for problem in rights(template, role))


def rights(template, role):
    """What a role may do with its table and not with an additional one, or with one that it is not given."""
    one = allowed(template, role, GIVEN)
    several = allowed(template, role, GIVEN | ADDITIONAL)
    for right in sorted(one, key=str):
        wanted = {right}
        for own, more, foreign in zip(OWN, MORE, FOREIGN):
            if right.replaced(own, "") != right:
                wanted |= {right.replaced(own, other) for other in more}
                stranger = right.replaced(own, foreign)
                if covers(several, stranger) and not covers(one, stranger) and OWN_PARTITIONS not in str(stranger):
                    yield f"with additional tables it is given {stranger}"
        yield from (f"it is not given {missing}" for missing in sorted(wanted, key=str) if not covers(several, missing))
        elsewhere = right.replaced("|mine", "|another")
        if elsewhere != right and covers(several, elsewhere) and not covers(one, elsewhere):
            yield f"with additional tables it is given {elsewhere}"


def allowed(template, role, given):
    """The rights of a role, by its own policies and by those that the template makes for it."""
    resources = template["Resources"]
    made = {name: name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::ManagedPolicy"}
    stack = resolve.deployment(template, given, VALUES | made)
    properties = resources[role]["Properties"]
    attached = stack.resolve([properties.get("ManagedPolicyArns", [])])
    documents = [policy["PolicyDocument"] for policy in properties["Policies"]]
    documents += [resources[name]["Properties"]["PolicyDocument"] for names in attached for name in names if name in made]
    return {right for document in documents for right in of_document(stack.resolve(document))}


def of_document(document):
    for statement in resolve.policy(document)["Statement"]:
        conditions = [(key, values) for keys in statement.get("Condition", {}).values() for key, values in keys.items()]
        partitions = next((values for key, values in conditions if key == LEADING_KEYS), [None])
        besides = str([one for one in conditions if one[0] != LEADING_KEYS])
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield from (Right(action, resource, partition, besides) for partition in partitions)


def covers(rights, wanted):
    """Whether one of the rights is the wanted one, or wider."""
    return any(
        (right.action, right.besides) == (wanted.action, wanted.besides)
        and fnmatchcase(wanted.resource, right.resource)
        and (right.partition is None or fnmatchcase(wanted.partition or "", right.partition))
        for right in rights
    )


def given_to_network(template):
    """Tables that the network of a deployment is not given. A nested stack takes a list as a text with commas."""
    given = template["Resources"]["Vpc"]["Properties"]["Parameters"]["SourceTableArns"]
    for more in ({}, ADDITIONAL):
        for others in ({}, {"OtherTableArns": OTHER}):
            found = resolve.deployment(template, GIVEN | more | others, VALUES).resolve(given)
            wanted = ",".join([OWN[0], *(MORE[0] if more else []), *others.values()])
            if found != wanted:
                yield f"the network is given {found}, of {wanted}"


def taken(template):
    """Values of the parameters that are refused, or are taken and name more than some things."""
    for name, good, kind in zip(ADDITIONAL, ADDITIONAL.values(), (TABLES, KEYS)):
        parameter = template["Parameters"].get(name)
        if parameter is None:
            yield f"there is no parameter {name}"
            continue
        bad = [kind + "*", "*", good + ",", good.replace(",", ", "), good + "/index/*", "orders", good.replace(",", ",,")]
        yield from (f"{name} cannot be {value}" for value in ["", good] if not parameters.is_taken(value, parameter))
        yield from (f"{name} can be {value}" for value in bad if parameters.is_taken(value, parameter))
    alone = {"AdditionalTableKeyArns": MORE[1][0]}
    if not any(answer.startswith("AdditionalTableKeyArns") for answer in resolve.refusals(template, alone)):
        yield "Rules take keys without tables"


def example(page, variables):
    """The page shows a configuration of several tables that reads as one, with what the template sets."""
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    shown = [block for block in blocks if "[[source]]" in block]
    if not shown:
        yield "the page shows no configuration of several tables"
    for text in shown:
        config = tomllib.loads(text)
        names = [source.get("name") for source in config["source"]]
        if len(names) < 2 or None in names or sorted(names) != sorted(route.get("source") for route in config["route"]):
            yield f"the sources {names} and the routes of the page do not name one another"
        if any("streams_endpoint_url" not in source for source in config["source"]):
            yield "a source of the page does not name the endpoint of the streams"
        for name in sorted(set(re.findall(r"\$\{(\w+)", text)) - variables):
            yield f"{name} of the page is not set by the template"


def endpoints(network, template):
    """What a role may do with DynamoDB, its streams, a bucket or a secret, and no endpoint of the network lets through."""
    let_through = {statement["Sid"]: set(listed(statement["Action"])) for statement in statements(network)}
    for statement in statements(template):
        endpoint = BEHIND.get(statement.get("Sid"))
        if endpoint is not None:
            for action in sorted(set(listed(statement["Action"])) - let_through.get(endpoint, set())):
                yield f"the endpoint's statement {endpoint} does not let {action} of {statement['Sid']} through"


def shared(network):
    """Tables of a network that one of its endpoints does not let through. Several deployments share a network, so it is
    given a list: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html"""
    if network["Parameters"].get("SourceTableArns", {}).get("Type") != "CommaDelimitedList":
        yield "SourceTableArns is no list of tables"
        return
    for statement in statements(network):
        if statement["Sid"] in OF_TABLES:
            for given in (MORE[0][:1], MORE[0]):
                found = listed(resolve.Stack({"SourceTableArns": given}, {}).resolve(statement["Resource"]))
                wanted = [table + OF_TABLES[statement["Sid"]] for table in given]
                if found != wanted:
                    yield f"{statement['Sid']} lets {found} through, of {wanted}"
