"""What stays when a stack is deleted is named, and nothing else."""

import unittest

import removal

PAGE = f"""{removal.TITLE}

| resource | of | holds |
|---|---|---|
| `Key` | `one.yaml`, `two.yaml` | a key |

## Another part

| `Table` | `one.yaml` | not here |
"""


def found(**resources):
    key = {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain"}
    templates = {"a/one.yaml": {"Resources": {"Key": key, **resources}}, "b/two.yaml": {"Resources": {"Key": key}}}
    return list(removal.problems(templates, PAGE))


class Removal(unittest.TestCase):
    def test_what_stays_is_named(self):
        self.assertEqual(found(), [])
        self.assertEqual(found(Table={"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Delete"}), [])
        for policy in removal.KEPT:
            one = found(Table={"Type": "AWS::DynamoDB::Table", "DeletionPolicy": policy})
            self.assertEqual(one, ["one.yaml: Table: stays when its stack is deleted, and docs/removing.md does not name it"])

    def test_what_is_named_stays(self):
        one = found(Key={"Type": "AWS::KMS::Key"})
        self.assertEqual(one, ["docs/removing.md says that Key of one.yaml stays, and it does not"])
