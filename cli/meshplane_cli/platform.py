"""Publishes the platform's own release: the job library's zip and the built-in jobs' scripts, content-addressed, and the SSM
parameter that names them (`model.release.PlatformRelease`). Used by `meshplane local up`, and by CI against an account.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meshplane.model.naming import Naming
from meshplane.model.release import PlatformRelease

LIBRARY = "dp_foundation"
PACKAGES = (LIBRARY, "core")  # `core` holds the first generation's import paths
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip: the same files give the same bytes
Clients = Callable[[str], Any]


def library_zip(root: Path) -> bytes:
    """The library as Glue takes it in --extra-py-files, reproducible. `root` is the checkout: the zip also carries its `domain.json`
    and the patterns of names (REQUIREMENTS D1, D2)."""
    glue_jobs = root / "glue_jobs"
    carried = {
        file.relative_to(glue_jobs).as_posix(): file
        for package in PACKAGES
        for file in (glue_jobs / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    carried[f"{LIBRARY}/domain.json"] = root / "domain.json"
    carried[f"{LIBRARY}/naming.json"] = root / "functions" / "meshplane" / "naming.json"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for name in sorted(carried):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, carried[name].read_bytes())
    return packed.getvalue()


def publish_platform(client: Clients, naming: Naming, root: Path) -> PlatformRelease:
    """Upload what is not there yet, then name it in the parameter: readers see the old release or the new one, whole.

    `root` is the checkout. Raises botocore's ClientError.
    """
    library = put_content(client, naming, f"{LIBRARY}.zip", library_zip(root))
    scripts = sorted((root / "glue_jobs" / "jobs").glob("*.py"))
    jobs = {script.stem: put_content(client, naming, script.name, script.read_bytes()) for script in scripts if script.stem != "__init__"}
    release = PlatformRelease(library, jobs)
    body = json.dumps(asdict(release), sort_keys=True)
    name = naming.of("platform_parameter", name="release")
    ssm = client("ssm")
    present = [row["Value"] for row in ssm.get_parameters(Names=[name])["Parameters"]]
    if present != [body]:
        ssm.put_parameter(Name=name, Value=body, Type="String", Overwrite=True)
    return release


def put_content(client: Clients, naming: Naming, name: str, body: bytes) -> str:
    """Upload a file of the platform under its digest, where it is not there yet; its key. Raises botocore's ClientError."""
    s3, bucket = client("s3"), naming.bucket("artifacts")
    key = naming.of("platform_file", sha256=hashlib.sha256(body).hexdigest(), name=name)
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    return key
