"""Manifests, releases, files and status in the artifacts bucket: the adapter behind `ports.Manifests`.

Absence is the dangerous answer: a 404 alone proves nothing. Only a listing of versions whose newest entry for exactly this key is a
delete marker says that a manifest was deleted; whatever cannot be read raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.errors import Conflict, NotFound, NotReady, PlaneError
from meshplane.model.naming import Naming
from meshplane.plan.digest import digest
from meshplane.ports import DeletedManifest, Look, Manifest

MAX_MANIFEST = 256 * 1024  # bytes; a larger one is refused by the reader, and never held in memory whole
_POINTER = "project.yaml"


class S3Manifests:
    """The artifacts bucket of one domain and environment."""

    def __init__(self, clients: Clients, naming: Naming) -> None:
        self._clients, self._naming = clients, naming
        self._bucket = naming.bucket("artifacts")

    def newest(self, project: str) -> Manifest | DeletedManifest | None:
        """Raises Denied, NotFound for a missing bucket, and NotReady when a new version came between two looks."""
        key = self._naming.manifest_key(project)
        try:
            with translated("s3:GetObject", key):
                answer = self._s3.get_object(Bucket=self._bucket, Key=key)
                text = answer["Body"].read(MAX_MANIFEST + 1)
        except NotFound:
            return self._proven(key)
        return Manifest(
            text.decode("utf-8", "replace"), answer.get("VersionId", answer["ETag"]), answer.get("Metadata", {}).get("release", "")
        )

    def version(self, project: str) -> str:
        """One listing of this key."""
        newest = self._newest_version(self._naming.manifest_key(project))
        return newest[0] if newest else ""

    def texts(self, project: str) -> Iterator[str]:
        """One listing of this key, which S3 gives newest first, and a request for each version that is asked for."""
        key = self._naming.manifest_key(project)
        for entry in [entry for entry, deleted in self._versions(key) if entry["Key"] == key and not deleted]:
            with translated("s3:GetObjectVersion", key):
                answer = self._s3.get_object(Bucket=self._bucket, Key=key, VersionId=entry["VersionId"])
                text = answer["Body"].read(MAX_MANIFEST + 1)
            yield text.decode("utf-8", "replace")

    def looks(self) -> Sequence[Look]:
        """One listing of everything under `manifests/`, versions included."""
        prefix = self._naming.manifest_key("").partition("/")[0] + "/"
        pointers: dict[str, tuple[str, bool]] = {}
        beside: dict[str, dict[str, str]] = {}
        for entry, deleted in self._versions(prefix):
            project, _, path = entry["Key"].removeprefix(prefix).partition("/")
            if not entry["IsLatest"] or not path or path.endswith("/"):
                continue
            if path == _POINTER:
                pointers[project] = (entry["VersionId"], deleted)
            elif not deleted:
                beside.setdefault(project, {})[path] = entry["ETag"]
        return [Look(name, version, deleted, digest(beside.get(name, {}), 16)) for name, (version, deleted) in pointers.items()]

    def release_index(self, project: str, digest: str) -> str:
        """Raises NotFound."""
        return self.read(self._naming.of("release_key", project=project, digest=digest)).decode()

    def last_release(self, project: str) -> str:
        """One listing of the project's indexes, and the newest of them."""
        found = self._objects(self._naming.of("release_key", project=project, digest="").removesuffix(".json"))
        newest = max(found, key=lambda item: (item["LastModified"], item["Key"]), default=None)
        return self.read(newest["Key"]).decode() if newest else ""

    def beside(self, project: str) -> Mapping[str, str]:
        """One listing; the manifest itself is left out, a file of its name in a folder is not."""
        manifest = self._naming.manifest_key(project)
        prefix = manifest.removesuffix(_POINTER)
        found = (item for item in self._objects(prefix) if item["Key"] != manifest and not item["Key"].endswith("/"))
        return {item["Key"].removeprefix(prefix): item["ETag"] for item in found}

    def read_beside(self, project: str, path: str) -> bytes:
        """Raises NotFound."""
        return self.read(self._naming.manifest_key(project).removesuffix(_POINTER) + path)

    def read(self, key: str) -> bytes:
        """Raises NotFound."""
        with translated("s3:GetObject", key):
            content: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return content

    def has(self, key: str) -> bool:
        """By its head."""
        try:
            with translated("s3:HeadObject", key):
                self._s3.head_object(Bucket=self._bucket, Key=key)
        except NotFound:
            return False
        return True

    def keep(self, key: str, content: bytes) -> None:
        """Conditional: it is written at most once."""
        try:
            with translated("s3:PutObject", key):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*")
        except Conflict:
            return  # content-addressed: whoever put it put the same bytes

    def publish_status(self, project: str, document: str, text: str) -> None:
        """Two small objects, outside what any rule watches. The document last: where it stands, its text does."""
        for name, body, kind in (("status_text_key", text, "text/plain; charset=utf-8"), ("status_key", document, "application/json")):
            key = self._naming.of(name, project=project)
            with translated("s3:PutObject", key):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body.encode(), ContentType=kind)

    def forget_files(self, project: str) -> int:
        """Three prefixes, 1,000 keys a request. Raises PlaneError when one could not be deleted."""
        files = self._naming.project_file(project, "", "").removesuffix("//") + "/"
        releases = self._naming.of("release_key", project=project, digest="").removesuffix(".json")
        prefixes = (files, releases, self._naming.of("temp_prefix", project=project))
        gone = 0
        for prefix in prefixes:
            keys = [{"Key": item["Key"]} for item in self._objects(prefix)]
            for at in range(0, len(keys), 1000):
                batch = keys[at : at + 1000]
                with translated("s3:DeleteObjects", prefix):
                    answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True})
                if answer.get("Errors"):
                    raise PlaneError(
                        f"{len(answer['Errors'])} objects under {prefix} could not be deleted: {answer['Errors'][0].get('Code')}"
                    )
                gone += len(batch)
        return gone

    @property
    def _s3(self) -> Any:
        return self._clients("s3")

    def _proven(self, key: str) -> DeletedManifest | None:
        newest = self._newest_version(key)
        if newest is None:
            return None
        version, deleted = newest
        if not deleted:  # put between our two looks
            raise NotReady(f"{key} came back while it was being looked at", timedelta())
        return DeletedManifest(version)

    def _newest_version(self, key: str) -> tuple[str, bool] | None:
        for entry, deleted in self._versions(key):
            if entry["Key"] == key and entry["IsLatest"]:
                return entry["VersionId"], deleted
        return None

    def _versions(self, prefix: str) -> Iterator[tuple[Mapping[str, Any], bool]]:
        """Every version and delete marker under a prefix, with whether it is a marker. Complete, or it raises."""
        with translated("s3:ListObjectVersions", prefix):
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix):
                yield from ((entry, False) for entry in page.get("Versions", ()))
                yield from ((entry, True) for entry in page.get("DeleteMarkers", ()))

    def _objects(self, prefix: str) -> Sequence[Mapping[str, Any]]:
        with translated("s3:ListObjectsV2", prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [item for page in pages for item in page.get("Contents", ())]
