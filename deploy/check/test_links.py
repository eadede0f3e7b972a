"""Links that lead nowhere are found."""

import unittest

import links

PAGES = {
    "README.md": "# One\n\n[a](docs/a.md#some-heading) [b](https://example.com/x) ![picture](docs/p.png) `[no](link.md)`\n",
    "docs/a.md": "# A\n\n## Some heading\n\n[up](../README.md#one) [here](#a)\n",
    "docs/SUMMARY.md": "[A](a.md)\n",
}
FILES = {*PAGES, "docs", "docs/p.png"}


def found(**changed):
    pages = PAGES | {path.replace("__", "/").replace("_md", ".md"): text for path, text in changed.items()}
    return list(links.problems(pages, FILES | set(pages)))


class Links(unittest.TestCase):
    def test_what_is_right_passes(self):
        self.assertEqual(found(), [])

    def test_each_fault_is_named(self):
        for text, words in [
            ("[a](docs/missing.md)", "docs/missing.md leads nowhere"),
            ("[a](../outside.md)", "../outside.md leads nowhere"),
            ("![a](docs/missing.png)", "docs/missing.png leads nowhere"),
            ("[a](docs/a.md#other)", "no such heading"),
            ("[a](#other)", "no such heading"),
        ]:
            with self.subTest(text):
                self.assertEqual(len(problems := found(README_md=f"# One\n\n{text}\n")), 1, problems)
                self.assertIn(words, problems[0])

    def test_a_page_that_the_contents_lack(self):
        self.assertEqual(found(docs__b_md="# B"), ["docs/b.md is not in docs/SUMMARY.md"])
