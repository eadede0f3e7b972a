"""Deploys the templates in moto, a Python library that plays AWS, and looks at what it made.

No request leaves this machine. In each deployment of deployments.py every stack has to be made, and every reference and
output has to have a value. Services have to list what was made, each resource under its own name, and what resources
name has to exist. The services' answers are held against what is promised (made.py). Then the stacks are deleted, and
what stays must be what docs/removing.md names.

stacks.py says how moto's CloudFormation is used, resources.py what moto makes and what it does not.
"""

import collections
import io
import zipfile

from botocore.exceptions import ClientError

import deployments
import inventory
import made
import removal
import resources
import services
import stacks
from services import ask

# Where packaging puts a function's program.
CODE = {"Bucket": "bucket", "Key": "streamdex-lambda.zip"}


def problems(templates, page, wanted=deployments.ALL):
    """All findings in templates, a mapping of name to content, and in the page about removal."""
    kept, conditions, not_made, is_refused = set(), set(), set(), False
    for title, steps in wanted.items():
        seen = []
        with stacks.account(seen):
            try:
                known = prepare(templates)
                outputs = dict(known)
                for step in steps:
                    with stacks.named(step[0]):
                        deploy(*step, outputs)
            except stacks.Refused as error:
                yield f"{title}: {error}"
                is_refused = True
                continue
            conditions |= set(stacks.conditions(seen))
            members = list(stacks.members(seen))
            not_made |= {one.made.what for _, _, one in members if isinstance(one, stacks.Resource) and not one.is_made}
            yield from (f"{title}: {problem}" for problem in looked_at(members, set(known.values())))
            yield from (f"{title}: {problem}" for problem in removed(members, [step[0] for step in steps], page, kept))
    if not is_refused:
        yield from not_deployed(templates, conditions)
        for template, logical in sorted(set(removal.named(page)) - kept):
            yield f"docs/removing.md says that {logical} of {template} stays, and no deployment leaves it"
        if wanted is deployments.ALL:
            for what in sorted(resources.NOT_MADE.keys() - not_made):
                yield f"resources.py: nothing needs the reason for {what} any more"


def prepare(templates):
    """Makes what is there before a deployment. Values by NAME.OUTPUT."""
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("bootstrap", "")
    services.client("s3").create_bucket(Bucket=CODE["Bucket"], CreateBucketConfiguration=services.PLACE)
    services.client("s3").put_object(**CODE, Body=program.getvalue())
    stacks.upload(templates)
    return deployments.before()


def deploy(stack, template, parameters, outputs):
    """Makes a stack, and adds its outputs to those that there are. A parameter `@NAME.OUTPUT` is one of them."""
    missing = [value for value in parameters.values() if value.startswith("@") and value[1:] not in outputs]
    if missing:
        raise LookupError(f"nothing has {', '.join(missing)}")
    given = {name: outputs[value[1:]] if value.startswith("@") else value for name, value in parameters.items()}
    request = {
        "StackName": stack,
        "TemplateURL": stacks.address(template),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
    }
    ask("cloudformation", "create_stack", request)
    [whole] = ask("cloudformation", "describe_stacks", {"StackName": stack})["Stacks"]
    outputs |= {f"{stack}.{one['OutputKey']}": one["OutputValue"] for one in whole.get("Outputs", [])}


def looked_at(members, known):
    """Findings in what was made. Known are the names of what was there before."""
    every = [one for _, _, one in members if isinstance(one, stacks.Resource)]
    there = inventory.of(every)
    owners = collections.defaultdict(list)
    for one in inventory.listed(every):
        owners[one.kind, one.physical_resource_id].append(str(one))
        if one.physical_resource_id not in there[one.kind]:
            yield f"{one}: moto made a {one.kind}, and does not list it"
    for (kind, identity), places in owners.items():
        if len(places) > 1:
            yield f"{' and '.join(places)} are one {kind}, {identity}"
    yield from inventory.strangers(every, known)
    yield from made.problems(every)


def removed(members, names, page, kept):
    """Deletes the stacks that were deployed, the last one first, and after each one the stacks that it left. Findings in
    what stays; it is added to kept."""
    every = list(dict.fromkeys(stack.name for stack, _, _ in members))
    alive = set(every)
    for name in reversed(names):
        # The names of nested stacks begin with that of theirs.
        for ours in ([name], [one for one in reversed(every) if one.startswith(f"{name}-")]):
            yield from deleted([one for one in ours if one in alive])
            alive = inventory.there(stacks.STACK)
            left = set(staying(members, alive))
            yield from (unnamed(*one) for one in sorted(left - kept - set(removal.named(page))))
            kept |= left
    for name in sorted(alive):
        yield f"stack {name} was deleted and stays"


def deleted(names):
    """Deletes stacks. Findings where that does not go."""
    for name in names:
        try:
            ask("cloudformation", "delete_stack", {"StackName": name})
        except ClientError as error:
            yield f"deleting {name}: {error}"


def unnamed(template, logical):
    return f"{template}: {logical} stays when its stack is deleted, and docs/removing.md does not name it"


def staying(members, alive):
    """(template, logical name) of what is there although its stack is not among those that are alive."""
    there = inventory.of([one for _, _, one in members if isinstance(one, stacks.Resource)])
    for stack, logical, one in members:
        is_resource = isinstance(one, stacks.Resource)
        is_there = one.physical_resource_id in there.get(one.kind, ()) if is_resource else one.name in alive
        if is_there and stack.name not in alive:
            yield stacks.template_of(stack).rpartition("/")[2], logical


def not_deployed(templates, conditions):
    """Templates that no deployment makes, and values of conditions that none has."""
    deployed = {name for name, _, _ in conditions}
    for name, template in templates.items():
        if name not in deployed:
            yield f"{name}: no deployment of deployments.py makes it"
            continue
        for condition in template.get("Conditions", {}):
            for value in (True, False):
                if (name, condition, value) not in conditions:
                    yield f"{name}: {condition} is {str(value).lower()} in no deployment of deployments.py"
