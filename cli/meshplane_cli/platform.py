"""Publishes the platform's own release: the job library's wheel and the built-in jobs' scripts, content-addressed, and the SSM
parameter that names them (`model.release.PlatformRelease`). Used by `meshplane local up`, and by CI against an account.
"""

from __future__ import annotations

import base64
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

LIBRARY, VERSION = "dp_foundation", "0.1.0"
PACKAGES = (LIBRARY, "core")  # `core` holds the first generation's import paths
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip: the same files give the same bytes
Clients = Callable[[str], Any]


def library_wheel(root: Path) -> bytes:
    """The library as a pure wheel, reproducible, which Glue takes in --extra-py-files as the zip that it is: a wheel's own name has no
    room for a content address. `root` is the checkout: the wheel also carries its `domain.json` and the patterns of names
    (REQUIREMENTS D1, D2). The format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
    glue_jobs = root / "glue_jobs"
    carried = {
        file.relative_to(glue_jobs).as_posix(): file.read_bytes()
        for package in PACKAGES
        for file in (glue_jobs / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    carried[f"{LIBRARY}/domain.json"] = (root / "domain.json").read_bytes()
    carried[f"{LIBRARY}/naming.json"] = (root / "functions" / "meshplane" / "naming.json").read_bytes()
    told = f"{LIBRARY}-{VERSION}.dist-info"
    carried[f"{told}/METADATA"] = f"Metadata-Version: 2.1\nName: {LIBRARY}\nVersion: {VERSION}\n".encode()
    carried[f"{told}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: meshplane\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in sorted(carried.items()))
    carried[f"{told}/RECORD"] = f"{record}{told}/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for name in sorted(carried):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, carried[name])
    return packed.getvalue()


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def publish_platform(client: Clients, naming: Naming, root: Path) -> PlatformRelease:
    """Upload what is not there yet, then name it in the parameter: readers see the old release or the new one, whole.

    `root` is the checkout. Raises botocore's ClientError.
    """
    library = put_content(client, naming, f"{LIBRARY}.zip", library_wheel(root))
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
