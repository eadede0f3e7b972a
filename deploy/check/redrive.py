"""The template that takes what Lambda gave up: who starts it and when, who may, and who hears that a run failed."""

import re

import limits
import parameters
import resolve
from rules import listed

CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/sessions-redrive"
ACCOUNT = {"Ref": "AWS::AccountId"}
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
TAKEN = ["off", "rate(1 hour)", "rate(15 minutes)", "rate(1 day)", "cron(0 3 * * ? *)"]
REFUSED = ["", "hourly", "rate(0 hours)", "rate(1 week)", "1 hour", "at(2030-01-01T00:00:00)"]
# Longer, or more often, and late runs start beside those that are due.
RETRY_SECONDS, RETRIES = 3_600, 10
# Ends of a run, as `detail` of "ECS Task State Change", and whether somebody should hear of them.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
# Between RUNNING and STOPPED are more states: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
EXITED = {"clusterArn": CLUSTER, "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited"}
ENDS = [
    (EXITED | {"containers": [{"name": "streamdex", "exitCode": 0}]}, False),
    (EXITED | {"containers": [{"name": "streamdex", "exitCode": 1}]}, True),
    (EXITED | {"containers": [{"name": "streamdex", "exitCode": 3}]}, True),
    (EXITED | {"containers": [{"name": "streamdex", "exitCode": 137}]}, True),
    (EXITED | {"stopCode": "TaskFailedToStart", "containers": [{"name": "streamdex"}]}, True),
    (EXITED | {"lastStatus": "RUNNING", "containers": [{"name": "streamdex"}]}, False),
    (EXITED | {"lastStatus": "DEPROVISIONING", "containers": [{"name": "streamdex", "exitCode": 3}]}, False),
    (EXITED | {"clusterArn": CLUSTER + "-2", "containers": [{"name": "streamdex", "exitCode": 3}]}, False),
]
# The stacks of the page, and their templates.
STACKS = {"sessions-index": "sam/template.yaml", "sessions-redrive": "cloudformation/redrive.yaml"}


def problems(template):
    """All findings in the template."""
    for rule in (values, switched, trusted, started, retried, noticed, on_demand):
        yield from rule(template)


def values(template):
    """Schedules that are refused, or taken and refused by EventBridge Scheduler later."""
    parameter = template["Parameters"]["Schedule"]
    yield from (f"Schedule cannot be {one}" for one in TAKEN if not parameters.is_taken(one, parameter))
    yield from (f"Schedule can be {one}" for one in REFUSED if parameters.is_taken(one, parameter))


def switched(template):
    """What is made for the schedule although it is off, or is missing although it is on."""
    for schedule in ("off", template["Parameters"]["Schedule"]["Default"]):
        made = resolve.deployment(template, {"Schedule": schedule}, {}).conditions
        for logical, one in template["Resources"].items():
            of_schedule = one["Type"].startswith("AWS::Scheduler::") or "scheduler.amazonaws.com" in str(one)
            if of_schedule and ("Condition" not in one or made[one["Condition"]] != (schedule != "off")):
                yield f"{logical}: is {'' if schedule == 'off' else 'not '}made with Schedule={schedule}"


def trusted(template):
    """A role of a schedule that other schedules may take. "The ARN you specify must be a schedule group":
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html"""
    for logical, schedule, role in schedules(template):
        group = schedule.get("GroupName", {}).get("Ref")
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            condition = statement.get("Condition", {}).get("StringEquals", {})
            if statement["Principal"] != {"Service": "scheduler.amazonaws.com"}:
                yield f"{logical}: {statement['Principal']} may take its role"
            if condition.get("aws:SourceAccount") != ACCOUNT or named(condition.get("aws:SourceArn")) != (group, "Arn"):
                yield f"{logical}: schedules outside its group may take its role"


def started(template):
    """More than to start this task in this cluster, with its two roles. The role passes "each task execution role, task role":
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/CWE_IAM_role.html"""
    [(name, task)] = of_type(template, "AWS::ECS::TaskDefinition")
    roles = sorted(named(task[key]) for key in ("ExecutionRoleArn", "TaskRoleArn"))
    for logical, schedule, role in schedules(template):
        target = schedule["Target"]
        if target["EcsParameters"]["TaskDefinitionArn"] != {"Ref": name}:
            yield f"{logical}: starts another task"
        allowed = {
            action: statement
            for policy in role["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
        }
        if sorted(allowed) != ["ecs:RunTask", "iam:PassRole", "sqs:SendMessage"]:
            yield f"{logical}: its role may do {sorted(allowed)}"
            continue
        run, give = allowed["ecs:RunTask"], allowed["iam:PassRole"]
        if not str(run["Resource"].get("Fn::Sub")).endswith(":task-definition/${AWS::StackName}:*"):
            yield f"{logical}: its role may start {run['Resource']}"
        if run.get("Condition") != {"ArnEquals": {"ecs:cluster": target["Arn"]}}:
            yield f"{logical}: its role may start the task in another cluster"
        if sorted(map(named, listed(give["Resource"]))) != roles:
            yield f"{logical}: its role may give {give['Resource']}"
        if give.get("Condition") != {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}:
            yield f"{logical}: its role may give roles to another service"


def retried(template):
    """A run that could not be started and that nobody hears of, or that is tried so long that late runs come together. By the
    retry policy "Retry attempts with exponential backoff continue":
    https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html
    After that the queue gets a message, if the role may send one:
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html"""
    for logical, schedule, role in schedules(template):
        policy = schedule["Target"].get("RetryPolicy", {})
        if not 60 <= policy.get("MaximumEventAgeInSeconds", 86_400) <= RETRY_SECONDS:
            yield f"{logical}: a run that is late is tried for {policy.get('MaximumEventAgeInSeconds')} s"
        if policy.get("MaximumRetryAttempts", 185) > RETRIES:
            yield f"{logical}: a run that is late is tried {policy.get('MaximumRetryAttempts')} times"
        queue = schedule["Target"].get("DeadLetterConfig", {}).get("Arn")
        sends = [
            statement["Resource"]
            for one in role["Policies"]
            for statement in one["PolicyDocument"]["Statement"]
            if "sqs:SendMessage" in listed(statement["Action"])
        ]
        if queue is None or sends != [queue]:
            yield f"{logical}: nobody hears of a run that was not started"


def noticed(template):
    """Ends of a run that raise no alarm, or that raise one for nothing. The rule's targets are queues that let EventBridge send:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    and the alarm looks at what was sent to them:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
    rules = of_type(template, "AWS::Events::Rule")
    [(cluster, _)] = of_type(template, "AWS::ECS::Cluster")
    stack = resolve.Stack({f"{cluster}.Arn": CLUSTER}, {})
    patterns = [stack.resolve(rule["EventPattern"]) for _, rule in rules]
    for detail, wanted in ENDS:
        event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}
        if any(matches(pattern, event) for pattern in patterns) != wanted:
            yield f"{'nobody' if wanted else 'somebody'} hears of {detail}"
    watched = [
        named(dimension["Value"])
        for _, alarm in of_type(template, "AWS::CloudWatch::Alarm")
        for dimension in alarm["Dimensions"]
        if (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/SQS", "NumberOfMessagesSent", "Sum")
    ]
    for logical, rule in rules:
        for target in rule.get("Targets", []):
            queue, _ = named(target["Arn"])
            if (queue, "QueueName") not in watched:
                yield f"{logical}: no alarm looks at {queue}"
            if not any(lets(policy, queue, logical) for _, policy in of_type(template, "AWS::SQS::QueuePolicy")):
                yield f"{logical}: EventBridge may not send to {queue}"
        if not rule.get("Targets"):
            yield f"{logical}: leads nowhere"


def lets(policy, queue, rule):
    """Whether the policy of a queue lets a rule send to it, and nobody else."""
    [statement] = policy["PolicyDocument"]["Statement"]
    source = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn")
    who = (statement["Principal"], statement["Action"], named(statement["Resource"]), named(source), policy["Queues"])
    events = {"Service": "events.amazonaws.com"}
    return who == (events, "sqs:SendMessage", (queue, "Arn"), (rule, "Arn"), [{"Ref": queue}])


def matches(pattern, event):
    """Whether an event pattern takes an event; of a list of objects, any of them:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"""
    for key, wanted in pattern.items():
        if key == "$or":
            found = any(matches(one, event) for one in wanted)
        elif isinstance(wanted, dict):
            found = any(matches(wanted, part) for part in listed(event.get(key)))
        else:
            found = any(takes(one, value) for one in wanted for value in listed(event.get(key)))
        if not found:
            return False
    return True


def takes(wanted, value):
    if isinstance(wanted, dict):
        return value not in listed(wanted["anything-but"])
    return wanted == value


def on_demand(template):
    """A command that runs it otherwise than the schedule does."""
    network = "awsvpcConfiguration={subnets=[${SubnetA},${SubnetB}],securityGroups=[${SecurityGroupId}],assignPublicIp=DISABLED}"
    command = str(template["Outputs"].get("RunNow", {}).get("Value", {}).get("Fn::Sub"))
    [(cluster, _)] = of_type(template, "AWS::ECS::Cluster")
    task = "--task-definition ${AWS::StackName} "
    for part in ("aws ecs run-task ", "--launch-type FARGATE", f"--cluster ${{{cluster}}} ", f"'{network}'", task):
        if part not in command:
            yield f"the output RunNow does not say {part}"
    for logical, schedule, _ in schedules(template):
        own = schedule["Target"]["EcsParameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        wanted = {"Subnets": ["SubnetA", "SubnetB"], "SecurityGroups": ["SecurityGroupId"]}
        if own != {"AssignPublicIp": "DISABLED"} | {key: [{"Ref": name} for name in names] for key, names in wanted.items()}:
            yield f"{logical}: runs in another network"


def writers(function):
    """A set-up function that leaves out roles which write besides, or is not called when they change."""
    resources = function["Resources"]
    others = "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:role/b"
    for more, wanted in (("", "own"), (others, f"own,{others}")):
        stack = resolve.deployment(function, {"AdditionalWriterArns": more}, {"FunctionRole.Arn": "own"})
        found = stack.resolve(resources["SetUpFunction"]["Properties"]["Environment"]["Variables"]["STREAMDEX_WRITER_ARNS"])
        if found != wanted:
            yield f"with AdditionalWriterArns={more} who writes is {found}"
    if {"Ref": "AdditionalWriterArns"} not in resources["SetUp"]["Properties"].values():
        yield "another AdditionalWriterArns sets up nothing"


def page(text, templates, size):
    """What the page takes and no stack of it gives; a template that is too large for the command that deploys it."""
    for stack, output in re.findall(r"\$\(output (\S+) (\w+)\)", text):
        if output not in templates[STACKS[stack]]["Outputs"]:
            yield f"{stack} has no output {output}"
    commands = re.findall(r"aws cloudformation deploy --template-file deploy/cloudformation/redrive.yaml (?:[^\n]*\\\n)*[^\n]*", text)
    if not commands:
        yield "the page does not deploy redrive.yaml"
    if size > limits.BODY and not all("--s3-bucket" in command for command in commands):
        yield f"redrive.yaml has {size} bytes, and needs --s3-bucket where it is deployed"


def schedules(template):
    """Each schedule by name, with the role that it takes."""
    for logical, schedule in of_type(template, "AWS::Scheduler::Schedule"):
        role, _ = named(schedule["Target"]["RoleArn"])
        yield logical, schedule, template["Resources"][role]["Properties"]


def named(reference):
    """Resource and attribute of a Fn::GetAtt, or nothing."""
    own = reference.get("Fn::GetAtt") if isinstance(reference, dict) else None
    return tuple(own.split(".", 1) if isinstance(own, str) else own or (None, None))


def of_type(template, kind):
    return [(logical, one.get("Properties", {})) for logical, one in template["Resources"].items() if one["Type"] == kind]
