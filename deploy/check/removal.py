"""The page about removal names what the templates leave behind."""

import re

# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
KEPT = ("Retain", "RetainExceptOnCreate")
TITLE = "## What the templates keep"


def problems(templates, page):
    """Resources that stay when a stack is deleted and that the page does not name, and what it names and does not stay.
    Templates are a mapping of name to content."""
    kept = {
        (name.rpartition("/")[2], logical)
        for name, template in templates.items()
        for logical, resource in template.get("Resources", {}).items()
        if resource.get("DeletionPolicy") in KEPT
    }
    shown = set(named(page))
    for name, logical in sorted(kept - shown):
        yield f"{name}: {logical}: stays when its stack is deleted, and docs/removing.md does not name it"
    for name, logical in sorted(shown - kept):
        yield f"docs/removing.md says that {logical} of {name} stays, and it does not"


def named(page):
    """(template, resource) of each row of the table: a resource in its first column, templates in its second."""
    section = page.partition(TITLE)[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = line.split("|")
        if len(cells) > 3:
            resources, templates = (re.findall(r"`([^`]+)`", cell) for cell in cells[1:3])
            yield from ((template, resource) for template in templates for resource in resources)
