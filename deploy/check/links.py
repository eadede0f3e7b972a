"""Links between pages lead somewhere, to the heading that they name; every page of docs/ is in the book's contents."""

import re
from pathlib import PurePosixPath

from prometheus import anchors

LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# Pages of the book, which are found by its contents.
CONTENTS = "docs/SUMMARY.md"


def problems(pages, files):
    """All findings. `pages` is a mapping of a page's path to its text, `files` all paths of the repository, folders included."""
    headings = {path: set(anchors(text)) for path, text in pages.items()}
    for path, text in sorted(pages.items()):
        for match in LINK.finditer(CODE.sub(lambda code: " " * len(code[0]), text)):
            link = match[1] or match[2]
            if re.match(r"[a-z]+:", link):
                continue
            target, _, heading = link.partition("#")
            place = resolved(path, target) if target else path
            if place not in files:
                yield f"{path}: {link} leads nowhere"
            elif heading and place in headings and heading not in headings[place]:
                yield f"{path}: {link}: there is no such heading"
    listed = {resolved(CONTENTS, link) for link in re.findall(r"\]\(([^)]+)\)", pages.get(CONTENTS, ""))}
    for path in sorted(pages):
        if path.startswith("docs/") and path != CONTENTS and path not in listed:
            yield f"{path} is not in {CONTENTS}"


def resolved(page, target):
    """The path that a link of a page names, from the root of the repository."""
    parts = []
    for part in (PurePosixPath(page).parent / target).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
