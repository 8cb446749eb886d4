"""The files of a run, fetched as its role from where its definition says: script, libraries, wheels, jars.

What is fetched is kept by its digest, so that a library is unpacked once, not per run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from meshplane.errors import PlaneError
from meshplane_cli.bundled_pip import pip


class UnreadyRunError(PlaneError):
    """A run cannot start: what its definition names is not there, or cannot be used. The message becomes the run's ErrorMessage."""


def fetch(s3: Any, location: str, folder: Path) -> Path:
    """The object at an `s3://` location, kept as `folder/<sha256>/<name>`. UnreadyRunError when it is not there."""
    parts = urlsplit(location)
    if parts.scheme != "s3" or not parts.path.strip("/"):
        raise UnreadyRunError(f"'{location}' is not the s3:// location of an object")
    key = parts.path.lstrip("/")
    try:
        body = s3.get_object(Bucket=parts.netloc, Key=key)["Body"].read()
    except ClientError as error:
        raise UnreadyRunError(f"{location} cannot be read: {error.response['Error']['Message']}") from error
    target = folder / hashlib.sha256(body).hexdigest() / Path(key).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f"{target.name}.{os.getpid()}.{id(body)}")
        half.write_bytes(body)
        half.replace(target)
    return target


def install_wheels(wheels: Iterable[Path], folder: Path) -> Path | None:
    """A folder with these wheels unpacked, without any index: what is not among them is not installed. None for no wheels."""
    wheels = list(wheels)
    if not wheels:
        return None
    digest = hashlib.sha256("".join(sorted(wheel.parent.name for wheel in wheels)).encode()).hexdigest()
    target = folder / "installed" / digest
    if target.exists():
        return target
    half = target.with_name(f"{digest}.{os.getpid()}")
    command = [*pip(), "install", "--quiet", "--no-index", "--target", str(half), *map(str, wheels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(half, ignore_errors=True)
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")] or ["pip said nothing"]
        raise UnreadyRunError(f"--additional-python-modules could not be installed: {said[0].removeprefix('ERROR: ')}")
    try:
        half.replace(target)
    except OSError:  # another run was quicker
        shutil.rmtree(half, ignore_errors=True)
    return target
