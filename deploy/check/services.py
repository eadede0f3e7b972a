"""Requests to the services that moto plays."""

import functools
import json

import boto3

REGION = "eu-west-1"
ACCOUNT = "123456789012"
# Where buckets are.
PLACE = {"LocationConstraint": REGION}


def arn(service, rest):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


@functools.cache
def client(service):
    return boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")


def ask(service, operation, given):
    """The answer to a request with these properties."""
    one = client(service)
    shape = one.meta.service_model.operation_model(one.meta.method_to_api_mapping[operation]).input_shape
    return getattr(one, operation)(**fit(given, shape, operation))


def fit(value, shape, path):
    """A value with the names and types of a request's shape; names differ in upper and lower case."""
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {name.lower(): name for name in shape.members}
        unknown = [key for key in value if key.lower() not in members]
        if unknown:
            raise LookupError(f"{path} takes no {', '.join(unknown)}")
        names = {key: members[key.lower()] for key in value}
        return {names[key]: fit(one, shape.members[names[key]], f"{path}.{key}") for key, one in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [fit(one, shape.member, path) for one in value]
    if shape.type_name == "map" and isinstance(value, dict):
        known = getattr(shape.key, "enum", []) or list(value)
        unknown = [key for key in value if key not in known]
        if unknown:
            raise LookupError(f"{path} takes no {', '.join(unknown)}")
        return {key: fit(one, shape.value, f"{path}.{key}") for key, one in value.items()}
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "string":
        # A policy is a text.
        return json.dumps(value) if isinstance(value, dict) else str(value)
    return value
