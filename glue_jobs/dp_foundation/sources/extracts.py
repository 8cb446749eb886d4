"""What was taken from a source in each run, and what the last whole one left: the memory of the built-in `jdbc`.

    {raw}/{project}/_pages/{source}/{run_id}/extract.json   written once: the run took exactly this, however often it is repeated
    {raw}/{project}/_pages/{source}/{run_id}/{part}/rows/   the rows as they came, all text (parquet); `keys/`, `landed/` beside them
    {raw}/{project}/_pages/{source}/last.json               the run whose extract is the newest that landed

A run that fails before its extract is written has taken nothing: the next one begins where the last whole one ended.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from dp_foundation import storage
from dp_foundation.config.settings import get_config


@dataclass(frozen=True, slots=True)
class Extract:
    """One run's. `cursor`: the value of the incremental column that the next one begins at, as the database writes it; `folder`: key prefix
    of its rows; `rows`: how many are to land, in the `files` (keys); `columns`: of the source, in its order; `newest`: what a row for a
    deleted key carries, never less than in any run before; `looked`: the moment at which the keys were read, else the rows."""

    run_id: str
    at: str
    cursor: str
    folder: str
    rows: int
    columns: tuple[str, ...]
    files: tuple[str, ...] = ()
    newest: str = ""
    looked: str = ""


class Extracts:
    """Of one source of this project."""

    def __init__(self, project: str, source: str) -> None:
        names = get_config().names
        self.bucket = names.bucket("raw")
        self._prefix = names.of("pages_prefix", project=project, source=source)

    def begin(self, run_id: str) -> str:
        """A new folder for what this attempt of a run takes: a key prefix."""
        return f"{self._prefix}{run_id}/{uuid4().hex[:12]}/"

    def uri(self, folder: str, what: str) -> str:
        """`s3://…/rows`."""
        return f"s3://{self.bucket}/{folder}{what}"

    def of(self, run_id: str) -> Extract | None:
        """What a run took; None before it took anything."""
        found = storage.read_json(self.bucket, f"{self._prefix}{run_id}/extract.json")
        return _extract(found) if found else None

    def last(self) -> Extract | None:
        """The newest extract that landed."""
        found = storage.read_json(self.bucket, f"{self._prefix}last.json")
        return self.of(found["run_id"]) if found else None

    def keep(self, extract: Extract) -> Extract:
        """Write down what a run took. What another attempt wrote first counts, and is given back."""
        client = storage.client("s3")
        body = json.dumps({"schema": 1, **asdict(extract)}, sort_keys=True).encode()
        try:
            client.put_object(Bucket=self.bucket, Key=f"{self._prefix}{extract.run_id}/extract.json", Body=body, IfNoneMatch="*")
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            return self.of(extract.run_id) or extract
        return extract

    def landed(self, extract: Extract) -> None:
        """It landed: the next run goes on from it, unless a newer one did."""
        before = self.last()
        if before is None or before.at <= extract.at:
            storage.write_json(self.bucket, f"{self._prefix}last.json", {"run_id": extract.run_id})


def next_moment(before: str) -> str:
    """This moment, ISO 8601 in UTC to the microsecond; the next one after `before` where this machine's clock is behind that run's."""
    following = datetime.fromisoformat(before) + timedelta(microseconds=1) if before else datetime.min.replace(tzinfo=UTC)
    return max(datetime.now(UTC), following).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _extract(raw: dict[str, Any]) -> Extract:
    told = {name: raw[name] for name in Extract.__slots__ if name in raw}
    return Extract(**{**told, "columns": tuple(raw["columns"]), "files": tuple(raw["files"])})
