"""The rules about containers find what they are for."""

import unittest

import containers

DIGEST = f"@sha256:{'0' * 64}"
DOCKERFILE = f"""
FROM rust AS build
USER root
FROM {containers.BASE}{DIGEST}
# Why.
COPY --from=build /a \\
  /b
USER 65532:65532
EXPOSE 9464
STOPSIGNAL SIGTERM
VOLUME ["/var/lib/streamdex"]
HEALTHCHECK --interval=10s \\
  CMD ["/streamdex", "status"]
ENTRYPOINT ["/streamdex"]
CMD ["run"]
"""


def container(**other):
    return {
        "ReadonlyRootFilesystem": True,
        "User": "65532:65532",
        "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
        "StopTimeout": 30,
        "MountPoints": [{"SourceVolume": "files", "ContainerPath": "/var/lib/streamdex"}],
        "HealthCheck": {"Command": ["CMD", "/streamdex", "status"]},
        "Environment": [{"Name": "STREAMDEX_TABLE", "Value": "t"}],
        **other,
    }


def found(one):
    task = {
        "TaskRoleArn": "a",
        "ExecutionRoleArn": "b",
        "Volumes": [{"Name": "files"}],
        "ContainerDefinitions": [one],
    }
    template = {"Resources": {"T": {"Type": "AWS::ECS::TaskDefinition", "Properties": task}}}
    return list(containers.tasks(template, DOCKERFILE))


class Containers(unittest.TestCase):
    def test_the_last_stage_is_the_image(self):
        self.assertEqual(containers.instructions(DOCKERFILE)[0], ("FROM", containers.BASE + DIGEST))
        self.assertEqual(containers.health_check(DOCKERFILE), ["/streamdex", "status"])
        self.assertEqual(containers.port(DOCKERFILE), 9464)
        self.assertEqual(list(containers.image(DOCKERFILE)), [])

    def test_what_an_image_must_not_be(self):
        for change in [
            (containers.BASE, "debian"),
            (DIGEST, ""),
            (DIGEST, "@sha256:1"),
            ("65532:65532", "0:0"),
            ("65532:65532", "streamdex"),
            ("SIGTERM", "SIGKILL"),
            ('["run"]', "run"),
            ('["/streamdex", "status"]', "/streamdex status"),
        ]:
            self.assertEqual(len(list(containers.image(DOCKERFILE.replace(*change)))), 1, change)

    def test_what_a_container_must_not_be(self):
        self.assertEqual(found(container()), [])
        for change in [
            {"ReadonlyRootFilesystem": False},
            {"User": "0:0"},
            {"LinuxParameters": {}},
            {"StopTimeout": 2},
            {"MountPoints": []},
            {"MountPoints": [{"SourceVolume": "other", "ContainerPath": "/var/lib/streamdex"}]},
            {"HealthCheck": {"Command": ["CMD", "/streamdex", "other"]}},
            {"Environment": [{"Name": "AWS_SECRET_ACCESS_KEY", "Value": "x"}]},
        ]:
            self.assertEqual(len(found(container(**change))), 1, change)

    def test_what_a_service_must_not_be(self):
        network = {"AwsvpcConfiguration": {"AssignPublicIp": "DISABLED"}}
        breaker = {"Enable": True, "Rollback": True}
        deployment = {"MinimumHealthyPercent": 100, "MaximumPercent": 200, "DeploymentCircuitBreaker": breaker}
        good = {"DeploymentConfiguration": deployment, "NetworkConfiguration": network}
        self.assertEqual(list(containers.service("S", good)), [])
        self.assertEqual(len(list(containers.service("S", {}))), 3)

    def test_what_a_compose_file_must_not_say(self):
        good = {"build": ".", "security_opt": ["no-new-privileges:true"], "read_only": True, "cap_drop": ["ALL"]}
        other = {"image": "i", "security_opt": ["no-new-privileges:true"], "ports": ["127.0.0.1:1:1"]}
        self.assertEqual(list(containers.compose({"services": {"a": good, "b": other}})), [])
        for bad in [
            {**good, "read_only": False},
            {**good, "security_opt": []},
            {**other, "ports": ["9200:9200"]},
            {**other, "depends_on": {"c": {}}},
        ]:
            self.assertEqual(len(list(containers.compose({"services": {"a": bad}}))), 1, bad)

    def test_probes_in_a_page_are_those_that_are_served(self):
        page = "```yaml\nlivenessProbe:\n  httpGet: {path: PATH, port: 9464}\n```\n"
        self.assertEqual(list(containers.examples(page.replace("PATH", "/livez"), DOCKERFILE)), [])
        self.assertEqual(len(list(containers.examples(page.replace("PATH", "/health"), DOCKERFILE))), 1)
        self.assertEqual(len(list(containers.examples("```yaml\na: [\n```\n", DOCKERFILE))), 1)
