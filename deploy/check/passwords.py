"""The password of an internal user of a domain, which is in a secret: who may read it, by which way, and what the pages say.

What the roles may do is held to what the program prints by check.py, for function-password-policy.json and the like.
"""

import re
import tomllib

import parameters
import resolve

# Templates whose program may have a password, and their network.
TAKE = ("sam/template.yaml", "cloudformation/service.yaml", "cloudformation/redrive.yaml", "cloudformation/network.yaml")
SERVICE = ".secretsmanager"
ITSELF = {"Ref": "PasswordSecretArn"}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:streamdex/opensearch-AbCdEf"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
# What each parameter takes, and what it refuses.
TAKEN = {"PasswordSecretArn": ["", SECRET], "PasswordSecretKeyArn": ["", KEY]}
REFUSED = {
    # A name without the six characters that Secrets Manager adds is another secret to IAM:
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    "PasswordSecretArn": ["streamdex/opensearch", SECRET.removesuffix("-AbCdEf"), SECRET[:-1] + "*", SECRET + "," + SECRET],
    # An alias is no key to IAM: https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
    "PasswordSecretKeyArn": ["alias/secrets", KEY.replace("key/", "alias/"), KEY[:-1] + "*"],
}


def problems(templates):
    """All findings in templates, a mapping of name to content."""
    for name in TAKE:
        if "PasswordSecretArn" not in templates[name]["Parameters"]:
            yield f"{name}: takes no password"
            continue
        rules = [endpoint] if name.endswith("network.yaml") else [taken, needed]
        yield from (f"{name}: {problem}" for rule in rules for problem in rule(templates[name]))


def endpoint(network):
    """A network without a way to the secret where there is one, or with a way to others. With "private DNS hostnames" the
    name that the SDK asks for leads there: https://docs.aws.amazon.com/secretsmanager/latest/userguide/vpc-endpoint-overview.html
    """
    found = {
        logical: one["Properties"]
        for logical, one in network["Resources"].items()
        if str(one.get("Properties", {}).get("ServiceName")).rstrip("'}").endswith(SERVICE)
    }
    if not found:
        yield "there is no endpoint of Secrets Manager"
    for logical, properties in found.items():
        group = properties["SecurityGroupIds"][0]["Ref"]
        for secret in ("", SECRET):
            met = resolve.deployment(network, {"PasswordSecretArn": secret}, {}).conditions
            for one in (logical, group):
                if met[network["Resources"][one]["Condition"]] != bool(secret):
                    yield f"{one} is {'not ' if secret else ''}made with PasswordSecretArn={secret}"
        if properties.get("PrivateDnsEnabled") is not True:
            yield f"{logical}: the SDK does not know its name"
        rights = [(one["Action"], one["Resource"]) for one in properties["PolicyDocument"]["Statement"]]
        if rights != [("secretsmanager:GetSecretValue", ITSELF)]:
            yield f"{logical}: lets {rights} through"


def taken(template):
    """Values of the parameters that are refused, or are taken and name no secret, or more than one."""
    for name, values in TAKEN.items():
        parameter = template["Parameters"][name]
        yield from (f"{name} cannot be {value}" for value in values if not parameters.is_taken(value, parameter))
        yield from (f"{name} can be {value}" for value in REFUSED[name] if parameters.is_taken(value, parameter))


def needed(template):
    """A search that has no internal users and is given a password: a collection, whose requests are signed
    (https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-clients.html), and the example domain,
    whose InternalUserDatabaseEnabled is false
    (https://docs.aws.amazon.com/opensearch-service/latest/developerguide/fgac.html). A role with a password has no right to
    send signed requests."""
    if "Search" in template["Parameters"]:
        choices = {choice: {"Search": choice} for choice in template["Parameters"]["Search"]["AllowedValues"]}
        good = "existing-domain"
    else:
        choices = {"a domain": {"CollectionArn": ""}, "a collection": {"CollectionArn": "arn:aws:aoss:eu-west-1:1:collection/c"}}
        good = "a domain"
    for choice, given in choices.items():
        answers = list(resolve.refusals(template, given | {"PasswordSecretArn": SECRET}))
        if any(answer.startswith("PasswordSecretArn") for answer in answers) == (choice == good):
            yield f"Rules {'refuse' if choice == good else 'take'} a password for {choice}"
    if not any(answer.startswith("PasswordSecretKeyArn") for answer in resolve.refusals(template, {"PasswordSecretKeyArn": KEY})):
        yield "Rules take the key of no secret"


def documented(page):
    """A page that does not show the lines of streamdex.toml, or puts a password into a command: "Use techniques to pass
    parameters not captured by the shell command history", says
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/security_cli-exposure-risks.html"""
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    shown = [tomllib.loads(block).get("opensearch", {}).get("auth", {}) for block in blocks]
    if not any(is_password(auth) for auth in shown):
        yield "the page does not show opensearch.auth with password_secret"
    commands = re.findall(r"aws secretsmanager (?:create-secret|put-secret-value) (?:[^\n]*\\\n)*[^\n]*", page)
    if not any(command.startswith("aws secretsmanager create-secret ") for command in commands):
        yield "the page does not show how the secret is made"
    for command in commands:
        if "--secret-string file:///dev/stdin" not in command:
            yield f"a secret is in a shell's history: {command}"


def is_password(auth):
    """Whether these are the keys of a password in a secret, whose ARN the templates take."""
    named = re.fullmatch(r"arn:aws:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[a-zA-Z0-9]{6}", auth.get("password_secret", ""))
    return auth.keys() == {"kind", "username", "password_secret"} and auth["kind"] == "basic" and named
