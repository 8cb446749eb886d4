"""Archive, records and memory of one source, in the project's prefix of the raw bucket, and its secret: the adapter behind
`flows.ingest_ports.IngestStore`, made by `wiring`.

    {project}/_pages/{source}/{run_id}/begun.json, 00001.json …   Spark and Hive read nothing below a name that begins with `_`
    {project}/_pages/{source}/{run_id}/stand.json                 where the run stood when a call noted it last
    {project}/_pages/{source}/{run_id}/reparse.json               likewise the reparse of its archive; `{}` once that is done
    {project}/_pages/{source}/last.json                           cursor and prints of the last whole run
    {project}/{table}/…                                           the records

A source's own script is read from the artifacts bucket, where `publish` put it by its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.errors import Conflict, NotFound, NotReady, SourceFailed
from meshplane.model.naming import Naming
from meshplane.model.sources import Page, Place, Source


class S3IngestStore:
    """For one source of one project."""

    def __init__(self, clients: Clients, naming: Naming, project: str, source: Source) -> None:
        self._clients, self._naming, self._project = clients, naming, project
        self._bucket = naming.bucket("raw")
        self._pages = naming.of("pages_prefix", project=project, source=source.name)
        self._table = naming.of("hive_prefix", project=project, table=source.into)

    def begin(self, run_id: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
        """Conditional: what stands there already counts."""
        key = f"{self._pages}{run_id}/begun.json"
        if self._put_once(key, json.dumps(begun)):
            return begun
        return self._read(key) or begun

    def page(self, run_id: str, number: int) -> Page | None:
        """Raises SourceFailed for a page that is not what it was."""
        found = self._read(f"{self._pages}{run_id}/{number:05}.json")
        return None if found is None else Page.from_json(found)

    def archive(self, run_id: str, number: int, page: Page) -> None:
        """Conditional."""
        self._put_once(f"{self._pages}{run_id}/{number:05}.json", json.dumps(page.to_json(), ensure_ascii=False))

    def land(self, path: str, text: str) -> None:
        """Conditional: the ledger knows objects by version, and a second version would be read again."""
        self._put_once(self._table + path, text)

    def remembered(self) -> Mapping[str, Any]:
        """Empty before the first whole run."""
        return self._read(f"{self._pages}last.json") or {}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Two runs at once: the later one counts, and a cursor that goes back only reads again."""
        self._put(f"{self._pages}last.json", memory)

    def noted(self, run_id: str, place: Place) -> Mapping[str, Any]:
        """Empty before the first note."""
        return self._read(f"{self._pages}{run_id}/{place}.json") or {}

    def note(self, run_id: str, place: Place, stand: Mapping[str, Any]) -> None:
        """Two calls at once: the later one counts. Either is true of the same pages."""
        self._put(f"{self._pages}{run_id}/{place}.json", stand)

    def secret(self, name: str) -> Mapping[str, str]:
        """Raises NotFound, Denied, and SourceFailed for a secret that is no JSON object; its text is in no message."""
        full = self._naming.of("secret", project=self._project, name=name)
        with translated("secretsmanager:GetSecretValue", full):
            text = self._clients("secretsmanager").get_secret_value(SecretId=full)["SecretString"]
        try:
            return {str(key): str(value) for key, value in dict(json.loads(text)).items()}
        except (ValueError, TypeError):
            raise SourceFailed(f"the secret {full} is not a JSON object of keys and values") from None

    def script(self, path: str, sha256: str) -> str:
        """By content: what a reconcile found in the release, and nothing else."""
        mend = f"run `meshplane publish {self._project}`"
        if not sha256:
            raise NotReady(f"{path} is in no release of this project: {mend}")
        key = self._naming.project_file(self._project, sha256, path.rpartition("/")[2])
        try:
            with translated("s3:GetObject", key):
                found = self._clients("s3").get_object(Bucket=self._naming.bucket("artifacts"), Key=key)["Body"].read()
        except NotFound as gone:
            raise NotReady(f"{key} is not in the artifacts bucket: {mend}") from gone
        if hashlib.sha256(found).hexdigest() != sha256:
            raise NotReady(f"{key} is not what was published: {mend}")
        return str(found.decode("utf-8"))

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            with translated("s3:GetObject", key):
                found: dict[str, Any] = json.loads(self._clients("s3").get_object(Bucket=self._bucket, Key=key)["Body"].read())
        except NotFound:
            return None
        return found

    def _put(self, key: str, content: Mapping[str, Any]) -> None:
        with translated("s3:PutObject", key):
            self._clients("s3").put_object(Bucket=self._bucket, Key=key, Body=json.dumps(content).encode())

    def _put_once(self, key: str, text: str) -> bool:
        try:
            with translated("s3:PutObject", key):
                self._clients("s3").put_object(Bucket=self._bucket, Key=key, Body=text.encode(), IfNoneMatch="*")
        except Conflict:
            return False
        return True
