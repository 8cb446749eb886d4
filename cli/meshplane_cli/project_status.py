"""A project's status as its author reads it: the document and the text that the plane
leaves beside the manifests. For status, publish and demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane_cli.surroundings import Target

# Reasons that pass by themselves: nobody has to do anything but wait.
PASSING = frozenset(
    {"InProgress", "Waiting", "Draining", "NotReady", "Throttled", "Stale", "ServiceFault", "FileMissing", "Held", "Paused"}
)


@dataclass(frozen=True)
class Standing:
    """`document` is the status document, `text` what `status/<project>.txt` holds; both empty before the first reconcile."""

    project: str
    document: Mapping[str, Any]
    text: str

    def condition(self, axis: str) -> Mapping[str, Any]:
        """One axis, as the document has it."""
        return next((one for one in self.document.get("conditions", ()) if one["type"] == axis), {})

    def told(self, axis: str) -> str:
        """`True`, or `False: Denied`."""
        one = self.condition(axis)
        return f"{one.get('status', 'Unknown')}" + (f": {one['reason']}" if one and one["status"] != _GOOD[axis] else "")

    @property
    def version(self) -> str:
        """The manifest version that was last looked at."""
        return str(self.document.get("observedVersion", ""))

    @property
    def done(self) -> bool:
        """Is AWS as the manifest says?"""
        return self.condition("Synced").get("status") == "True" and self.condition("Healthy").get("status") != "False"

    @property
    def problem(self) -> bool:
        """Does somebody have to do something?"""
        synced = self.condition("Synced")
        return bool(synced) and synced["status"] == "False" and synced["reason"] not in PASSING


_GOOD = {"Synced": "True", "Healthy": "True", "Drifted": "False"}


def standing(target: Target, project: str) -> Standing:
    """Where the project stands now."""
    import json

    try:
        document = json.loads(_read(target, target.naming.of("status_key", project=project)))
        return Standing(project, document, _read(target, target.naming.of("status_text_key", project=project)))
    except NotFound:
        return Standing(project, {}, f"{project} in {target.env}: nothing is known of it. Publish it: meshplane publish {project}")


def published(target: Target) -> list[str]:
    """Projects that have a status in this environment."""
    bucket = target.naming.bucket("artifacts")
    prefix = target.naming.of("status_key", project="").removesuffix(".json")
    with translated("s3:ListObjectsV2", bucket):
        pages = target.clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
    return sorted(key.removeprefix(prefix).removesuffix(".json") for key in keys if key.endswith(".json"))


def _read(target: Target, key: str) -> str:
    bucket = target.naming.bucket("artifacts")
    with translated("s3:GetObject", f"{bucket}/{key}"):
        return str(target.clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())
