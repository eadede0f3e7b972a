"""Alarms that must be there, with what they look at, and that something is there to look at."""

import re

from rules import as_json

# What AWS recommends for a domain: metric and statistic; comparison, threshold, seconds, and how often in a row.
# https://docs.aws.amazon.com/opensearch-service/latest/developerguide/cloudwatch-alarms.html
# Left out is shards.active, whose limit of 25 for each GiB of heap no template can work out.
DOMAIN = {
    ("ClusterStatus.red", "Maximum"): (">=", 1, 60, 1),
    ("ClusterStatus.yellow", "Maximum"): (">=", 1, 60, 5),
    # Per cent of the volume, where AWS recommends a quarter of it in MiB.
    ("FreeStorageSpace", "Minimum"): ("<=", 25, 60, 1),
    ("ClusterIndexWritesBlocked", "Maximum"): (">=", 1, 300, 1),
    # Less the number of nodes that there should be.
    ("Nodes", "Minimum"): ("<", 0, 86_400, 1),
    ("AutomatedSnapshotFailure", "Maximum"): (">=", 1, 60, 1),
    ("CPUUtilization", "Maximum"): (">=", 80, 900, 3),
    ("JVMMemoryPressure", "Maximum"): (">=", 95, 60, 3),
    ("OldGenJVMMemoryPressure", "Maximum"): (">=", 80, 60, 3),
    ("MasterCPUUtilization", "Maximum"): (">=", 50, 900, 3),
    ("MasterJVMMemoryPressure", "Maximum"): (">=", 95, 60, 3),
    ("MasterOldGenJVMMemoryPressure", "Maximum"): (">=", 80, 60, 3),
    ("MasterReachableFromNode", "Maximum"): ("<", 1, 300, 1),
    ("KMSKeyError", "Maximum"): (">=", 1, 60, 1),
    ("KMSKeyInaccessible", "Maximum"): (">=", 1, 60, 1),
    # Per cent of the requests. AWS names no period.
    ("5xx", "Sum"): (">=", 10, 300, 1),
    ("OpenSearchRequests", "Sum"): (">=", 10, 300, 1),
    ("ThreadpoolWriteQueue", "Average"): (">=", 100, 60, 1),
    ("ThreadpoolSearchQueue", "Average"): (">=", 500, 60, 1),
    ("ThreadpoolSearchQueue", "Maximum"): (">=", 5000, 60, 1),
    # How much they grew.
    ("ThreadpoolWriteRejected", "Sum"): (">=", 1, 60, 1),
    ("ThreadpoolSearchRejected", "Sum"): (">=", 1, 60, 1),
}
OPERATORS = {
    "GreaterThanOrEqualToThreshold": ">=",
    "LessThanOrEqualToThreshold": "<=",
    "LessThanThreshold": "<",
}
# A domain's metrics are found under its name and the account.
OF_DOMAIN = [{"Name": "DomainName", "Value": {"Ref": "DomainName"}}, {"Name": "ClientId", "Value": {"Ref": "AWS::AccountId"}}]


def problems(templates):
    """All findings in templates, a mapping of name to content."""
    nested = [
        resource["Properties"]["TemplateURL"]
        for resource in templates["cloudformation/search-domain.yaml"]["Resources"].values()
        if resource["Type"] == "AWS::CloudFormation::Stack"
    ]
    if "search-alarms.yaml" not in nested:
        yield "cloudformation/search-domain.yaml: the domain has no alarms"
    for name, rule in [
        ("cloudformation/search-alarms.yaml", domain),
        ("cloudformation/service-monitoring.yaml", gaps),
        ("sam/monitoring.yaml", polling),
    ]:
        yield from (f"{name}: {problem}" for problem in rule(templates[name]))


def domain(template):
    """Alarms of a domain that are missing, or are other than recommended."""
    missing = dict(DOMAIN)
    for logical, resource in template["Resources"].items():
        properties = resource["Properties"]
        operator = OPERATORS.get(properties["ComparisonOperator"])
        for metric, statistic, seconds in watched(properties):
            wanted = missing.pop((metric["MetricName"], statistic), None)
            found = (operator, properties["Threshold"], seconds, properties["EvaluationPeriods"])
            if found != wanted:
                yield f"{logical}: {found} is not what is recommended: {wanted}"
            if metric["Namespace"] != "AWS/ES" or metric["Dimensions"] != OF_DOMAIN:
                yield f"{logical}: {metric['MetricName']} is not that of the domain"
            # Without managers these metrics do not exist, and with a condition the others would miss.
            if ("HasManagers" if metric["MetricName"].startswith("Master") else None) != resource.get("Condition"):
                yield f"{logical}: the condition is {resource.get('Condition')}"
    for metric, statistic in missing:
        yield f"no alarm looks at the {statistic} of {metric}"


def polling(template):
    """An idle stream and a mapping that is off differ in one metric: a mapping that polls reports it, as 0 where there was
    nothing to read, and a disabled one does not: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    for resource in template["Resources"].values():
        properties = resource["Properties"]
        if properties.get("MetricName") == "PolledEventCount":
            counts = (properties["Statistic"], properties["ComparisonOperator"], properties["Threshold"])
            if counts != ("SampleCount", "LessThanThreshold", 1):
                yield f"the alarm on PolledEventCount looks at {counts}, which nothing to read can be too"
            if properties["TreatMissingData"] != {"Fn::If": ["Feeds", "breaching", "notBreaching"]}:
                yield "the alarm on PolledEventCount does not fire where the metric is missing"
            return
    yield "no alarm tells that the mapping does not poll"


def gaps(template):
    """An alarm that goes off while a gap is open: it counts the line of the moment when one is found, and not that of each
    minute, or looks at one period alone, in which the next report can be missing. It is on while one period of several
    has a report: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html"""
    resources = [resource["Properties"] for resource in template["Resources"].values()]
    for properties in resources:
        counted = [one["MetricName"] for one in properties.get("MetricTransformations", [])]
        if "Gaps" in counted and "$.gaps > 0" not in properties["FilterPattern"]:
            yield "what is counted as Gaps is not what each minute's report says"
    for properties in resources:
        if properties.get("MetricName") == "Gaps":
            if properties["EvaluationPeriods"] < 2 or properties["DatapointsToAlarm"] != 1:
                yield "the alarm on Gaps goes off when one report is late"
            return
    yield "no alarm tells of gaps"


def metrics(monitoring, source):
    """Alarms and dashboard show metrics that the function writes."""
    alarms = [resource["Properties"] for resource in monitoring["Resources"].values()]
    shown = {alarm["MetricName"] for alarm in alarms if alarm.get("Namespace") == "streamdex"}
    dashboard = as_json(monitoring["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    for widget in dashboard["widgets"]:
        lines = widget["properties"].get("metrics", [])
        shown |= {line[1] for line in lines if line[0] == "streamdex"}
    for name in sorted(name for name in shown if f'"{name}"' not in source):
        yield f"the function writes no metric {name}"


def log_filters(monitoring, source):
    """What filters look for in log lines is written by the program; alarms look at what filters count."""
    counted = set()
    for name, resource in monitoring["Resources"].items():
        if resource["Type"] != "AWS::Logs::MetricFilter":
            continue
        properties = resource["Properties"]
        counted |= {transformation["MetricName"] for transformation in properties["MetricTransformations"]}
        for field, text in re.findall(r'\$\.(\w+) *[=><]+ *(?:"([^"*]*)\*?")?', properties["FilterPattern"]):
            # A field of an event stands before `=` or, under its own name, before a comma.
            written = f'"{text}' in source if field == "message" else re.search(rf"\b{field}(,| = )", source)
            if not written:
                yield f"{name}: nothing writes {field} {text}".rstrip()
    for name, resource in monitoring["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            properties = resource["Properties"]
            if isinstance(properties["Namespace"], dict) and properties["MetricName"] not in counted:
                yield f"{name}: nothing counts {properties['MetricName']}"


def watched(properties):
    """The metrics of an alarm, each with statistic and period."""
    if "Metrics" not in properties:
        yield properties, properties["Statistic"], properties["Period"]
    for one in properties.get("Metrics", []):
        if "MetricStat" in one:
            yield one["MetricStat"]["Metric"], one["MetricStat"]["Stat"], one["MetricStat"]["Period"]
