"""The Helm chart: what it renders is valid for Kubernetes, and says what values, configuration and the container's page say."""

import copy
import json
import re
import subprocess

import kubernetes_validate
import yaml

import versions

HELM = ("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0")
KUBERNETES = "1.31"
IMAGE = "registry.example/streamdex"
PORT = 9464
# What a release is asked for, besides image and configuration.
CASES = {
    "the least": {},
    "all": {
        "region": "eu-west-1",
        "files": {"sessions.json": '{"properties": {}}'},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/streamdex"}},
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "secrets": [{"name": "opensearch", "mountPath": "/etc/streamdex-secrets/opensearch"}],
        "commands": [
            {"name": "verify", "arguments": ["verify", "--full"], "schedule": "0 3 * * 0"},
            {"name": "state-create", "arguments": ["state", "create"]},
        ],
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {"enabled": True, "opensearchPort": 9200, "from": [{"podSelector": {}}]},
        "podLabels": {"team": "search"},
        "podAnnotations": {"a": "b"},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "replicas": 3,
    },
    "one replica, a ConfigMap of the user's": {"replicas": 1, "existingConfigMap": "mine", "configuration": ""},
}
# What is refused, and with which words.
REFUSED = {
    "the chart needs an image": ({"image": {"repository": ""}}, "repository"),
    "the chart needs a configuration": ({"configuration": ""}, "--set-file configuration=streamdex.toml"),
    "a value that is not there": ({"replicaCount": 2}, "replicaCount"),
    "no replica": ({"replicas": 0}, "replicas"),
    "a file in place of the configuration": ({"files": {"streamdex.toml": ""}}, "streamdex.toml"),
    "a digest that is none": ({"image": {"repository": IMAGE, "digest": "latest"}}, "digest"),
}


def problems(program, chart, configuration, page, help_text):
    """All findings. `configuration` is a file's text, `page` that of docs/deploy-container.md, `help_text` that of the program."""
    shown = next(
        document
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        for document in yaml.safe_load_all(block)
        if isinstance(document, dict) and document.get("kind") == "Deployment"
    )
    commands = set(re.findall(r"^  ([a-z-]+)  +[A-Z]", help_text, re.MULTILINE))
    for name, values in CASES.items():
        asked = {"image": {"repository": IMAGE}, "configuration": configuration, **values}
        text, error = render(program, chart, asked)
        if error:
            yield f"{name}: {error}"
            continue
        documents = [document for document in yaml.safe_load_all(text) if document]
        yield from (f"{name}: {problem}" for problem in [*valid(documents), *said(documents, asked, shown, commands)])
    for name, (values, words) in REFUSED.items():
        text, error = render(program, chart, {"image": {"repository": IMAGE}, "configuration": configuration, **values})
        if not error:
            yield f"{name}: is not refused"
        elif words not in error:
            yield f"{name}: {words} is not said: {error}"


def render(program, chart, values):
    """What the chart gives, and the error where it gives nothing."""
    asked = [program, "template", "sessions", chart, "--namespace", "search", "--kube-version", f"{KUBERNETES}.0", "--values", "-"]
    ended = subprocess.run(asked, input=json.dumps(values), capture_output=True, text=True, check=False)
    return ended.stdout, ended.stderr.strip() if ended.returncode else ""


def valid(documents):
    """What the schemas of Kubernetes find; the kinds of others have none."""
    for document in documents:
        if document["kind"] != "ServiceMonitor":
            try:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{document['kind']}: {error.message}"


def said(documents, values, shown, commands):
    """Where documents do not say what was asked for. `shown` is the Deployment of the page."""
    kinds = {}
    for document in documents:
        kinds.setdefault(document["kind"], []).append(document)
    if "replicas" not in values:
        values = {**values, "replicas": 2}
    [deployment] = kinds["Deployment"]
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    page = shown["spec"]["template"]["spec"]
    checks = {
        "replicas": (deployment["spec"]["replicas"], values["replicas"]),
        "image": (container["image"], f"{IMAGE}:{versions.workspace()}"),
        "arguments, as on the page": (container["args"], page["containers"][0]["args"]),
        "strategy, as on the page": (deployment["spec"]["strategy"], shown["spec"]["strategy"]),
        "the probes, as on the page": (probes(container), probes(page["containers"][0])),
        "the container's security, as on the page": (container["securityContext"], page["containers"][0]["securityContext"]),
        "resources, as on the page": (container["resources"], page["containers"][0]["resources"]),
        "time to stop, as on the page": (
            template["spec"]["terminationGracePeriodSeconds"],
            page["terminationGracePeriodSeconds"],
        ),
        "the port": ([port["containerPort"] for port in container["ports"]], [PORT]),
        "the selector": (covers(deployment["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]), True),
        "a budget, where several run": ("PodDisruptionBudget" in kinds, values["replicas"] > 1),
        "a ServiceMonitor": ("ServiceMonitor" in kinds, values.get("serviceMonitor", {}).get("enabled", False)),
        "a network policy": ("NetworkPolicy" in kinds, values.get("networkPolicy", {}).get("enabled", False)),
    }
    if values.get("existingConfigMap"):
        checks["no ConfigMap"] = ("ConfigMap" in kinds, False)
    else:
        [config] = kinds["ConfigMap"]
        expected = {"streamdex.toml": values["configuration"], **values.get("files", {})}
        checks["the configuration, to the letter"] = (config["data"], expected)
    for what, (found, expected) in checks.items():
        if found != expected:
            yield f"{what}: {found!r}, and should be {expected!r}"
    yield from pods(kinds, values)
    yield from jobs(kinds, values, commands)
    for kind in ("PodDisruptionBudget", "NetworkPolicy", "Service"):
        for document in kinds.get(kind, []):
            spec = document["spec"]
            selector = spec.get("podSelector", {}).get("matchLabels") or spec["selector"].get("matchLabels", spec["selector"])
            if not covers(selector, template["metadata"]["labels"]):
                yield f"{kind} selects no pod of the Deployment"


def pods(kinds, values):
    """What holds of each pod: account, configuration, files that may be written, and no rights that it does not need."""
    config = values.get("existingConfigMap") or kinds["ConfigMap"][0]["metadata"]["name"]
    accounts = {account["metadata"]["name"] for account in kinds["ServiceAccount"]}
    if kinds["ServiceAccount"][0]["metadata"].get("annotations") != values.get("serviceAccount", {}).get("annotations"):
        yield "the service account lacks its annotations"
    for name, pod in every_pod(kinds):
        [container] = pod["spec"]["containers"]
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        env = {one["name"]: one.get("value") for one in container["env"]}
        if pod["spec"]["serviceAccountName"] not in accounts:
            yield f"{name}: no such service account"
        if volumes[mounts["/etc/streamdex"]["name"]]["configMap"]["name"] != config:
            yield f"{name}: another configuration"
        if env.get("STREAMDEX_CONFIG") != "/etc/streamdex/streamdex.toml" or env.get("AWS_REGION") != values.get("region"):
            yield f"{name}: its environment is {env}"
        if "emptyDir" not in volumes[mounts["/var/lib/streamdex"]["name"]]:
            yield f"{name}: nothing can be written to /var/lib/streamdex"
        for secret in values.get("secrets", []):
            if volumes[mounts[secret["mountPath"]]["name"]]["secret"]["secretName"] != secret["name"]:
                yield f"{name}: the Secret {secret['name']} is not where it should be"
        security = container["securityContext"]
        if not (security["readOnlyRootFilesystem"] and pod["spec"]["securityContext"]["runAsNonRoot"]):
            yield f"{name}: it may write to its image, or runs as root"
        if pod["spec"]["automountServiceAccountToken"]:
            yield f"{name}: it has a token of Kubernetes, which it does not need"


def jobs(kinds, values, commands):
    """One job for each command, with its arguments, which are a command of the program."""
    found = {}
    for document in [*kinds.get("Job", []), *kinds.get("CronJob", [])]:
        spec = document["spec"]
        template = spec["jobTemplate"]["spec"]["template"] if document["kind"] == "CronJob" else spec["template"]
        found[tuple(template["spec"]["containers"][0]["args"][2:])] = spec.get("schedule")
    expected = {tuple(one["arguments"]): one.get("schedule") for one in values.get("commands", [])}
    if found != expected:
        yield f"commands: {found}, and should be {expected}"
    for arguments in expected:
        if arguments[0] not in commands:
            yield f"{arguments[0]} is no command of the program"


def every_pod(kinds):
    for kind in ("Deployment", "Job", "CronJob"):
        for document in kinds.get(kind, []):
            spec = document["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else document["spec"]
            yield f"{kind} {document['metadata']['name']}", spec["template"]


def probes(container):
    """The probes, with the port as a number."""
    found = copy.deepcopy({kind: container.get(kind) for kind in ("livenessProbe", "readinessProbe")})
    names = {port.get("name"): port["containerPort"] for port in container["ports"]}
    for probe in found.values():
        probe["httpGet"]["port"] = names.get(probe["httpGet"]["port"], probe["httpGet"]["port"])
    return found


def covers(selector, labels):
    return bool(selector) and selector.items() <= labels.items()
