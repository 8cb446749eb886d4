"""One function run here as Lambda runs it: the built code under AWS's own runtime client, its role's credentials, the embedded AWS.

Called by `meshplane invoke` and tests. The code is what `meshplane build` ships; the layer is the same lock, installed for this machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane_cli.delivery import package
from meshplane_cli.local import callers
from meshplane_cli.local.clock import FILE_VARIABLE
from meshplane_cli.local.lambdas.worker import Function, Outcome, Worker
from meshplane_cli.local.stack import Stack
from meshplane_cli.output import PROBLEMS, USAGE, CliError, say

_OWN = Path(__file__).parents[1]  # the command line's own folder: the runtime's first program lies in it


def invoke(stack: Stack, name: str, payload: str, on_line: Callable[[str], None]) -> Outcome:
    """Call `name` (`sweep-projects`, or its handler's name) with an event; `on_line` receives what it prints. Raises CliError."""
    found, root = deployed(stack, name), stack.place.root
    code, layer = unpacked(root), host_layer(root)
    environment = {
        **callers.of_role(found["Role"]),
        "AWS_REGION": stack.naming.region,
        "AWS_DEFAULT_REGION": stack.naming.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": stack.endpoint,
        FILE_VARIABLE: str(stack.place.clock),
        **found.get("Environment", {}).get("Variables", {}),
        "PYTHONPATH": os.pathsep.join((str(code), str(layer / "python"), str(_OWN))),
    }
    function = Function(found["FunctionName"], found["FunctionArn"], found["Handler"], float(found["Timeout"]), code, environment)
    worker = Worker(function, lambda _, line: on_line(line))
    try:
        return worker.invoke(payload)
    finally:
        worker.close()


def deployed(stack: Stack, name: str) -> dict[str, Any]:
    """The function's configuration as it is deployed. Raises CliError for one that is not."""
    naming = stack.naming
    full = f"{naming.abbr}-meshplane-{name.replace('_', '-')}-{naming.env}"
    client = stack.client("lambda")
    try:
        with translated("lambda:GetFunctionConfiguration", full):
            return dict(client.get_function_configuration(FunctionName=full))
    except NotFound:
        names = [row["FunctionName"] for row in client.list_functions()["Functions"]]
        known = ", ".join(sorted(one.removeprefix(f"{naming.abbr}-meshplane-").removesuffix(f"-{naming.env}") for one in names))
        raise CliError(f"no function '{name}'", found=f"{full} is not deployed", allowed=known, code=USAGE) from None


def sam_environment(stack: Stack, name: str) -> str:
    """What `sam local invoke --env-vars` takes: the function's variables, and the embedded AWS as a container reaches it."""
    found, port = deployed(stack, name), stack.running.port
    values = {
        **found.get("Environment", {}).get("Variables", {}),
        **callers.of_role(found["Role"]),
        "AWS_REGION": stack.naming.region,
        "AWS_ENDPOINT_URL": f"http://host.docker.internal:{port}",
    }
    return json.dumps({"Parameters": values}, indent=2) + "\n"


def unpacked(root: Path) -> Path:
    """The functions' archive as a folder named by its content."""
    archive = package.functions_zip(root)
    return _kept(root, f"functions-{hashlib.sha256(archive).hexdigest()[:16]}", lambda folder: _unzip(archive, folder))


def host_layer(root: Path) -> Path:
    """The layer's packages for this machine's Python and platform, from the same hashed lock. Raises CliError."""

    def build(folder: Path) -> None:
        say("installing the layer's packages for this machine, once for this lock")
        made = package.make(root, "build-for-this-machine", f"ARTIFACTS_DIR={folder}", f"HOST_PYTHON={sys.executable}")
        if made.returncode:
            raise CliError("the layer could not be installed for this machine", found=made.stderr[-2000:], code=PROBLEMS)

    lock = (root / "layer" / "requirements.lock").read_bytes() + sys.version.encode()
    return _kept(root, f"host-layer-{hashlib.sha256(lock).hexdigest()[:16]}", build)


def _kept(root: Path, name: str, build: Callable[[Path], None]) -> Path:
    there = root / ".meshplane" / "build" / name
    if not there.is_dir():
        there.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=there.parent))
        build(part)
        try:
            part.rename(there)
        except OSError:  # another process was faster: the content is the same
            return there
    return there


def _unzip(archive: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        opened.extractall(folder)
