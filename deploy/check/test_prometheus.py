"""Queries that find nothing, rules that mislead, and alerts without tests are found."""

import copy
import tempfile
import unittest
from pathlib import Path

import prometheus

PAGE = """
| metric | kind | labels | meaning |
|---|---|---|---|
| `streamdex_lag_seconds` | gauge | `source` | x |
| `streamdex_dead_letters_total` | counter | `source` | x |
| `streamdex_gaps` | gauge | `source`, `kind` | x |
| `streamdex_uptime_seconds` | gauge |  | x |
| `streamdex_took_seconds` | histogram |  | x |
"""
SERVED = (prometheus.metrics(PAGE, Path(__file__).parents[2] / "crates")[0], {("streamdex_gaps", "kind"): {"trimmed", "unread"}})
RULE = {
    "alert": "StreamdexLag",
    "expr": "max by (job, source) (streamdex_lag_seconds) > 300",
    "for": "5m",
    "labels": {"severity": "ticket"},
    "annotations": {
        "summary": "late",
        "description": "Run `streamdex -c streamdex.toml status --url http://HOST:9464`.",
        "runbook": "docs/operations.md#lag-grows",
    },
}
DOCS = {
    "README.md": "| `streamdex status` | x |\n| `streamdex dlq list\\|show` | x |\n| `streamdex gap close` | x |\n",
    "docs/operations.md": """
## Lag grows
| `StreamdexLag` | ticket | x |
streamdex -c streamdex.toml gap close SUBJECT
streamdex status --url http://HOST:9464
```sh
# Not a heading
```
""",
}
DASHBOARD = {"panels": [{"targets": [{"expr": "max(streamdex_lag_seconds)"}]}, {}], "templating": {"list": []}}


def test(name, series, *asserted):
    return {"name": name, "input_series": [{"series": series}], "alert_rule_test": list(asserted)}


LAG = 'streamdex_lag_seconds{job="j", instance="i", source="s"}'
FIRES = test("late", LAG, {"alertname": "StreamdexLag", "exp_alerts": [{"exp_labels": {"job": "j"}}]})
QUIET = test("nearly", LAG, {"alertname": "StreamdexLag"})


def found(*tests, dashboard=DASHBOARD, docs=DOCS, **other):
    """The findings in one rule."""
    rules = {"groups": [{"rules": [RULE | other]}]}
    return list(prometheus.problems(rules, {"tests": list(tests or (FIRES, QUIET))}, dashboard, SERVED, docs))


def asked(query):
    return list(prometheus.asked(query, SERVED))


class Served(unittest.TestCase):
    def test_the_page_and_the_source_are_read(self):
        known, values = prometheus.metrics(PAGE, Path(__file__).parents[2] / "crates")
        self.assertEqual(known["streamdex_gaps"], ("gauge", {"source", "kind"}))
        self.assertEqual(known["streamdex_uptime_seconds"], ("gauge", frozenset()))
        self.assertTrue(all(values.values()), values)
        self.assertIn("credentials_refused", values["streamdex_paused", "reason"])
        self.assertEqual(len(values["streamdex_gaps", "kind"]), 8)


class Queries(unittest.TestCase):
    def test_what_is_right(self):
        for query in [
            "sum by (source) (rate(streamdex_dead_letters_total[5m]))",
            "max by (kind) (streamdex_gaps{kind=~\"trimmed|unread\", source=~\"$source\"})",
            "histogram_quantile(0.5, sum by (le) (rate(streamdex_took_seconds_bucket[5m])))",
            "max by (job) (resets(streamdex_uptime_seconds[5m])) > 2",
            "up == 0 and on (job, instance) streamdex_uptime_seconds",
            "streamdex_dead_letters_total > 0 unless last_over_time(streamdex_dead_letters_total[15m] offset 1h)",
        ]:
            self.assertEqual(asked(query), [], query)

    def test_what_is_not_served(self):
        for query, problem in [
            ("max(streamdex_lag)", "there is no metric streamdex_lag"),
            ("max(streamdex_lag_seconds_bucket)", "there is no metric streamdex_lag_seconds_bucket"),
            ("max(streamdex_took_seconds)", "there is no metric streamdex_took_seconds"),
            ('max(streamdex_lag_seconds{shard="a"})', "streamdex_lag_seconds has no label shard"),
            ('max(streamdex_gaps{kind="lost"})', "streamdex_gaps has no kind lost"),
            ('max(streamdex_gaps{kind!~"trimmed|lost"})', "streamdex_gaps has no kind lost"),
            ("max by (source, shard) (streamdex_lag_seconds)", "no metric of the query has a label shard"),
            ("streamdex_gaps and on (reason) streamdex_gaps", "no metric of the query has a label reason"),
            ("max(up)", "asks for no metric of streamdex: max(up)"),
        ]:
            self.assertEqual(asked(query), [problem], query)

    def test_counters_and_gauges(self):
        counter = "streamdex_dead_letters_total is a counter, and begins again at 0 with each process"
        for query in [
            "sum(streamdex_dead_letters_total)",
            "streamdex_dead_letters_total > 0",
            "max_over_time(streamdex_dead_letters_total[1h])",
            "streamdex_dead_letters_total > 0 unless last_over_time(streamdex_lag_seconds[15m] offset 1h)",
        ]:
            self.assertEqual(asked(query), [counter], query)
        self.assertEqual(len(asked("sum(streamdex_took_seconds_count)")), 1)
        for function in prometheus.OF_COUNTERS:
            query = f"{function}(streamdex_lag_seconds[5m])"
            self.assertEqual(asked(query), [f"{function} of streamdex_lag_seconds, which is a gauge"], query)


class Dashboard(unittest.TestCase):
    def test_panels_and_variables(self):
        variable = {"type": "query", "query": {"query": "label_values(streamdex_dead_letters_total, source)"}}
        dashboard = {"panels": [], "templating": {"list": [variable, {"type": "datasource"}]}}
        self.assertEqual(found(dashboard=dashboard), [])
        variable["query"]["query"] = "label_values(streamdex_lag_seconds, kind)"
        self.assertEqual(found(dashboard=dashboard), ["dashboard: no metric of the query has a label kind"])
        dashboard = {"panels": [{"targets": [{"expr": "max(streamdex_lag)"}]}], "templating": {"list": []}}
        self.assertEqual(found(dashboard=dashboard), ["dashboard: there is no metric streamdex_lag"])


class Tests(unittest.TestCase):
    def test_each_alert_fires_and_nearly_fires(self):
        self.assertEqual(found(), [])
        self.assertEqual(found(FIRES), ["StreamdexLag: no test in which it nearly fires"])
        self.assertEqual(found(QUIET), ["StreamdexLag: no test in which it fires"])
        # Of something else it could not fire, whatever it says.
        other = test("other", 'streamdex_uptime_seconds{job="j", instance="i"}', {"alertname": "StreamdexLag", "exp_alerts": []})
        self.assertEqual(found(FIRES, other), ["StreamdexLag: no test in which it nearly fires"])
        # An expectation of nothing before it fires is no near miss.
        both = copy.deepcopy(FIRES)
        both["alert_rule_test"].append({"alertname": "StreamdexLag"})
        self.assertEqual(found(both), ["StreamdexLag: no test in which it nearly fires"])

    def test_an_alert_that_is_not_there(self):
        unknown = test("x", LAG, {"alertname": "StreamdexLagg"})
        self.assertEqual(found(FIRES, QUIET, unknown), ["test “x”: there is no alert StreamdexLagg"])

    def test_an_alert_about_an_instance(self):
        one = test("late", LAG, {"alertname": "StreamdexLag", "exp_alerts": [{"exp_labels": {"instance": "i"}}]})
        self.assertEqual(found(one, QUIET), ["StreamdexLag: it is about one instance, and a change of the reader ends it"])

    def test_series_are_those_of_a_replica(self):
        for series, problem in [
            ('streamdex_lag{job="j", instance="i"}', "there is no metric streamdex_lag"),
            ('node_load1{job="j", instance="i"}', "there is no metric node_load1"),
            ('streamdex_lag_seconds{job="j", instance="i"}', "streamdex_lag_seconds is shown without source"),
            ('up{instance="i"}', "up is shown without job"),
            ('streamdex_lag_seconds{job="j", instance="i", source="s", shard="1"}', "streamdex_lag_seconds has no label shard"),
            ('streamdex_gaps{job="j", instance="i", source="s", kind="lost"}', "streamdex_gaps has no kind lost"),
        ]:
            self.assertEqual(found(FIRES, QUIET, test("x", series)), [f"test “x”: {problem}"], series)


class Words(unittest.TestCase):
    def test_what_an_alert_says(self):
        def said(**other):
            return [one.removeprefix("StreamdexLag: ") for one in found(annotations=RULE["annotations"] | other)]

        self.assertEqual(said(runbook="docs/operations.md#lag"), ["there is no heading docs/operations.md#lag"])
        self.assertEqual(said(runbook="docs/other.md#lag-grows"), ["there is no heading docs/other.md#lag-grows"])
        self.assertEqual(len(said(runbook="docs/operations.md#not-a-heading")), 1)
        self.assertEqual(said(description="Look."), ["the description names no command"])
        self.assertEqual(said(description="`streamdex stats`"), ["there is no command streamdex stats"])
        self.assertEqual(said(description="`streamdex dlq drop`"), ["there is no command streamdex dlq drop"])
        self.assertEqual(said(description="`streamdex status --urls x`"), ["no page shows streamdex status --urls x"])
        self.assertEqual(said(description="`streamdex -c streamdex.toml gap close`"), [])
        only = {"summary": "x", "description": "`streamdex gap close`"}
        self.assertEqual(found(annotations=only), ["StreamdexLag: summary, description or runbook is missing"])

    def test_severities_and_the_page_agree(self):
        self.assertEqual(
            found(labels={"severity": "warning"}),
            [
                "StreamdexLag: severity is none of page, ticket",
                "docs/operations.md does not have StreamdexLag as a warning",
            ],
        )
        self.assertEqual(found(labels={"severity": "page"}), ["docs/operations.md does not have StreamdexLag as a page"])
        page = DOCS["docs/operations.md"] + "| `StreamdexGone` | page | x |\n"
        more = found(docs=DOCS | {"docs/operations.md": page})
        self.assertEqual(more, ["docs/operations.md has StreamdexGone, which is no alert"])

    def test_names_are_there_once(self):
        rules = {"groups": [{"rules": [RULE]}, {"rules": [RULE]}]}
        twice = list(prometheus.problems(rules, {"tests": [FIRES, QUIET]}, DASHBOARD, SERVED, DOCS))
        self.assertEqual(twice, ["two alerts have one name"])


class Promtool(unittest.TestCase):
    def test_where_it_is_missing(self):
        self.assertEqual(list(prometheus.accepted(".", "no-such-promtool", "1")), [prometheus.PROMTOOL_MISSING])

    @unittest.skipIf(prometheus.shutil.which("promtool") is None, "there is no promtool")
    def test_what_it_refuses(self):
        rules = "groups: [{name: x, rules: [{alert: A, expr: up == %s}]}]"
        tests = """
rule_files: [alerts.yaml]
tests:
  - input_series: [{series: up, values: 0x9}]
    alert_rule_test: [{alertname: A, eval_time: 1m, exp_alerts: [{exp_labels: {}}]}]
"""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "alerts_test.yaml").write_text(tests)
            for value, refusals in [("0", 0), ("1", 1), ("(", 2)]:
                (Path(folder) / "alerts.yaml").write_text(rules % value)
                self.assertEqual(len(list(prometheus.accepted(folder))), refusals, value)
