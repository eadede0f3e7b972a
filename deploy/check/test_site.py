"""Links of a site that lead nowhere are found."""

import tempfile
import unittest
from pathlib import Path

import site_links

PAGES = {
    "index.html": '<h1 id="one">1</h1> <a href="docs/a.html#two">a</a> <a href="#one">b</a> <img src="docs/p.png">',
    "docs/a.html": '<a name="two"></a> <a href="../index.html">up</a> <a href="https://example.com/x">elsewhere</a>',
    "docs/p.png": "",
}


def found(**pages):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in (PAGES | pages).items():
            file = Path(folder, path)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return list(site_links.problems(Path(folder).resolve()))


class Site(unittest.TestCase):
    def test_what_is_right_passes(self):
        self.assertEqual(found(), [])

    def test_each_fault_is_named(self):
        for link, words in [
            ("docs/b.html", "leads nowhere"),
            ("docs", "leads nowhere"),
            ("../outside.html", "leads nowhere"),
            ("docs/a.html#three", "there is no such place"),
            ("#three", "there is no such place"),
        ]:
            with self.subTest(link):
                self.assertEqual(found(**{"x.html": f'<a href="{link}">x</a>'}), [f"x.html: {link}{' ' if words[0] == 'l' else ': '}{words}"])


if __name__ == "__main__":
    unittest.main()
