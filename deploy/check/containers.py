"""What image, compose file and task definitions promise, and that they say the same."""

import json
import re

import yaml

# Longer than streamdex takes to stop.
STOP_SECONDS = 30
# glibc and certificate authorities, and user 65532.
BASE = "gcr.io/distroless/base-nossl-debian12:nonroot"
NEVER_SET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def instructions(dockerfile):
    """The instructions of the last stage, in order: (name, rest)."""
    lines = (line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    found = [(line.split()[0].upper(), line.partition(" ")[2].strip()) for line in whole.splitlines() if line.strip()]
    starts = [place for place, (name, _) in enumerate(found) if name == "FROM"]
    return found[starts[-1] :]


def image(dockerfile):
    """What the image does not say and must."""
    said = dict(instructions(dockerfile))
    base, _, digest = said["FROM"].split()[0].partition("@")
    if base != BASE:
        yield f"the image does not stand on {BASE}, which has no shell and no package manager"
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        yield "the base of the image is not named by its digest"
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", said.get("USER", "")):
        yield "USER is no number, or is root"
    if said.get("STOPSIGNAL") != "SIGTERM":
        yield "STOPSIGNAL is not SIGTERM"
    for name in ("ENTRYPOINT", "CMD"):
        if not said.get(name, "").startswith("["):
            yield f"{name} is not a list, and there is no shell"
    if health_check(dockerfile) is None:
        yield "HEALTHCHECK is missing, or no list"


def health_check(dockerfile):
    """The command of the image's health check."""
    _, _, command = dict(instructions(dockerfile)).get("HEALTHCHECK", "").partition("CMD ")
    return json.loads(command) if command.strip().startswith("[") else None


def tasks(template, dockerfile):
    """What ECS task definitions do not say and must."""
    said = dict(instructions(dockerfile))
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::ECS::Service":
            yield from service(name, properties)
        if resource["Type"] != "AWS::ECS::TaskDefinition":
            continue
        if properties["TaskRoleArn"] == properties["ExecutionRoleArn"]:
            yield f"{name}: the program has the role that starts it"
        for container in properties["ContainerDefinitions"]:
            yield from (f"{name}: {problem}" for problem in one_container(container, said))
            yield from (f"{name}: {problem}" for problem in writable(properties, container, said))
            check = container.get("HealthCheck", {}).get("Command")
            if check is not None and check != ["CMD", *(health_check(dockerfile) or [])]:
                yield f"{name}: the health check is not that of the image"


def one_container(container, said):
    if container.get("ReadonlyRootFilesystem") is not True:
        yield "the root file system can be written to"
    if container.get("User") != said.get("USER"):
        yield f"User is not {said.get('USER')}, as in the image"
    if container.get("LinuxParameters", {}).get("Capabilities", {}).get("Drop") != ["ALL"]:
        yield "capabilities are not dropped"
    if container.get("StopTimeout") != STOP_SECONDS:
        yield f"StopTimeout is not {STOP_SECONDS}"
    for variable in container.get("Environment", []):
        if variable["Name"] in NEVER_SET:
            yield f"{variable['Name']}: a key that stands still"


def writable(task, container, said):
    """The root file system is not, so the image's volume has to be there: a comparison writes temporary files."""
    volumes = {volume["Name"] for volume in task.get("Volumes", [])}
    mounts = container.get("MountPoints", [])
    mounted = {mount["ContainerPath"] for mount in mounts if mount["SourceVolume"] in volumes}
    for path in json.loads(said.get("VOLUME", "[]")):
        if path not in mounted:
            yield f"{path} cannot be written to"


def service(name, properties):
    deployment = properties.get("DeploymentConfiguration", {})
    if (deployment.get("MinimumHealthyPercent"), deployment.get("MaximumPercent")) != (100, 200):
        yield f"{name}: old containers stop before new ones start"
    if deployment.get("DeploymentCircuitBreaker") != {"Enable": True, "Rollback": True}:
        yield f"{name}: a deployment that fails is not taken back"
    network = properties.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", {})
    if network.get("AssignPublicIp") != "DISABLED":
        yield f"{name}: has a public address"


def environment(container):
    """The names of variables that a container is given for streamdex.toml."""
    names = {variable["Name"] for variable in container["Environment"] if isinstance(variable["Name"], str)}
    return {name for name in names if name.startswith("STREAMDEX_")}


def compose(document):
    """What services of the compose file do not say and must."""
    for name, one in document["services"].items():
        if "no-new-privileges:true" not in one.get("security_opt", []):
            yield f"{name}: may get new privileges"
        for port in one.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name}: port {port} is open to other machines"
        if "build" in one and (one.get("read_only"), one.get("cap_drop")) != (True, ["ALL"]):
            yield f"{name}: can be written to, or has capabilities"
        for other in one.get("depends_on", {}):
            if other not in document["services"]:
                yield f"{name}: depends on {other}, which is not there"


def examples(markdown, dockerfile):
    """YAML in a page must be YAML, and its probes those that are served."""
    for block in re.findall(r"^```yaml\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE):
        try:
            documents = list(yaml.safe_load_all(block))
        except yaml.YAMLError as error:
            yield f"no YAML: {error}"
            continue
        for probe in probes(documents):
            if probe["path"] not in ("/livez", "/readyz") or probe["port"] != port(dockerfile):
                yield f"nothing answers {probe}"


def probes(node):
    if isinstance(node, dict):
        if "httpGet" in node:
            yield node["httpGet"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from probes(value)


def port(dockerfile):
    return int(dict(instructions(dockerfile))["EXPOSE"])

