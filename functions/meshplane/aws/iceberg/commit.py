"""Writes Iceberg metadata and moves Glue's pointer to it: creation, attaching what stands, and the commit loop. Called by the adapter.

A commit is GetTable, GetObject, PutObject, UpdateTable with the VersionId that was read. Glue refuses it when anybody was faster; then
everything is read and planned anew. A lost reply needs no case of its own: reading again shows whether there is anything left to do.
pyiceberg decides what metadata looks like; the requests are ours, because its catalog drops the entry's Description and Owner, never
prunes parameters, does not repeat a commit of the schema alone, and needs 8 to 10 requests (aws-facts B10, C2).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.aws.iceberg import build, catalog
from meshplane.aws.iceberg import metadata as files
from meshplane.errors import Conflict, NotFound, ServiceFault
from meshplane.kinds.iceberg_table import COMMENT, IcebergTableSpec

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

ATTEMPTS = 10
Plan = Callable[[Mapping[str, Any]], "tuple[TableUpdate, ...]"]
"""Metadata file → the updates that are still to be made. Raises when there may be none."""


def pause(attempt: int) -> None:
    """Full jitter, at most 0.05 s doubling up to 2 s: writers that collided should not meet again."""
    time.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 not a secret


class Commits:
    """The writes to one catalog. `wait` is called with the number of the attempt that failed."""

    def __init__(self, clients: Clients, wait: Callable[[int], None] = pause) -> None:
        self._clients, self._wait = clients, wait

    def create(self, database: str, name: str, want: IcebergTableSpec, ownership: Mapping[str, str]) -> str:
        """A new, empty table in two requests. Returns its metadata location. Raises AlreadyExists."""
        table = build.first(want, ownership)
        location = f"{table.location}/metadata/00000-{table.table_uuid}.metadata.json"
        self._put(location, table)
        self._enter(database, name, location, table)
        return location

    def attach(self, database: str, name: str, location: str) -> None:
        """Enter a table whose metadata stands. Raises AlreadyExists."""
        self._enter(database, name, location, _parsed(files.read(self._clients, location)))

    def commit(self, database: str, name: str, plan: Plan) -> str:
        """One commit of whatever `plan` says, or none. Returns the metadata location that holds it.

        Raises Conflict when other writers won ATTEMPTS times, NotFound when the entry is gone, and what `plan` raises.
        """
        for attempt in range(ATTEMPTS):
            entry = catalog.get(self._clients, database, name)
            if entry is None:
                raise NotFound(f"table {database}.{name} is not in the catalog any more")
            before = catalog.parameters(entry)["metadata_location"]
            raw = files.read(self._clients, before)
            updates = plan(raw)
            if not updates:
                return before
            try:
                return self._move(entry, before, raw, updates)
            except (Conflict, ServiceFault):  # overtaken, or the outcome is unknown: look again
                self._wait(attempt)
        raise Conflict(f"table {database}.{name}: other writers committed first {ATTEMPTS} times; the next reconcile tries again")

    def move(self, entry: catalog.Entry, raw: Mapping[str, Any], updates: tuple[TableUpdate, ...]) -> str:
        """Exactly one try, on the entry and metadata that the caller has looked at. Raises Conflict when somebody was faster."""
        return self._move(entry, catalog.parameters(entry)["metadata_location"], raw, updates)

    def _move(self, entry: catalog.Entry, before: str, raw: Mapping[str, Any], updates: tuple[TableUpdate, ...]) -> str:
        from pyiceberg.table.locations import load_location_provider
        from pyiceberg.table.update import update_table_metadata

        with translated("iceberg:UpdateTable", catalog.name_of(entry)):
            table = update_table_metadata(_parsed(raw), updates, enforce_validation=True, metadata_location=before)
            provider = load_location_provider(table.location, table.properties)
            after = provider.new_table_metadata_file_location(version(before) + 1)
        self._put(after, table)
        body = {**catalog.as_input(entry), **_input(entry["Name"], after, table)}
        gone = set(raw.get("properties") or {}) - set(table.properties)
        if COMMENT in gone:
            body.pop("Description", None)
        parameters = {key: value for key, value in catalog.parameters(entry).items() if key not in gone}
        body["Parameters"] = {**parameters, **body["Parameters"], "previous_metadata_location": before}
        with translated("glue:UpdateTable", catalog.name_of(entry)):
            self._clients("glue").update_table(
                DatabaseName=entry["DatabaseName"], TableInput=body, SkipArchive=True, VersionId=entry["VersionId"]
            )
        return after

    def _enter(self, database: str, name: str, location: str, table: TableMetadata) -> None:
        with translated("glue:CreateTable", f"{database}.{name}"):
            self._clients("glue").create_table(DatabaseName=database, TableInput=_input(name, location, table))

    def _put(self, location: str, table: TableMetadata) -> None:
        bucket, key = files.bucket_and_key(location)
        with translated("s3:PutObject", location):
            self._clients("s3").put_object(Bucket=bucket, Key=key, Body=table.model_dump_json().encode(), ContentType="application/json")


def version(location: str) -> int:
    """The number in `00012-uuid.metadata.json`; -1 where a foreign writer named the file otherwise, as Java does."""
    name = re.match(r"(\d+)-", location.rsplit("/", 1)[1])
    return int(name[1]) if name else -1


def _parsed(raw: Mapping[str, Any]) -> TableMetadata:
    from pyiceberg.table.metadata import TableMetadataUtil

    return TableMetadataUtil.parse_obj(dict(raw))


def _input(name: str, location: str, table: TableMetadata) -> dict[str, Any]:
    """The entry as every Iceberg client writes it, and the description, which pyiceberg takes from another property than Java."""
    from pyiceberg.catalog.glue import _construct_table_input

    body: dict[str, Any] = dict(_construct_table_input(name, location, table.properties, table))
    comment = table.properties.get(COMMENT)
    return {**body, "Description": comment} if comment else body
