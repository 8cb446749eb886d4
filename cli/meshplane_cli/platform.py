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
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip: the same files give the same bytes
Clients = Callable[[str], Any]


def library_zip(folder: Path) -> bytes:
    """The library as Glue takes it in --extra-py-files, reproducible. `folder` holds the package."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted((folder / LIBRARY).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                package.writestr(entry, file.read_bytes())
    return packed.getvalue()


def publish_platform(client: Clients, naming: Naming, glue_jobs: Path) -> PlatformRelease:
    """Upload what is not there yet, then name it in the parameter: readers see the old release or the new one, whole.

    `glue_jobs` is the folder with `dp_foundation/` and `jobs/`. Raises botocore's ClientError.
    """
    library = _put(client, naming, f"{LIBRARY}.zip", library_zip(glue_jobs))
    scripts = sorted((glue_jobs / "jobs").glob("*.py"))
    jobs = {script.stem: _put(client, naming, script.name, script.read_bytes()) for script in scripts if script.stem != "__init__"}
    release = PlatformRelease(library, jobs)
    body = json.dumps(asdict(release), sort_keys=True)
    name = naming.of("platform_parameter", name="release")
    ssm = client("ssm")
    present = [row["Value"] for row in ssm.get_parameters(Names=[name])["Parameters"]]
    if present != [body]:
        ssm.put_parameter(Name=name, Value=body, Type="String", Overwrite=True)
    return release


def _put(client: Clients, naming: Naming, name: str, body: bytes) -> str:
    s3, bucket = client("s3"), naming.bucket("artifacts")
    key = naming.of("platform_file", sha256=hashlib.sha256(body).hexdigest(), name=name)
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    return key
