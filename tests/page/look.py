"""Looks at the status page of a running streamdex as a browser shows it.

    look.py URL --chromium /usr/bin/chromium --shots DIR [--expect "text"]…

Over at least three refreshes, every value that the page shows is compared with the very answer of /status that it was made
from, and every value of that answer has to be shown, apart from what expected.py lists with reasons. Then come layout,
contrast and what a screen reader needs, and screenshots in both themes, on a desktop and on a phone. Problems are printed
one a line, with exit status 1; where there are none, a summary as JSON.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import expected
from playwright.sync_api import Error, sync_playwright

ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WATCH = (Path(__file__).parent / "watch.js").read_text()
FORMS = {"desktop": 1280, "phone": 390}
WIDTHS = (320, 390, 1280)
REFRESHES = 3


class Tab:
    """One page, the answers that it was given, and what it should not have done."""

    def __init__(self, browser, url, theme="light", width=1280, records=True):
        self.answers, self.problems, self.url = [], [], url
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("request", self._asked)
        if records:
            self.page.route(re.compile(r"/status$"), self._pass_on)
        self.page.goto(url)

    def _said(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _asked(self, request):
        path = urlsplit(request.url)
        root = urlsplit(self.url)
        allowed = {root.path, root.path + "status"}
        if path.netloc != root.netloc or path.path not in allowed:
            self.problems.append(f"request of {request.url}")

    def _pass_on(self, route):
        """The answer as the server gives it, kept for the comparison."""
        try:
            answer = route.fetch()
            self.answers.append(answer.text())
            route.fulfill(response=answer)
        except Error:
            pass  # The page is being closed.

    def run(self, name):
        return self.page.evaluate(f"({WATCH}).{name}()")

    def until(self, expression, seconds=20):
        """Waits for something; the page's policy lets nobody evaluate text in it, so it is asked from outside."""
        for _ in range(seconds * 20):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise TimeoutError(f"not within {seconds} s: {expression}")

    def next_refresh(self):
        """Waits for one more answer to be shown; gives what the page shows, and the answer."""
        before = self.page.evaluate("Number(document.body.dataset.shown ?? 0)")
        self.until(f"Number(document.body.dataset.shown ?? 0) > {before}")
        seen = self.run("values")
        return seen, json.loads(self.answers[seen["shown"] - 1])

    def close(self):
        self.page.unroute_all(behavior="ignoreErrors")
        self.context.close()


# --- Comparing ---


def compare(seen, report):
    """Problems of one refresh."""
    have = {}
    for path, value in expected.leaves(report):
        have.setdefault(path, []).append(value)
    yield from (problem for one in seen["values"] for problem in of_value(one, have))
    yield from (problem for chart in seen["charts"] for problem in of_chart(chart, have, report))
    yield from missing(seen, have, report)
    yield from of_state(seen, report)


def of_value(one, have):
    """The exact value and its text."""
    values = have.get(one["field"], [])
    if one["raw"] == "":
        # Nothing is there; then nothing is to be seen of it either.
        if one["isSeen"] and one["text"] not in ("–", "nobody", expected.shown("cause", None)):
            yield f"{one['field']}: shows {one['text']!r} of nothing"
        return
    raw = json.loads(one["raw"])
    if raw not in values and raw not in ({}, []):
        yield f"{one['field']}: has {raw!r}, /status has {values!r}"
    elif one["text"] != expected.shown(one["form"], raw):
        yield f"{one['field']}: shows {one['text']!r} of {raw!r}, not {expected.shown(one['form'], raw)!r}"


def of_chart(chart, have, report):
    """The recorded values, the highest one, and the points of the line."""
    raw, (values,) = json.loads(chart["raw"]), have.get(chart["field"], [None])
    if raw != values:
        yield f"{chart['field']}: other values than /status has"
        return
    at, series = re.fullmatch(r"sources\.(\d+)\.history\.(\w+)", chart["field"]).groups()
    now, form = report["sources"][int(at)][series], "rate" if series == "rate" else "span"
    known = [value for value in values if value is not None]
    highest = max([*known, *([] if now is None else [now])])
    text = f"highest {expected.shown(form, highest)}"
    if chart["highest"] != text or text not in chart["label"]:
        yield f"{chart['field']}: says {chart['highest']!r}, not {text!r}"
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.-]+)", chart["line"])]
    wanted = [58 - value / max(highest, 1) * 58 for value in known]
    if len(heights) != len(wanted) or any(abs(one - other) > 0.06 for one, other in zip(heights, wanted)):
        yield f"{chart['field']}: the line is another one"


def missing(seen, have, report):
    """What of the answer is not to be seen."""
    visible = {one["field"] for one in [*seen["values"], *seen["charts"]] if one["isSeen"]}
    for path, values in have.items():
        for value in values:
            empty = isinstance(value, list) and not any(one is not None for one in value)
            if path not in visible and not empty and not expected.left_out(path, value, report):
                yield f"{path}: {value!r} is not shown"


def of_state(seen, report):
    state = expected.state(report)
    if seen["state"] != state:
        yield f"the state is {seen['state']}, not {state}"
    for source, adds in zip(report["sources"], seen["sums"]):
        if len(report["sources"]) == 1 and (adds == "true") != (sum(source["outcomes"].values()) == source["records"]):
            yield "whether the outcomes add up is wrong"
    for pause in report["writer"]["pauses"]:
        if state == "paused" and len(report["sources"]) == 1 and pause == report["writer"]["pauses"][0]:
            if pause["hint"].replace("`", "") not in seen["todo"]:
                yield "the sentence on top does not say what to do"


# --- Looking ---


def watch(tab, refreshes):
    """Compares some refreshes."""
    tab.next_refresh()
    tab.run("openAll")
    texts = []
    for _ in range(refreshes):
        seen, report = tab.next_refresh()
        tab.problems += compare(seen, report)
        texts.append(seen)
    tab.problems += tab.run("access")
    return texts


def fits(tab):
    """No sideways scroll."""
    for width in WIDTHS:
        tab.page.set_viewport_size({"width": width, "height": 900})
        found = tab.run("width")
        if found["wide"] > 0:
            tab.problems.append(f"at {width} px the page is {found['wide']} px too wide: {', '.join(found['out'])}")


def portray(browser, url, shots):
    """Screenshots, with the contrast of each theme."""
    problems, least = [], {}
    for theme in ("light", "dark"):
        for form, width in FORMS.items():
            tab = Tab(browser, url, theme, width)
            tab.next_refresh()
            tab.page.screenshot(path=shots / f"{theme}-{form}.png", full_page=True)
            found = tab.run("contrast")
            problems += [f"{theme}: contrast {ratio} of {what}" for what, ratio in found["bad"]] + tab.problems
            least[theme] = min(found["least"], least.get(theme, 99))
            tab.close()
    return problems, least


def look(browser, url, shots, expect=(), refreshes=REFRESHES):
    """All problems, and a summary."""
    tab = Tab(browser, url)
    seen = watch(tab, refreshes)
    missed = [f"does not say {text!r}" for text in expect if not any(text in f"{one['title']}\n{one['text']}" for one in seen)]
    fits(tab)
    tab.close()
    problems, least = portray(browser, url, shots)
    summary = {"refreshes": len(seen), "values": len(seen[-1]["values"]), "state": seen[-1]["state"], "title": seen[-1]["title"]}
    return list(dict.fromkeys(tab.problems + missed + problems)), summary | {"least_contrast": least}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("url")
    arguments.add_argument("--chromium", default="/usr/bin/chromium")
    arguments.add_argument("--shots", type=Path, required=True)
    arguments.add_argument("--expect", action="append", default=[], metavar="TEXT")
    arguments.add_argument("--refreshes", type=int, default=REFRESHES)
    options = arguments.parse_args()
    options.shots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=ARGS)
        problems, summary = look(browser, options.url, options.shots, options.expect, options.refreshes)
        browser.close()
    print("\n".join(problems) if problems else json.dumps(summary, ensure_ascii=False))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
