"""moto's CloudFormation, made strict.

moto orders and nests stacks, and carries out conditions. But it passes over what it does not know: `Rules`, patterns
and values of parameters, `Fn::Cidr`, outputs of nested stacks, references to what is not made; and it deletes in no
order. So resolve.py carries out references, and fails instead; parameters are held against their template before a
stack is made; resources.py makes the resources; and the last one is deleted first. All that takes the place of functions
inside moto, so another version of it may need changes here.
"""

import contextlib
import json
import os
import posixpath
import re
from unittest import mock

from moto import mock_aws
from moto.cloudformation import models, parsing

import removal
import resolve
import resources
import services

BUCKET = "templates"
STACK = "AWS::CloudFormation::Stack"


class Refused(Exception):
    """A stack cannot be made."""


class Resource:
    """One resource of a stack, with the methods that moto's CloudFormation calls."""

    def __init__(self, kind, properties, made, place):
        self.kind = kind
        self.properties = properties
        self.made = made
        self.template, self.logical = place

    def __str__(self):
        return f"{self.template}: {self.logical}"

    @property
    def is_made(self):
        return not isinstance(self.made, resources.NotMade)

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **about):
        kind, properties = about["ResourceType"], cloudformation_json["Properties"]
        stack = models.cloudformation_backends[account_id][region_name].get_stack(about["StackId"])
        made = resources.make(kind, resource_name, properties)
        return cls(kind, properties, made, (template_of(stack), about["LogicalId"]))

    @property
    def physical_resource_id(self):
        return self.made.identity

    @classmethod
    def has_cfn_attr(cls, _attribute):
        # Values asks for it later.
        return True

    def get_cfn_attribute(self, name):
        return self.made.attributes[name]

    def is_created(self):
        return True


class Values:
    """Parameters, ids and attributes of a stack by their reference. What is not there yet is made."""

    def __init__(self, stack):
        self.stack = stack

    def __getitem__(self, reference):
        name, _, attribute = reference.partition(".")
        try:
            found = self.stack[name]
        except KeyError:
            raise LookupError(f"there is no {name}") from None
        if found is None:
            raise LookupError(f"{name} is not made")
        if not isinstance(found, (Resource, models.Stack)):
            # A parameter is a text, or a list of texts; numbers are texts too.
            return found if isinstance(found, list) else str(found)
        if not attribute:
            return found.physical_resource_id
        try:
            value = found.get_cfn_attribute(attribute)
        except KeyError:
            value = None
        if value in (None, "", []):
            raise LookupError(f"{name} has no {attribute}")
        return value


def carried_out(node, stack):
    """A node of a template with its functions carried out, as moto's own clean_json does it."""
    # For conditions moto gives parameters alone.
    return resolve.Stack(Values(stack), getattr(stack, "lazy_condition_map", {})).resolve(node)


def output(stack, name):
    """The attribute `Outputs.NAME` of a nested stack."""
    found = {one["OutputKey"]: one["OutputValue"] for one in stack.outputs or []}
    return found[name.removeprefix("Outputs.")]


def delete(stack):
    """Deletes the resources of a stack, the last one first."""
    for logical, one in reversed(stack._parsed_resources.items()):
        if stack._resource_json_map.get(logical, {}).get("DeletionPolicy") == "Retain":
            continue
        if isinstance(one, Resource):
            one.made.remove()
        elif isinstance(one, models.Stack):
            services.ask("cloudformation", "delete_stack", {"StackName": one.name})


def refusals(template, given):
    """What CloudFormation refuses before it makes anything of a template."""
    parameters = template.get("Parameters", {})
    unknown = sorted(given.keys() - parameters.keys())
    if unknown:
        yield f"there is no parameter {', '.join(unknown)}"
        return
    for name, parameter in parameters.items():
        value = given.get(name, parameter.get("Default"))
        if value is None:
            yield f"parameter {name} has no value"
        elif isinstance(value, (dict, list)):
            yield f"parameter {name} is a list"
        else:
            yield from (f"parameter {name}: {problem}" for problem in unfit(str(value), parameter))
    yield from resolve.refusals(template, given)


def unfit(value, parameter):
    """What a parameter says against a value."""
    for one in value.split(",") if parameter["Type"] == "CommaDelimitedList" else [value]:
        if not re.fullmatch(parameter.get("AllowedPattern", ".*"), one, re.DOTALL):
            yield f"{one!r} does not match {parameter['AllowedPattern']}"
    if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
        yield f"{value!r} is not one of {parameter['AllowedValues']}"
    if parameter["Type"] == "Number":
        if not parameter.get("MinValue", float("-inf")) <= float(value) <= parameter.get("MaxValue", float("inf")):
            yield f"{value} is too small or too large"


def class_of(kind):
    return models.Stack if kind == STACK else Resource


@contextlib.contextmanager
def account(seen):
    """An empty account. Every stack that is made in it is appended to seen."""
    plain_stack, plain_resource = models.CloudFormationBackend.create_stack, parsing.parse_and_create_resource

    def create_stack(backend, name, template, parameters, **rest):
        whole = json.loads(template)
        with named(whole["Metadata"]["name"]):
            found = list(refusals(whole, parameters))
            if found:
                raise LookupError("; ".join(found))
            stack = plain_stack(backend, name=name, template=template, parameters=parameters, **rest)
        for output_name in whole.get("Outputs", {}):
            with named(f"{template_of(stack)}: output {output_name}"):
                # moto carries an output out when it is asked for.
                stack.output_map[output_name]
        seen.append(stack)
        return stack

    def create_resource(logical, resource_json, stack, **rest):
        with named(f"{stack._template['Metadata']['name']}: {logical}"):
            return plain_resource(logical, resource_json, stack, **rest)

    with (
        # Nobody starts a machine, and the images of machines would take most of the time.
        mock.patch.dict(os.environ, {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}),
        mock_aws(),
        mock.patch.object(parsing, "clean_json", carried_out),
        mock.patch.object(parsing, "parse_and_create_resource", create_resource),
        mock.patch.object(parsing, "resource_class_from_type", class_of),
        mock.patch.object(parsing.ResourceMap, "delete", delete),
        mock.patch.object(models.Stack, "get_cfn_attribute", output, create=True),
        mock.patch.object(models.CloudFormationBackend, "create_stack", create_stack),
    ):
        yield


@contextlib.contextmanager
def named(place):
    """Says where something went wrong. The innermost place is enough."""
    try:
        yield
    except Refused:
        raise
    except RecursionError as error:
        raise Refused(f"{place}: refers to itself, by way of others") from error
    except Exception as error:
        raise Refused(f"{place}: {error}") from error


def template_of(stack):
    return stack.template_dict["Metadata"]["name"]


def members(stacks):
    """Each stack with its resources and nested stacks, by their logical names."""
    for stack in stacks:
        for logical, one in stack.resource_map._parsed_resources.items():
            if isinstance(one, (Resource, models.Stack)):
                yield stack, logical, one


def conditions(stacks):
    """What each condition was: template, name, value. Each template also has one without a name."""
    for stack in stacks:
        yield template_of(stack), None, None
        for name, value in stack.resource_map.lazy_condition_map.items():
            yield template_of(stack), name, value


def upload(templates):
    """Puts templates into a bucket, as packaging does."""
    services.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=services.PLACE)
    for name, template in templates.items():
        services.client("s3").put_object(Bucket=BUCKET, Key=name, Body=json.dumps(packaged(name, template)))


def packaged(name, template):
    """A template as packaging leaves it: nested ones are addresses. It also has its name."""
    whole = json.loads(json.dumps(template))
    whole.setdefault("Metadata", {})["name"] = name
    for resource in whole["Resources"].values():
        if resource["Type"] == STACK:
            nested = posixpath.join(posixpath.dirname(name), resource["Properties"]["TemplateURL"])
            resource["Properties"]["TemplateURL"] = address(posixpath.normpath(nested))
        if resource.get("DeletionPolicy") in removal.KEPT:
            # moto does not know RetainExceptOnCreate. Once a stack is made, it is the same.
            resource["DeletionPolicy"] = "Retain"
    return whole


def address(name):
    return f"https://s3.amazonaws.com/{BUCKET}/{name}"
