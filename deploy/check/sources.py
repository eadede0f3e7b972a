"""The tables that are followed: what the endpoints of the network let through."""

import resolve
from rules import listed, statements

# The statements of roles, and those of the network's endpoints that must let their actions through.
BEHIND = {"SourceTable": "Source", "StateTable": "State", "SourceStream": "Streams"}


def endpoints(network, template):
    """What a role may do with DynamoDB and its streams, and no endpoint of the network lets through."""
    let_through = {statement["Sid"]: set(listed(statement["Action"])) for statement in statements(network)}
    for statement in statements(template):
        endpoint = BEHIND.get(statement.get("Sid"))
        if endpoint is not None:
            for action in sorted(set(listed(statement["Action"])) - let_through[endpoint]):
                yield f"the endpoint's statement {endpoint} does not let {action} of {statement['Sid']} through"


# What the endpoints of a network let through for each table that it is given: the statement, and what follows the ARN.
OF_TABLES = {"Source": "", "Streams": "/stream/*"}


def shared(network):
    """Tables of a network that one of its endpoints does not let through. Several deployments share a network, so it is
    given a list: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html"""
    if network["Parameters"].get("SourceTableArns", {}).get("Type") != "CommaDelimitedList":
        yield "SourceTableArns is no list of tables"
        return
    tables = [f"arn:aws:dynamodb:eu-west-1:123456789012:table/{name}" for name in ("one", "two")]
    for statement in statements(network):
        if statement["Sid"] in OF_TABLES:
            for given in (tables[:1], tables):
                found = listed(resolve.Stack({"SourceTableArns": given}, {}).resolve(statement["Resource"]))
                wanted = [table + OF_TABLES[statement["Sid"]] for table in given]
                if found != wanted:
                    yield f"{statement['Sid']} lets {found} through, of {wanted}"
