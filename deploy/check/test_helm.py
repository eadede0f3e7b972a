"""What a chart could do wrong is found."""

import copy
import unittest

import helm
import versions

LABELS = {"app": "streamdex"}
PROBE = {"httpGet": {"path": "/livez", "port": "http"}}


def pod(arguments, **more):
    container = {
        "args": arguments,
        "image": f"{helm.IMAGE}:{versions.workspace()}",
        "env": [{"name": "STREAMDEX_CONFIG", "value": "/etc/streamdex/streamdex.toml"}],
        "securityContext": {"readOnlyRootFilesystem": True},
        "resources": {},
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/streamdex"},
            {"name": "files", "mountPath": "/var/lib/streamdex"},
        ],
        **more,
    }
    spec = {
        "serviceAccountName": "s",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": True},
        "containers": [container],
        "volumes": [{"name": "configuration", "configMap": {"name": "s"}}, {"name": "files", "emptyDir": {}}],
    }
    return {"metadata": {"labels": LABELS}, "spec": spec}


def documents():
    run = pod(
        ["--log-format", "json", "run"],
        ports=[{"name": "http", "containerPort": 9464}],
        livenessProbe=PROBE,
        readinessProbe=PROBE,
    )
    named = {"name": "s"}
    return {
        "Deployment": {
            "kind": "Deployment",
            "metadata": named,
            "spec": {"replicas": 2, "strategy": {}, "selector": {"matchLabels": LABELS}, "template": run},
        },
        "ConfigMap": {"kind": "ConfigMap", "metadata": named, "data": {"streamdex.toml": "text"}},
        "ServiceAccount": {"kind": "ServiceAccount", "metadata": named},
        "PodDisruptionBudget": {
            "kind": "PodDisruptionBudget",
            "metadata": named,
            "spec": {"selector": {"matchLabels": LABELS}},
        },
        "Job": {"kind": "Job", "metadata": named, "spec": {"template": pod(["--log-format", "json", "verify", "--full"])}},
    }


ASKED = {"configuration": "text", "commands": [{"name": "verify", "arguments": ["verify", "--full"]}]}


def found(change=lambda _: None, asked=None):
    rendered = documents()
    change(rendered)
    shown = documents()["Deployment"]
    return list(helm.said(list(rendered.values()), asked or ASKED, shown, {"verify"}))


def spec(rendered, kind="Deployment"):
    return rendered[kind]["spec"]["template"]["spec"]


class Chart(unittest.TestCase):
    def test_what_is_right_passes(self):
        self.assertEqual(found(), [])

    def test_each_fault_is_named(self):
        for words, change in [
            ("replicas", lambda it: it["Deployment"]["spec"].update(replicas=1)),
            ("strategy", lambda it: it["Deployment"]["spec"].update(strategy={"type": "Recreate"})),
            ("the configuration", lambda it: it["ConfigMap"]["data"].update({"streamdex.toml": "text\n"})),
            ("the selector", lambda it: it["Deployment"]["spec"]["selector"].update(matchLabels={"app": "other"})),
            ("selects no pod", lambda it: it["PodDisruptionBudget"]["spec"].update(selector={"matchLabels": {"a": "b"}})),
            ("a budget", lambda it: it.pop("PodDisruptionBudget")),
            ("the probes", lambda it: spec(it)["containers"][0].update(livenessProbe={"httpGet": {"path": "/", "port": 9464}})),
            ("the port", lambda it: spec(it)["containers"][0].update(ports=[{"name": "http", "containerPort": 80}])),
            ("no such service account", lambda it: spec(it).update(serviceAccountName="default")),
            ("another configuration", lambda it: spec(it)["volumes"][0].update(configMap={"name": "other"})),
            ("its environment", lambda it: spec(it, "Job")["containers"][0].update(env=[])),
            ("nothing can be written", lambda it: spec(it, "Job")["volumes"][1].update(name="files", emptyDir=None) or spec(it, "Job")["volumes"][1].pop("emptyDir")),
            ("runs as root", lambda it: spec(it, "Job").update(securityContext={"runAsNonRoot": False})),
            ("a token of Kubernetes", lambda it: spec(it).update(automountServiceAccountToken=True)),
            ("commands", lambda it: it.pop("Job")),
        ]:
            with self.subTest(words):
                problems = found(change)
                self.assertTrue(any(words in problem for problem in problems), problems)

    def test_a_command_that_is_none(self):
        asked = {**ASKED, "commands": [{"name": "v", "arguments": ["verifies"]}]}
        self.assertIn("verifies is no command of the program", found(lambda it: spec(it, "Job")["containers"][0].update(args=["", "", "verifies"]), asked))

    def test_schemas_find_what_kubernetes_does_not_know(self):
        deployment = copy.deepcopy(documents()["ConfigMap"]) | {"apiVersion": "v1"}
        self.assertEqual(list(helm.valid([deployment])), [])
        self.assertTrue(list(helm.valid([deployment | {"spec": {}}])))
