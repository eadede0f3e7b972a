"""How moto makes schedules, rules of events, and the queues that both send to."""

import json

from makers import Made, makes
from services import ask


@makes("AWS::Scheduler::ScheduleGroup")
def schedule_group(p, name):
    named = {"Name": p.pop("Name", name)}
    made = ask("scheduler", "create_schedule_group", {**named, **p})
    return Made(named["Name"], {"Arn": made["ScheduleGroupArn"]}, [("scheduler", "delete_schedule_group", named)])


@makes("AWS::Scheduler::Schedule")
def schedule(p, name):
    made = ask("scheduler", "create_schedule", {"Name": name, **p})
    named = {"Name": p.get("Name", name), "GroupName": p["GroupName"]}
    return Made(named["Name"], {"Arn": made["ScheduleArn"]}, [("scheduler", "delete_schedule", named)])


@makes("AWS::Events::Rule")
def event_rule(p, name):
    named = {"Name": p.pop("Name", name)}
    targets = p.pop("Targets", [])
    made = ask("events", "put_rule", {**named, **p})
    rule = {"Rule": named["Name"]}
    answer = ask("events", "put_targets", {**rule, "Targets": targets})
    if answer["FailedEntryCount"]:
        raise LookupError(answer["FailedEntries"][0]["ErrorMessage"])
    remove = ("events", "remove_targets", {**rule, "Ids": [one["Id"] for one in targets]})
    return Made(named["Name"], {"Arn": made["RuleArn"]}, [remove, ("events", "delete_rule", named)])


@makes("AWS::SQS::Queue")
def queue(p, name):
    named = {"QueueName": p.pop("QueueName", name)}
    # Texts as the service has them: "true", "1209600".
    attributes = {key: value if isinstance(value, str) else json.dumps(value) for key, value in p.items()}
    url = {"QueueUrl": ask("sqs", "create_queue", {**named, "Attributes": attributes})["QueueUrl"]}
    whole = ask("sqs", "get_queue_attributes", {**url, "AttributeNames": ["QueueArn"]})["Attributes"]
    return Made(url["QueueUrl"], {"Arn": whole["QueueArn"], **named, **url}, [("sqs", "delete_queue", url)])


@makes("AWS::SQS::QueuePolicy")
def queue_policy(p, name):
    urls = [{"QueueUrl": one} for one in p["Queues"]]
    for one in urls:
        ask("sqs", "set_queue_attributes", {**one, "Attributes": {"Policy": p["PolicyDocument"]}})
    return Made(name, undo=[("sqs", "set_queue_attributes", {**one, "Attributes": {"Policy": ""}}) for one in urls])
