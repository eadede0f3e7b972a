"""Rules, their tests and the dashboard ask for metrics, labels and values that `run` serves, and promtool takes them."""

import os
import re
import shutil
import subprocess

# What Prometheus and its users put on every series. Rules sum over instances, and keep the others.
OF_TARGETS = {"job", "instance", "cluster", "namespace"}
# Prometheus's own.
OWN = {"up": ("gauge", frozenset())}
PARTS = ("_bucket", "_sum", "_count")
# https://prometheus.io/docs/prometheus/latest/querying/functions/
OF_COUNTERS = ("rate", "irate", "increase")
# Also of what only grows until its process ends.
OF_BOTH = ("resets", "absent", "absent_over_time")
SEVERITIES = ("page", "ticket")
# Where the program says which values a label has.
VALUES = {
    ("streamdex_shards", "phase"): ("poller/src/status/view.rs", "Phase"),
    ("streamdex_get_records_total", "result"): ("poller/src/status/view.rs", "Call"),
    ("streamdex_lease_changes_total", "change"): ("poller/src/status/view.rs", "LeaseChange"),
    ("streamdex_records_total", "outcome"): ("mapping/src/outcome.rs", "Outcome"),
    ("streamdex_gaps", "kind"): ("poller/src/gap.rs", "GapKind"),
    ("streamdex_paused", "reason"): ("sink/src/classify.rs", "PauseReason"),
    ("streamdex_pauses_total", "reason"): ("sink/src/classify.rs", "PauseReason"),
}
METRIC = re.compile(r"\b(?P<name>streamdex_\w+|up)\b(?P<selector>\{[^}]*\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# The first value of a counter that nothing is known of from before.
FIRST_VALUE = r"{0} > 0\s+unless\s+last_over_time\({0}\[\w+\] offset \w+\)"
COMMAND = re.compile(r"`streamdex ([^`]*)`")
PROMTOOL_MISSING = "promtool is missing: on Debian it is in the package prometheus, and .ci/run fetches it"
REQUIRE = "STREAMDEX_REQUIRE_ENGINES"


def problems(rules, tests, dashboard, served, docs):
    """All findings. `rules` and `tests` are the files' contents, `dashboard` that of Grafana, `served` what metrics()
    gives, and `docs` a mapping of a page's path to its text."""
    alerts = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    if len(alerts) != sum(len(group["rules"]) for group in rules["groups"]):
        yield "two alerts have one name"
    for name, rule in alerts.items():
        found = [*asked(rule["expr"], served), *annotations(rule, docs)]
        yield from (f"{name}: {problem}" for problem in found)
    yield from tested(alerts, tests)
    for test in tests["tests"]:
        for series in test["input_series"]:
            yield from (f"test “{test['name']}”: {problem}" for problem in shown(series["series"], served))
    yield from (f"dashboard: {problem}" for query in queries(dashboard) for problem in asked(query, served))
    yield from listed(alerts, docs["docs/operations.md"])


# --- what is served


def metrics(page, crates):
    """Name to kind and labels of the page of metrics, and (name, label) to values of the program's source."""
    rows = re.findall(r"^\| `(streamdex_\w+)` \| (\w+) \| ([^|]*) \|", page, re.MULTILINE)
    known = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    values = {of: words((crates / path).read_text(), kind) for of, (path, kind) in VALUES.items()}
    return known | OWN, values


def words(source, kind):
    """The names that a type's function `name` gives."""
    return set(re.findall(rf'\b{kind}::\w+ => "(\w+)"', source))


def named(name, served):
    """Kind and labels of a metric, or of a part of a histogram; `None` where it is not served."""
    known, _ = served
    for part in PARTS:
        kind, labels = known.get(name.removesuffix(part), (None, frozenset()))
        if name.endswith(part) and kind == "histogram":
            return "counter", labels | ({"le"} if part == "_bucket" else set())
    found = known.get(name)
    return None if found is None or found[0] == "histogram" else found


# --- queries


def asked(query, served):
    """What a query asks for and is not served, or cannot be asked so."""
    labels = OF_TARGETS | {"le"}
    found = list(METRIC.finditer(query))
    if not any(match["name"].startswith("streamdex_") for match in found):
        yield f"asks for no metric of streamdex: {query}"
    for match in found:
        metric = named(match["name"], served)
        if metric is None:
            yield f"there is no metric {match['name']}"
            continue
        kind, own = metric
        labels |= own
        yield from matched(match, own, served)
        yield from used(query, match, kind)
    for label in {label.strip() for group in LABELS.findall(query) for label in group.split(",")} - labels:
        yield f"no metric of the query has a label {label}"


def matched(match, own, served):
    """Labels and values that a selector names and no series has."""
    for label, sign, text in MATCHER.findall(match["selector"] or ""):
        if label not in own | OF_TARGETS:
            yield f"{match['name']} has no label {label}"
        values = served[1].get((match["name"], label))
        if values is not None and "$" not in text:
            given = text.split("|") if sign in ("=~", "!~") else [text]
            yield from (f"{match['name']} has no {label} {value}" for value in given if value not in values)


def used(query, match, kind):
    """A counter without a rate, and a rate of a gauge."""
    function = re.search(r"(\w+)\s*\(\s*$", query[: match.start()])
    function = function[1] if function else None
    if kind == "gauge" and function in OF_COUNTERS:
        yield f"{function} of {match['name']}, which is a gauge"
    if kind == "counter" and function not in OF_COUNTERS + OF_BOTH:
        first = re.finditer(FIRST_VALUE.format(match["name"]), query)
        if not any(one.start() <= match.start() < one.end() for one in first):
            yield f"{match['name']} is a counter, and begins again at 0 with each process"


def queries(dashboard):
    """The queries of Grafana's panels and variables."""
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            # label_values(metric, label) is Grafana's, and asks for the series alone.
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            yield f"count by ({label}) (resets({name}[1m]))"


# --- tests


def shown(series, served):
    """What a series of a test is and no replica shows."""
    match = METRIC.match(series)
    metric = named(match["name"], served) if match else None
    if metric is None:
        yield f"there is no metric {series.partition('{')[0]}"
        return
    yield from matched(match, metric[1], served)
    labels = {label for label, _, _ in MATCHER.findall(match["selector"] or "")}
    for label in sorted((metric[1] | {"job", "instance"}) - labels):
        yield f"{match['name']} is shown without {label}"


def tested(alerts, tests):
    """Alerts without a test that fires, or without one that nearly does: on series of the same metrics."""
    fires, quiet = set(), set()
    for test in tests["tests"]:
        series = {METRIC.match(one["series"])["name"] for one in test["input_series"] if METRIC.match(one["series"])}
        asserted = {}
        for one in test["alert_rule_test"]:
            asserted.setdefault(one["alertname"], []).append(one.get("exp_alerts", []))
        for name, expected in asserted.items():
            if name not in alerts:
                yield f"test “{test['name']}”: there is no alert {name}"
            elif any(expected):
                fires.add(name)
                if any("instance" in alert["exp_labels"] for alerts_then in expected for alert in alerts_then):
                    yield f"{name}: it is about one instance, and a change of the reader ends it"
            elif series & {match["name"] for match in METRIC.finditer(alerts[name]["expr"])}:
                quiet.add(name)
    yield from (f"{name}: no test in which it fires" for name in alerts if name not in fires)
    yield from (f"{name}: no test in which it nearly fires" for name in alerts if name not in quiet)


# --- what people read


def annotations(rule, docs):
    """What an alert does not say, or names and is not there."""
    if rule["labels"].get("severity") not in SEVERITIES:
        yield f"severity is none of {', '.join(SEVERITIES)}"
    said = rule["annotations"]
    if not {"summary", "description", "runbook"} <= said.keys():
        yield "summary, description or runbook is missing"
        return
    page, _, heading = said["runbook"].partition("#")
    if page not in docs or heading not in anchors(docs[page]):
        yield f"there is no heading {said['runbook']}"
    found = [re.sub(r"-c \S+ ", "", one) for one in COMMAND.findall(said["description"])]
    if not found:
        yield "the description names no command"
    for one in found:
        if words_of(one) not in commands(docs["README.md"]):
            yield f"there is no command streamdex {one}"
        elif not documented(one, docs.values()):
            yield f"no page shows streamdex {one}"


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(readme):
    """The commands in the README's table: `dlq list\\|show` is two."""
    found = set()
    for row in re.findall(r"^\| `streamdex ([^`]*)`", readme, re.MULTILINE):
        first, _, rest = words_of(row.replace("\\|", "|")).partition(" ")
        found |= {f"{first} {one}" for one in rest.split("|")} if rest else {first}
    return found


def words_of(command):
    """A command without its options and arguments: its words in small letters."""
    return re.match(r"(?:[a-z][a-z|-]*(?: |$))*", command)[0].strip()


def documented(command, texts):
    plain = re.compile(rf"streamdex (?:-c \S+ )?{re.escape(command)}(?![\w-])")
    return any(plain.search(text) for text in texts)


def listed(alerts, page):
    """The table of the page about operations has every alert with its severity, and no other."""
    rows = dict(re.findall(r"^\| `(Streamdex\w+)` \| (\w+) \|", page, re.MULTILINE))
    for name, rule in alerts.items():
        if rows.pop(name, None) != rule["labels"].get("severity"):
            yield f"docs/operations.md does not have {name} as a {rule['labels'].get('severity')}"
    yield from (f"docs/operations.md has {name}, which is no alert" for name in rows)


# --- promtool


def accepted(folder, promtool="promtool", require=None):
    """What promtool finds in the rules and their tests."""
    program = shutil.which(promtool)
    if program is None:
        if (os.environ.get(REQUIRE) if require is None else require) == "1":
            yield PROMTOOL_MISSING
        else:
            print(f"alerts.yaml: its tests were left out: {PROMTOOL_MISSING}")
        return
    for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"promtool {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
