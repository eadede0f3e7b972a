"""A missing alarm is found, and one that looks at something else."""

import copy
import unittest

import alarms

NAMES = {sign: name for name, sign in alarms.OPERATORS.items()}


def recommended():
    """A template with every alarm that is wanted."""
    resources = {}
    for number, ((metric, statistic), (sign, threshold, seconds, times)) in enumerate(alarms.DOMAIN.items()):
        about = {"Namespace": "AWS/ES", "MetricName": metric, "Dimensions": alarms.OF_DOMAIN}
        properties = {"ComparisonOperator": NAMES[sign], "Threshold": threshold, "EvaluationPeriods": times}
        if number % 2:
            properties |= {"Statistic": statistic, "Period": seconds, **about}
        else:
            properties["Metrics"] = [{"MetricStat": {"Metric": about, "Stat": statistic, "Period": seconds}}, {"Id": "result"}]
        resources[f"A{number}"] = {"Properties": properties}
        if metric.startswith("Master"):
            resources[f"A{number}"]["Condition"] = "HasManagers"
    return {"Resources": resources}


def polling(**other):
    """A template with an alarm on what the mapping polls."""
    properties = {
        "MetricName": "PolledEventCount",
        "Statistic": "SampleCount",
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 1,
        "TreatMissingData": {"Fn::If": ["Feeds", "breaching", "notBreaching"]},
    }
    return {"Resources": {"A": {"Properties": properties | other}}}


class Polling(unittest.TestCase):
    def test_a_mapping_that_does_not_poll(self):
        self.assertEqual(list(alarms.polling(polling())), [])
        for other in [{"Statistic": "Sum"}, {"TreatMissingData": "notBreaching"}, {"MetricName": "InvokedEventCount"}]:
            self.assertEqual(len(list(alarms.polling(polling(**other)))), 1, other)


def gaps(pattern='{ ($.gap = "*") || ($.gaps > 0) }', periods=3):
    """A template with an alarm on gaps."""
    counting = {"FilterPattern": pattern, "MetricTransformations": [{"MetricName": "Gaps"}]}
    alarm = {"MetricName": "Gaps", "EvaluationPeriods": periods, "DatapointsToAlarm": 1}
    return {"Resources": {"F": {"Properties": counting}, "A": {"Properties": alarm}}}


def sub(text):
    return {"Fn::Sub": text}


class Written(unittest.TestCase):
    def test_metrics_are_those_that_are_written(self):
        body = '{"widgets": [{"properties": {"metrics": [["streamdex", "Applied", "x"], ["AWS/Lambda", "Errors"]]}}]}'
        monitoring = {
            "Resources": {
                "Alarm": {"Properties": {"Namespace": "streamdex", "MetricName": "Pauses"}},
                "Dashboard": {"Properties": {"DashboardBody": sub(body)}},
            }
        }
        self.assertEqual(list(alarms.metrics(monitoring, '"Applied"')), ["the function writes no metric Pauses"])

    def test_log_filters_look_for_what_is_written(self):
        def filtering(pattern):
            transformations = [{"MetricName": "Seen"}]
            properties = {"FilterPattern": pattern, "MetricTransformations": transformations}
            alarm = {"Namespace": sub("streamdex/x"), "MetricName": "Seen"}
            monitoring = {
                "Resources": {
                    "F": {"Type": "AWS::Logs::MetricFilter", "Properties": properties},
                    "A": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
                }
            }
            return list(alarms.log_filters(monitoring, 'info!(lag_ms, gap = name, "paused: {reason}")'))

        for pattern in ["{ $.lag_ms >= 0 }", '{ $.gap = "*" }', '{ $.message = "paused*" }']:
            self.assertEqual(filtering(pattern), [], pattern)
        self.assertEqual(filtering("{ $.lag >= 0 }"), ["F: nothing writes lag"])
        self.assertEqual(
            filtering('{ ($.message = "paused*") || ($.message = "gone*") }'), ["F: nothing writes message gone"]
        )

    def test_alarms_look_at_what_is_counted(self):
        alarm = {"Namespace": sub("streamdex/x"), "MetricName": "Lag"}
        monitoring = {"Resources": {"A": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}}}
        self.assertEqual(list(alarms.log_filters(monitoring, "")), ["A: nothing counts Lag"])


class Gaps(unittest.TestCase):
    def test_an_alarm_stays_on_as_long_as_a_gap_is_open(self):
        self.assertEqual(list(alarms.gaps(gaps())), [])
        found = list(alarms.gaps(gaps('{ $.gap = "*" }')))
        self.assertEqual(found, ["what is counted as Gaps is not what each minute's report says"])
        self.assertEqual(list(alarms.gaps(gaps(periods=1))), ["the alarm on Gaps goes off when one report is late"])
        self.assertEqual(list(alarms.gaps({"Resources": {}})), ["no alarm tells of gaps"])


class Domain(unittest.TestCase):
    def test_what_is_recommended(self):
        self.assertEqual(list(alarms.domain(recommended())), [])

    def test_each_alarm_is_missed(self):
        for logical in recommended()["Resources"]:
            template = recommended()
            del template["Resources"][logical]
            self.assertEqual(len(list(alarms.domain(template))), 1, logical)

    def test_what_is_other_than_recommended(self):
        for key, value in [("Threshold", 7), ("EvaluationPeriods", 9), ("Period", 30), ("Namespace", "AWS/Lambda")]:
            template = recommended()
            template["Resources"]["A1"]["Properties"][key] = value
            self.assertEqual(len(list(alarms.domain(template))), 1, key)
        template = recommended()
        template["Resources"]["A1"]["Properties"]["Dimensions"] = copy.deepcopy(alarms.OF_DOMAIN[:1])
        self.assertEqual(len(list(alarms.domain(template))), 1)
        template = recommended()
        template["Resources"]["A1"]["Condition"] = "HasManagers"
        self.assertEqual(list(alarms.domain(template)), ["A1: the condition is HasManagers"])

    def test_a_domain_has_its_alarms(self):
        templates = {
            "cloudformation/search-domain.yaml": {"Resources": {}},
            "cloudformation/search-alarms.yaml": recommended(),
            "cloudformation/service-monitoring.yaml": gaps(),
            "sam/monitoring.yaml": polling(),
        }
        self.assertEqual(list(alarms.problems(templates)), ["cloudformation/search-domain.yaml: the domain has no alarms"])
        nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "search-alarms.yaml"}}
        templates["cloudformation/search-domain.yaml"]["Resources"]["Alarms"] = nested
        self.assertEqual(list(alarms.problems(templates)), [])
