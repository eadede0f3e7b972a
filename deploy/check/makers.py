"""What the makers of resources have in common.

A maker is a function (properties, name). It takes out what needs a request of another kind; the rest goes into one request,
which fails if the service does not know a property.
"""

import jmespath

from services import arn, ask

MAKERS = {}


class Made:
    """A resource's id (what `Ref` is), its attributes, and the requests that take it away."""

    def __init__(self, identity, attributes=None, undo=()):
        self.identity = identity
        self.attributes = attributes or {}
        self.undo = undo

    def remove(self):
        for request in self.undo:
            ask(*request)


def makes(kind):
    """Makes a function (properties, name) the maker of a type."""

    def register(maker):
        MAKERS[kind] = maker
        return maker

    return register


def renamed(properties, **names):
    return {names.get(key, key): value for key, value in properties.items()}


def plain(kind, operation, path, delete, argument, service="ec2"):
    """The maker of what is made and deleted with one request each. The path leads to the id in the answer."""

    @makes(kind)
    def maker(p, _name):
        tags = p.pop("Tags", [])
        identity = jmespath.search(path, ask(service, operation, p))
        if tags:
            ask("ec2", "create_tags", {"Resources": [identity], "Tags": tags})
        attributes = {"Arn": arn("ec2", f"{kind.rpartition('::')[2].lower()}/{identity}")} if service == "ec2" else {}
        return Made(identity, attributes, [(service, delete, {argument: identity})])

    return maker
