"""Files of parameters for `sam deploy --config-file` fit the template.

Their form: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-config.html
"""

import re
import tomllib

import resolve

# What a second region must say, whatever else it does.
SECOND_REGION = {"Feeding": "disabled", "StateTable": "create"}


def problems(text, template, wanted):
    """What CloudFormation would refuse, or what differs from `wanted`, in each environment of a file."""
    for environment, commands in tomllib.loads(text).items():
        if isinstance(commands, dict) and "deploy" in commands:
            options = commands["deploy"]["parameters"]
            yield from (f"{environment}: {problem}" for problem in deployment(options, template, wanted))


def deployment(options, template, wanted):
    """Findings in the options of one `sam deploy`."""
    given = dict(one.split("=", 1) for one in options["parameter_overrides"])
    parameters = template["Parameters"]
    for name, value in given.items():
        if name not in parameters:
            yield f"the template has no parameter {name}"
        elif not is_taken(value, parameters[name]):
            yield f"{name} cannot be {value}"
        # A resource of another region is none that this one can follow, or encrypt with.
        arn = value.split(":")
        if arn[0] == "arn" and arn[3] not in ("", options["region"]):
            yield f"{name} is in {arn[3]}, and the stack in {options['region']}"
    for name, parameter in parameters.items():
        if "Default" not in parameter and name not in given:
            yield f"{name} has no default and is not given"
    known = {name: value for name, value in given.items() if name in parameters}
    yield from resolve.refusals(template, known)
    for name, value in wanted.items():
        if given.get(name) != value:
            yield f"{name} is {given.get(name)}, and should be {value}"


def is_taken(value, parameter):
    """Whether CloudFormation takes the value:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html"""
    if value not in map(str, parameter.get("AllowedValues", [value])):
        return False
    if parameter["Type"] == "Number":
        if not re.fullmatch(r"-?\d+", value):
            return False
        return parameter.get("MinValue", int(value)) <= int(value) <= parameter.get("MaxValue", int(value))
    if len(value) > parameter.get("MaxLength", len(value)):
        return False
    return re.fullmatch(parameter.get("AllowedPattern", ".*"), value) is not None
