"""The rules about the redrive find what they are for."""

import copy
import unittest

import redrive


def attribute(name, of="Arn"):
    return {"Fn::GetAtt": [name, of]}


def template():
    """A redrive as it should be, as small as it can be."""
    scheduled = {"Fn::Not": [{"Fn::Equals": [{"Ref": "Schedule"}, "off"]}]}
    group = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}, "aws:SourceArn": attribute("Group")}
    trust = {"Principal": {"Service": "scheduler.amazonaws.com"}, "Condition": {"StringEquals": group}}
    start = [
        {
            "Action": "ecs:RunTask",
            "Resource": {"Fn::Sub": "arn:x:task-definition/${AWS::StackName}:*"},
            "Condition": {"ArnEquals": {"ecs:cluster": attribute("Cluster")}},
        },
        {
            "Action": "iam:PassRole",
            "Resource": [attribute("TaskRole"), attribute("StartRole")],
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
        {"Action": "sqs:SendMessage", "Resource": attribute("Queue")},
    ]
    subnets, groups = [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}], [{"Ref": "SecurityGroupId"}]
    network = {"AssignPublicIp": "DISABLED", "Subnets": subnets, "SecurityGroups": groups}
    target = {
        "Arn": attribute("Cluster"),
        "RoleArn": attribute("Role"),
        "EcsParameters": {"TaskDefinitionArn": {"Ref": "Task"}, "NetworkConfiguration": {"AwsvpcConfiguration": network}},
        "RetryPolicy": {"MaximumEventAgeInSeconds": 900, "MaximumRetryAttempts": 5},
        "DeadLetterConfig": {"Arn": attribute("Queue")},
    }
    pattern = {
        "source": ["aws.ecs"],
        "detail": {
            "clusterArn": [attribute("Cluster")],
            "lastStatus": ["STOPPED"],
            "$or": [{"containers": {"exitCode": [{"anything-but": 0}]}}, {"stopCode": ["TaskFailedToStart"]}],
        },
    }
    may_send = {
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": attribute("Queue"),
        "Condition": {"ArnEquals": {"aws:SourceArn": attribute("Rule")}},
    }
    alarm = {
        "Namespace": "AWS/SQS",
        "MetricName": "NumberOfMessagesSent",
        "Statistic": "Sum",
        "Dimensions": [{"Name": "QueueName", "Value": attribute("Queue", "QueueName")}],
    }
    run = "aws ecs run-task --cluster ${Cluster} --task-definition ${AWS::StackName} --launch-type FARGATE --network-configuration "
    run += "'awsvpcConfiguration={subnets=[${SubnetA},${SubnetB}],securityGroups=[${SecurityGroupId}],assignPublicIp=DISABLED}'"
    role = {"AssumeRolePolicyDocument": {"Statement": [trust]}, "Policies": [{"PolicyDocument": {"Statement": start}}]}
    resources = {
        "Cluster": ("AWS::ECS::Cluster", {}),
        "Task": ("AWS::ECS::TaskDefinition", {"ExecutionRoleArn": attribute("StartRole"), "TaskRoleArn": attribute("TaskRole")}),
        "Group": ("AWS::Scheduler::ScheduleGroup", {}),
        "Role": ("AWS::IAM::Role", role),
        "Runs": ("AWS::Scheduler::Schedule", {"GroupName": {"Ref": "Group"}, "Target": target}),
        "Queue": ("AWS::SQS::Queue", {}),
        "Policy": ("AWS::SQS::QueuePolicy", {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Statement": [may_send]}}),
        "Rule": ("AWS::Events::Rule", {"EventPattern": pattern, "Targets": [{"Arn": attribute("Queue")}]}),
        "Alarm": ("AWS::CloudWatch::Alarm", alarm),
    }
    taken = r"off|rate\([1-9]\d* (minutes?|hours?|days?)\)|cron\(.+\)"
    schedule = {"Type": "String", "Default": "rate(1 hour)", "AllowedPattern": taken}
    return {
        "Parameters": {"Schedule": schedule},
        "Conditions": {"On": scheduled},
        "Resources": {
            name: {"Type": kind, "Properties": properties, **({"Condition": "On"} if name in ("Group", "Role", "Runs") else {})}
            for name, (kind, properties) in resources.items()
        },
        "Outputs": {"RunNow": {"Value": {"Fn::Sub": run}}},
    }


def found(*path, value=None):
    """Findings where the value at a path is another, or is gone."""
    changed = copy.deepcopy(template())
    *way, last = path
    node = changed
    for part in way:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return list(redrive.problems(changed))


RUNS = ("Resources", "Runs", "Properties")
TARGET = (*RUNS, "Target")
ROLE = ("Resources", "Role", "Properties")
START = (*ROLE, "Policies", 0, "PolicyDocument", "Statement")
TRUST = (*ROLE, "AssumeRolePolicyDocument", "Statement", 0)
PATTERN = ("Resources", "Rule", "Properties", "EventPattern", "detail")


class Redrive(unittest.TestCase):
    def test_what_is_good(self):
        self.assertEqual(list(redrive.problems(template())), [])

    def test_schedules_that_the_service_takes(self):
        parameter = ("Parameters", "Schedule", "AllowedPattern")
        self.assertEqual(len(found(*parameter, value=".*")), len(redrive.REFUSED))
        self.assertEqual(found(*parameter, value="rate.+|cron.+")[0], "Schedule cannot be off")

    def test_off_makes_nothing_of_it(self):
        found_always = found("Resources", "Group", "Condition")
        self.assertEqual(found_always[0], "Group: is made with Schedule=off")
        self.assertEqual(len(found("Conditions", "On", value={"Fn::Equals": ["", ""]})), 3)
        self.assertEqual(len(found("Conditions", "On", value={"Fn::Equals": ["", "x"]})), 3)

    def test_the_role_is_for_the_schedule(self):
        for path, value in [
            ((*TRUST, "Principal"), {"Service": "events.amazonaws.com"}),
            ((*TRUST, "Condition"), None),
            ((*TRUST, "Condition", "StringEquals", "aws:SourceArn"), {"Fn::Sub": "arn:x:schedule/*"}),
            ((*RUNS, "GroupName"), {"Ref": "Other"}),
        ]:
            self.assertEqual(len(found(*path, value=value)), 1, path)

    def test_the_role_starts_this_task_and_nothing_else(self):
        for path, value in [
            ((*START, 0, "Resource"), {"Fn::Sub": "arn:x:task-definition/*"}),
            ((*START, 0, "Condition"), None),
            ((*START, 0, "Action"), "ecs:*"),
            ((*START, 1, "Condition"), None),
            ((*START, 1, "Resource"), [attribute("TaskRole")]),
            ((*TARGET, "EcsParameters", "TaskDefinitionArn"), {"Ref": "Other"}),
        ]:
            self.assertEqual(len(found(*path, value=value)), 1, path)

    def test_late_runs_do_not_gather(self):
        retry = (*TARGET, "RetryPolicy")
        self.assertEqual(len(found(*retry)), 2)
        self.assertEqual(len(found(*retry, "MaximumEventAgeInSeconds", value=86_400)), 1)
        self.assertEqual(len(found(*retry, "MaximumRetryAttempts", value=185)), 1)
        self.assertEqual(found(*TARGET, "DeadLetterConfig"), ["Runs: nobody hears of a run that was not started"])
        self.assertEqual(len(found(*START, 2, "Resource", value=attribute("Other"))), 1)

    def test_each_end_of_a_run(self):
        self.assertEqual(len(found(*PATTERN, "$or")), 1)
        self.assertEqual(len(found(*PATTERN, "$or", 1)), 1)
        self.assertEqual(len(found(*PATTERN, "$or", 0)), 3)
        self.assertEqual(len(found(*PATTERN, "clusterArn")), 1)
        self.assertEqual(len(found(*PATTERN, "lastStatus")), 1)
        queue = ("Resources", "Queue")
        rule = ("Resources", "Rule", "Properties", "Targets")
        self.assertEqual(found(*rule, value=[]), ["Rule: leads nowhere"])
        self.assertEqual(len(found("Resources", "Alarm", "Properties", "MetricName", value="NumberOfMessagesReceived")), 1)
        send = ("Resources", "Policy", "Properties", "PolicyDocument", "Statement", 0)
        self.assertEqual(len(found(*send, "Principal", value="*")), 1)
        self.assertEqual(len(found(*send, "Condition")), 1)
        self.assertEqual(found(*queue, "Properties", value={"QueueName": "x"}), [])

    def test_a_run_on_demand_is_the_same(self):
        self.assertEqual(len(found("Outputs", "RunNow")), 5)
        network = (*TARGET, "EcsParameters", "NetworkConfiguration", "AwsvpcConfiguration")
        self.assertEqual(len(found(*network, "AssignPublicIp", value="ENABLED")), 1)
        self.assertEqual(len(found(*network, "Subnets", value=[{"Ref": "SubnetA"}])), 1)


class Patterns(unittest.TestCase):
    def test_what_a_pattern_takes(self):
        event = {"a": "x", "b": {"c": [{"d": 0}, {"d": 3}]}}
        for pattern, expected in [
            ({"a": ["x", "y"]}, True),
            ({"a": ["y"]}, False),
            ({"a": ["x"], "e": ["x"]}, False),
            ({"b": {"c": {"d": [3]}}}, True),
            ({"b": {"c": {"d": [{"anything-but": 0}]}}}, True),
            ({"b": {"c": {"d": [{"anything-but": [0, 3]}]}}}, False),
            ({"b": {"c": {"e": [{"anything-but": 0}]}}}, False),
            ({"$or": [{"a": ["y"]}, {"a": ["x"]}]}, True),
            ({"$or": [{"a": ["y"]}, {"a": ["z"]}]}, False),
        ]:
            self.assertEqual(redrive.matches(pattern, event), expected, pattern)


class Function(unittest.TestCase):
    def test_others_that_write_are_set_up(self):
        def found(joined="${FunctionRole.Arn},${AdditionalWriterArns}", told=None):
            more = {"Fn::If": ["More", {"Fn::Sub": joined}, attribute("FunctionRole")]}
            variables = {"Environment": {"Variables": {"STREAMDEX_WRITER_ARNS": more}}}
            return list(
                redrive.writers(
                    {
                        "Parameters": {"AdditionalWriterArns": {"Default": ""}},
                        "Conditions": {"More": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AdditionalWriterArns"}, ""]}]}},
                        "Resources": {
                            "SetUpFunction": {"Properties": variables},
                            "SetUp": {"Properties": {"Others": told or {"Ref": "AdditionalWriterArns"}}},
                        },
                    }
                )
            )

        self.assertEqual(found(), [])
        self.assertEqual(len(found(joined="${AdditionalWriterArns}")), 1)
        self.assertEqual(found(told="x"), ["another AdditionalWriterArns sets up nothing"])

    def test_the_page_takes_what_stacks_give(self):
        templates = {name: {"Outputs": {"KeyArn": {}}} for name in redrive.STACKS.values()}
        command = "aws cloudformation deploy --template-file deploy/cloudformation/redrive.yaml \\\n"
        command += "  KeyArn=$(output sessions-index KeyArn)\n"
        self.assertEqual(list(redrive.page(command, templates, 1)), [])
        other = command.replace(" KeyArn)", " Key)")
        self.assertEqual(list(redrive.page(other, templates, 1)), ["sessions-index has no output Key"])
        self.assertEqual(len(list(redrive.page("", templates, 1))), 1)
        self.assertEqual(len(list(redrive.page(command, templates, 51_201))), 1)
