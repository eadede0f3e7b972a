"""Lambda's loop, and a handler as it is usually written: boto3's TypeDeserializer and one bulk request."""

import http.client
import json
import os
from decimal import Decimal

from boto3.dynamodb.types import Binary, TypeDeserializer
from opensearchpy import OpenSearch

PATH = "/2018-06-01/runtime/invocation/"
deserialize = TypeDeserializer().deserialize
client = OpenSearch(os.environ["ENDPOINT"])
index = os.environ["INDEX"]


def plain(value):
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Binary):
        return value.value.decode("latin-1")
    if isinstance(value, set):
        return list(value)
    raise TypeError(type(value).__name__)


def handle(event):
    lines = []
    for record in event["Records"]:
        change = record["dynamodb"]
        key = "|".join(str(deserialize(value)) for _, value in sorted(change["Keys"].items()))
        if record["eventName"] == "REMOVE":
            lines.append(json.dumps({"delete": {"_index": index, "_id": key}}))
            continue
        document = {name: deserialize(value) for name, value in change["NewImage"].items()}
        lines.append(json.dumps({"index": {"_index": index, "_id": key}}))
        lines.append(json.dumps(document, default=plain))
    answer = client.bulk(body="\n".join(lines) + "\n")
    if answer["errors"]:
        raise RuntimeError("the bulk request had errors")


runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", PATH + "next")
    answer = runtime.getresponse()
    body = answer.read()
    request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    try:
        handle(json.loads(body))
        runtime.request("POST", f"{PATH}{request_id}/response", "null")
    except Exception as error:  # The loop goes on, as in Lambda's own runtime.
        report = {"errorType": type(error).__name__, "errorMessage": str(error)}
        runtime.request("POST", f"{PATH}{request_id}/error", json.dumps(report))
    runtime.getresponse().read()
