"""Tools that are written in Go, built once into the target folder with the Go of this Python environment."""

import os
import subprocess
import sysconfig
from pathlib import Path


def built(name, package, version, folder):
    """The path of the tool `name`, out of `package` in `version`."""
    place = folder / f"{name}-{version}"
    program = place / name
    if not program.exists():
        go = Path(sysconfig.get_path("purelib")) / "go/bin/go"
        print(f"building {name} {version} (once; some minutes)", flush=True)
        # The same Go everywhere: none of the machine's, and none that it would fetch.
        env = os.environ | {"GOBIN": str(place), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOROOT": str(go.parents[1])}
        subprocess.run([go, "install", f"{package}@{version}"], env=env, check=True)
    return program
