"""The status page in a real browser, over scripted answers of /status.

    python3 -m venv VENV
    VENV/bin/pip install --require-hashes --only-binary :all: -r crates/testkit/src/engines/requirements/playwright.txt
    VENV/bin/python -m unittest discover -s tests/page          # CHROMIUM=/usr/bin/chromium

How a value on the page is found, and what is left out of it: expected.py. What is compared at a running streamdex: look.py.
"""

import copy
import itertools
import os
import re
import unittest

import expected
import look
import samples
from playwright.sync_api import sync_playwright
from server import PAGE, Server

LARGEST = 50_000
ALL = {
    "load": samples.load,
    "writer paused": samples.paused_writer,
    "one index paused": lambda: samples.paused_writer("index orders"),
    "one index of several tables paused": lambda: samples.paused_writer("index orders", samples.source("customers")),
    "source paused": samples.paused_source,
    "shard paused": samples.paused_shard,
    "gapped": samples.gapped,
    "standby": samples.standby,
    "nobody reads": lambda: samples.standby(reader=None),
    "filling": samples.filling,
    "filling stands still": lambda: samples.filling(by="command", owner=None),
    "after a gap": lambda: samples.filling(after_gap=True),
    "dead letters": samples.letters,
    "several": samples.several,
    "starting": samples.starting,
    "without parent and history": lambda: samples.without_additions(samples.load()),
}


def stopped():
    """The supervisor stands still."""
    return samples.report(samples.source(), live=False, ready=False, reasons=["source orders: the supervisor has stood still for 70 s"])


def far_behind():
    """Behind for so long that the stream begins to forget."""
    return samples.report(samples.source(lag_seconds=85_000.0))


# Each with its state and what is to be read on top.
SAYS = [
    (samples.load, "ok", "Everything is up to date. The index is 0.2 s behind orders.", ""),
    (samples.paused_writer, "paused", "Writing to orders is paused: OpenSearch is overloaded (429: es_rejected_execution_exception), for 3 min.", "To do: the cluster is too small"),
    (lambda: samples.paused_writer("index orders"), "paused", "Writing to index orders is paused: OpenSearch is overloaded", "To do: the cluster is too small"),
    (samples.paused_source, "paused", "Reading orders is paused: the shards cannot be listed: AccessDeniedException.", ""),
    (samples.paused_shard, "paused", "1 of 3 shards of orders is paused: the state table does not answer.", "To do: check the network."),
    (samples.gapped, "gap", "Changes to orders are missing: shardId-00000001764000000004-78dde6c4: records were trimmed before they were read. There is 1 more gap.", "streamdex gap close"),
    (samples.standby, "standby", "This process stands by; ip-10-0-3-17-7f9c2a reads orders. Only the reader knows the lag and the shards", ""),
    (lambda: samples.standby(None), "nobody", "Nobody reads orders.", "streamdex status"),
    (samples.filling, "filling", "The index is being filled: 412,000 of about 1,000,000 items of orders are written.", ""),
    (lambda: samples.filling(by="command", owner=None), "partial", "nobody continues", "streamdex backfill"),
    (samples.letters, "letters", "orders is up to date, but 3 records could never be indexed.", "streamdex dlq list"),
    (samples.several, "gap", "Changes to sessions are missing", "streamdex gap close"),
    (samples.starting, "unready", "This process is not ready: source orders: no look at the lease was answered yet.", ""),
    (stopped, "stopped", "This process has stopped working: source orders: the supervisor has stood still for 70 s.", "start it again"),
    (far_behind, "behind", "The index is 24 h behind orders. The oldest waiting change can be read for another 23 min.", "Lag grows"),
]


def setUpModule():
    global PLAYWRIGHT, BROWSER
    PLAYWRIGHT = sync_playwright().start()
    BROWSER = PLAYWRIGHT.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=look.ARGS)


def tearDownModule():
    BROWSER.close()
    PLAYWRIGHT.stop()


class Case(unittest.TestCase):
    def open(self, answer, **options):
        """The page over this answer, once it is shown."""
        server = Server(answer)
        tab = look.Tab(BROWSER, server.url, **options)
        self.addCleanup(server.close)
        self.addCleanup(tab.close)
        tab.until("document.getElementById('state').dataset.state !== undefined")
        return server, tab

    def text(self, tab, selector):
        return tab.page.locator(selector).first.text_content()

    def state(self, tab):
        return tab.page.evaluate("document.getElementById('state').dataset.state")

    def rows(self, tab):
        return tab.page.evaluate("[...document.querySelectorAll('.shards tbody th .id')].map(node => node.textContent)")


class Values(Case):
    def test_every_value_is_shown_as_status_says_it(self):
        for name, make in ALL.items():
            with self.subTest(name):
                answer = make()
                _, tab = self.open(answer)
                tab.run("openAll")
                self.assertEqual(list(look.compare(tab.run("values"), answer)), [])
                self.assertEqual(tab.problems, [])

    def test_the_sentence_on_top_says_what_it_is_and_what_to_do(self):
        for make, state, say, todo in SAYS:
            with self.subTest(say):
                _, tab = self.open(make())
                seen = tab.run("values")
                self.assertEqual(seen["state"], state)
                self.assertIn(say, seen["say"])
                self.assertIn(todo, seen["todo"])
                self.assertRegex(seen["title"], r"^\S [a-z ]+ · streamdex$")

    def test_a_sentence_is_not_said_twice(self):
        for make in (samples.gapped, samples.several, samples.load):
            _, tab = self.open(make())
            shown = tab.page.evaluate("[...document.querySelectorAll('.verdict')].filter(node => node.checkVisibility()).map(node => node.textContent)")
            say = self.text(tab, "#state .say")
            self.assertEqual([one for one in shown if one in say], [])

    def test_each_table_has_its_sentence(self):
        _, tab = self.open(samples.several())
        found = tab.page.evaluate("[...document.querySelectorAll('#sources > section')].map(one => [one.querySelector('.badge').textContent, one.querySelector('.verdict').textContent])")
        self.assertEqual([badge for badge, _ in found], ["✕ changes missing", "▲ behind", "✓ up to date"])
        self.assertIn("2 h behind invoices", found[1][1])
        self.assertIn("1 other table needs attention too.", self.text(tab, "#state .say"))

    def test_one_pause_of_an_index_is_not_put_on_every_table(self):
        _, tab = self.open(samples.paused_writer("index orders", samples.source("customers")))
        self.assertEqual(self.state(tab), "paused")
        badges = tab.page.evaluate("[...document.querySelectorAll('#sources .badge')].map(node => node.textContent)")
        self.assertNotIn("‖ paused", badges)

    def test_a_sum_that_is_wrong_is_said(self):
        answer = samples.load()
        answer["sources"][0]["records"] += 1
        _, tab = self.open(answer)
        self.assertIn("✕ The outcomes add up to", self.text(tab, ".sum"))

    def test_a_standby_shows_neither_lag_nor_shards(self):
        _, tab = self.open(samples.standby())
        text = tab.run("values")["text"]
        self.assertEqual(self.text(tab, "h2"), "orders")
        for unknown in ("Lag now", "Records decided", "Undecided", "Retries", "All records"):
            self.assertNotIn(unknown, text)

    def test_the_progress_bar(self):
        _, tab = self.open(samples.filling())
        self.assertEqual(tab.page.evaluate("[document.querySelector('progress').value, document.querySelector('progress').max]"), [412_000, 1_000_000])

    def test_a_chart_without_history_says_so(self):
        _, tab = self.open(samples.without_additions(samples.load()))
        self.assertEqual(self.text(tab, "[data-derived=highest]"), "Nothing is recorded yet.")


class Order(Case):
    def test_what_hurts_comes_first(self):
        answer = samples.many(300)
        for one in answer["sources"][0]["shards"]:
            one.pop("parent", None)
        _, tab = self.open(answer)
        wanted = expected.order(answer["sources"][0]["shards"])
        self.assertEqual(self.rows(tab), wanted[:50])
        self.assertEqual(self.text(tab, ".shards caption"), "300 shards, the 50 that need attention most")
        tab.page.get_by_role("button", name="Show all 300").click()
        self.assertEqual(self.rows(tab), wanted)
        tab.next_refresh()
        self.assertEqual(len(self.rows(tab)), 300)
        tab.page.get_by_role("button", name="Show only the first 50").click()
        self.assertEqual(self.rows(tab), wanted[:50])

    def test_a_child_that_waits_is_below_its_parent(self):
        answer = samples.gapped()
        shards = answer["sources"][0]["shards"]
        shards.append(samples.shard(24, "waiting", None, parent=shards[2]["shard"]))
        _, tab = self.open(answer)
        rows = self.rows(tab)
        first = rows.index(shards[4]["shard"])
        self.assertEqual(rows[first + 1 : first + 3], [shards[2]["shard"], shards[-1]["shard"]])
        depths = tab.page.evaluate("[...document.querySelectorAll('.shards tbody tr')].map(row => row.style.getPropertyValue('--depth'))")
        self.assertEqual([depth or "0" for depth in depths[first : first + 3]], ["0", "1", "2"])

    def test_a_parent_that_is_not_shown_is_named_in_short(self):
        _, tab = self.open(samples.load())
        rows = self.rows(tab)
        self.assertEqual(len(rows), 8)
        self.assertIn("child of …0099-2f740f73", tab.run("values")["text"])

    def test_the_worst_table_comes_first_and_focus_stays(self):
        calm = samples.report(*(samples.source(name, [samples.shard(n) for n in range(60)]) for name in ("alpha", "beta", "gamma")))
        shown = [calm]
        _, tab = self.open(lambda: shown[0])
        names = "[...document.querySelectorAll('#sources h2')].map(node => node.textContent)"
        self.assertEqual(tab.page.evaluate(names), ["alpha", "beta", "gamma"])
        tab.page.get_by_role("button", name="Show all 60").last.focus()
        for field, worst in (("paused", "beta"), ("gaps", "gamma")):
            shown[0] = copy.deepcopy(shown[0])
            hurt = next(one for one in shown[0]["sources"] if one["name"] == worst)
            hurt[field] = samples.gapped()["sources"][0]["gaps"] if field == "gaps" else "the shards cannot be listed"
            tab.next_refresh()
            tab.next_refresh()
            self.assertEqual(tab.page.evaluate(names)[0], worst)
            table = tab.page.evaluate("document.activeElement.closest('section')?.querySelector('h2').textContent")
            self.assertEqual(table, "gamma", "the focus is lost")

class Failures(Case):
    def fail_with(self, answer, why, within=4):
        good = samples.load()
        now = [good]
        server, tab = self.open(lambda: now[0], records=False)
        self.assertEqual(self.state(tab), "ok")
        now[0] = answer
        tab.until("document.getElementById('state').dataset.state === 'old'", within)
        self.assertRegex(self.text(tab, "#state .say"), r"^All values below are from \d\d:\d\d:\d\d, .* ago, and may be wrong now: .*Trying again\.$")
        self.assertIn(why, self.text(tab, "#state .say"))
        self.assertTrue(tab.page.title().startswith("? not current"))
        self.assertEqual(self.text(tab, "#sources .badge"), "? was: up to date")
        self.assertEqual(tab.page.evaluate("getComputedStyle(document.querySelector('.now')).fontStyle"), "italic")
        self.assertEqual(tab.run("contrast")["bad"], [])
        now[0] = samples.letters()
        tab.until("document.getElementById('state').dataset.state === 'letters'")
        self.assertEqual(self.text(tab, "#sources .badge"), "▲ dead letters")
        self.assertEqual(tab.page.evaluate("document.body.className"), "")

    def test_500(self):
        self.fail_with(500, "the answer was HTTP 500")

    def test_html(self):
        self.fail_with("<html><body>Please sign in</body></html>", "the answer is not JSON")

    def test_other_json(self):
        self.fail_with({"hello": 1}, "the answer is not a status of streamdex")
        self.fail_with([], "the answer is not a status of streamdex")

    def test_a_hang(self):
        self.fail_with(Server.HANG, "no answer within 5 s", within=8)

    def test_a_process_that_is_gone(self):
        server, tab = self.open(samples.load(), records=False)
        server.close()
        tab.until("document.getElementById('state').dataset.state === 'old'")
        self.assertIn("the process cannot be reached", self.text(tab, "#state .say"))
        first = self.text(tab, "#state .say")
        tab.page.wait_for_timeout(2_500)
        self.assertNotEqual(self.text(tab, "#state .say"), first)

    def test_an_answer_that_the_page_cannot_show(self):
        _, tab = self.open(samples.load())
        tab.page.evaluate("window.showWriter = () => { throw new Error('broken on purpose'); }; undefined")
        tab.until("document.getElementById('state').dataset.state === 'old'", 4)
        self.assertIn("this page cannot show the answer (broken on purpose)", self.text(tab, "#state .say"))
        self.assertEqual(tab.page.evaluate("document.body.className"), "old")

    def test_no_answer_ever(self):
        _, tab = self.open(500, records=False)
        self.assertEqual(self.text(tab, "#state .say"), "There is no current status: the answer was HTTP 500. Trying again.")
        self.assertEqual(tab.page.locator("[data-field]").count(), 0)


class Asking(Case):
    def test_one_request_at_a_time_about_every_two_seconds(self):
        server, tab = self.open(samples.load())
        tab.page.wait_for_timeout(5_000)
        gaps = [other - one for one, other in itertools.pairwise(server.statuses())]
        self.assertGreaterEqual(len(gaps), 2)
        self.assertTrue(all(1.9 < gap < 3 for gap in gaps), gaps)

    def test_nothing_is_asked_while_one_answer_is_awaited(self):
        now = [samples.load()]
        server, tab = self.open(lambda: now[0], records=False)
        now[0] = Server.HANG
        asked = len(server.statuses())
        tab.page.wait_for_timeout(5_500)
        self.assertEqual(len(server.statuses()), asked + 1)

    def test_a_hidden_tab_asks_for_nothing_and_is_not_taken_for_current(self):
        server, tab = self.open(samples.load(), records=False)
        tab.page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.isHidden === true })")
        turn = "hidden => { window.isHidden = hidden; document.dispatchEvent(new Event('visibilitychange')); }"
        tab.page.evaluate(turn, True)
        asked = len(server.statuses())
        tab.page.wait_for_timeout(8_500)
        self.assertEqual(len(server.statuses()), asked)
        server.answer = Server.HANG
        tab.page.evaluate(turn, False)
        self.assertEqual(self.state(tab), "old")
        tab.page.wait_for_timeout(300)
        self.assertEqual(len(server.statuses()), asked + 1)
        self.assertEqual(self.text(tab, "#spoken"), "")

    def test_the_live_region_speaks_once_for_each_change(self):
        now = [samples.load()]
        _, tab = self.open(lambda: now[0])
        tab.page.evaluate("window.spoken = []; new MutationObserver(() => spoken.push(document.getElementById('spoken').textContent)).observe(document.getElementById('spoken'), { childList: true, subtree: true, characterData: true }); undefined")
        later = samples.paused_writer()
        later["writer"]["pauses"][0]["seconds"] += 600
        for answer in (samples.load(), samples.paused_writer(), later, samples.load()):
            now[0] = answer
            tab.next_refresh()
            tab.next_refresh()
        spoken = tab.page.evaluate("spoken")
        self.assertEqual([text.split(":")[0] for text in spoken], ["paused", "up to date"])


class Robust(Case):
    def test_hostile_text_is_text(self):
        answer = samples.hostile()
        for width in (320, 1280):
            _, tab = self.open(answer, width=width)
            seen = tab.run("values")
            self.assertEqual(tab.page.locator("img, #state script").count(), 0)
            self.assertIn(samples.EVIL, seen["text"])
            self.assertIn("1000 trillion".replace("1000", "1,000"), seen["text"])
            have = {}
            for path, value in expected.leaves(answer):
                have.setdefault(path, []).append(value)
            self.assertEqual([problem for one in seen["values"] for problem in look.of_value(one, have)], [])
            self.assertEqual(len(self.rows(tab)), 9)
            self.assertEqual(tab.run("width"), {"wide": 0, "out": []})
            self.assertEqual(tab.problems, [])

    def test_null_and_missing_everywhere(self):
        _, tab = self.open(samples.nothing())
        tab.next_refresh()
        text = tab.run("values")["text"]
        for wrong in ("undefined", "null", "NaN", "[object", "Infinity"):
            self.assertNotIn(wrong, text)
        self.assertNotEqual(self.state(tab), "ok")
        self.assertEqual(tab.problems, [])

    def test_fields_of_the_wrong_kind(self):
        for wrong in ("text", 7, -1.5, [], {}, None, True, [1, None, "x"], {"toString": 1}):
            with self.subTest(repr(wrong)):
                bad = dict.fromkeys(samples.source(), wrong)
                bad_shards = samples.source("other", [dict.fromkeys(samples.shard(1, parent=1, paused=1, last_error=1), wrong)])
                _, tab = self.open(samples.report(bad, bad_shards, samples.source(), writer=wrong, reasons=wrong))
                self.assertEqual(tab.page.locator("#sources > section").count(), 3)
                self.assertEqual(tab.problems, [])

    def milliseconds(self, shards):
        """The least that the script of one refresh takes with all of these shards shown."""
        turns = itertools.count()
        _, tab = self.open(lambda: samples.many(shards, next(turns)))
        tab.run("openAll")
        self.assertEqual(len(self.rows(tab)), shards)
        taken = []
        for _ in range(4):
            tab.next_refresh()
            taken.append(float(tab.page.evaluate("document.body.dataset.milliseconds")))
        return min(taken)

    def test_two_thousand_shards(self):
        few, many = self.milliseconds(500), self.milliseconds(2_000)
        print(f"\nscript of one refresh: {few} ms with 500 shards, {many} ms with 2,000")
        # Four times as many take about four times as long; a search in a list for each would take sixteen times.
        self.assertLess(many, 10 * max(few, 1))


class Form(Case):
    def test_it_fits_and_can_be_read(self):
        for name in ("load", "writer paused", "gapped", "filling", "several"):
            for theme in ("light", "dark"):
                with self.subTest(f"{name}, {theme}"):
                    _, tab = self.open(ALL[name](), theme=theme)
                    tab.run("openAll")
                    self.assertEqual(tab.run("contrast")["bad"], [])
                    self.assertEqual(tab.run("access"), [])
                    look.fits(tab)
                    self.assertEqual(tab.problems, [])

    def test_the_file_is_small_and_whole(self):
        text = PAGE.read_text()
        self.assertLess(len(text.encode()), LARGEST)
        outside = set(re.findall(r"https?://[^\s\"']+", text)) - {"http://www.w3.org/2000/svg"}
        self.assertEqual(outside, set())
        self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(")

    def test_nothing_moves(self):
        self.assertNotRegex(PAGE.read_text(), r"animation|transition")


if __name__ == "__main__":
    unittest.main()
