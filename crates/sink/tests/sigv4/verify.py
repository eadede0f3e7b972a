"""Computes the signature of a recorded request again, with botocore, and says "ok" or what differs.

Reads one JSON object from stdin: method, url, headers (as they arrived), body, service, region, access_key,
secret_key, token.
"""

import hashlib
import json
import re
import sys
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def main():
    case = json.load(sys.stdin)
    headers = {name.lower(): value for name, value in case["headers"].items()}
    pattern = r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
    found = re.fullmatch(pattern, headers.get("authorization", ""))
    if not found:
        return "no signature"
    credential, signed, signature = found.groups()
    signed = signed.split(";")
    for name in ("host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"):
        if name not in signed:
            return f"{name} is not signed"
    body = case["body"].encode()
    if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return "x-amz-content-sha256 is not that of the body"
    scope = f"{headers['x-amz-date'][:8]}/{case['region']}/{case['service']}/aws4_request"
    if credential != f"{case['access_key']}/{scope}":
        return f"another scope: {credential}"

    url = urlsplit(case["url"])
    request = AWSRequest(
        method=case["method"],
        url=urlunsplit((url.scheme, url.netloc, url.path, "", "")),
        params=dict(parse_qsl(url.query, keep_blank_values=True)),
        headers={name: headers[name] for name in signed},
        data=body,
    )
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = Credentials(case["access_key"], case["secret_key"], case["token"])
    auth = SigV4Auth(credentials, case["service"], case["region"])
    canonical = auth.canonical_request(request)
    computed = auth.signature(auth.string_to_sign(request, canonical), request)
    return "ok" if computed == signature else f"another signature for:\n{canonical}"


print(main())
