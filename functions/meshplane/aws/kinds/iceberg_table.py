"""Iceberg tables in AWS: one listing per database, one metadata file per table that somebody committed to; writes by `aws/iceberg/commit`.

Deleting is not among the verbs: `delete` refuses, whoever asks. A table whose entry is gone while its metadata stands is attached again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshplane.aws.faults import translated
from meshplane.aws.iceberg import build, catalog
from meshplane.aws.iceberg import metadata as files
from meshplane.aws.iceberg.commit import Commits, pause, version
from meshplane.aws.kinds.opening import Opening, prove
from meshplane.aws.listings import pages
from meshplane.errors import Conflict, NotFound, Rejected
from meshplane.kinds.iceberg_table import KIND, NAME, TOMBSTONE, IcebergTableSpec, owner_of, ownership_properties
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Want

if TYPE_CHECKING:
    from pyiceberg.table.update import TableUpdate


class IcebergTableAdapter:
    """`wait` is the pause between two attempts of a commit; tests pass one that does not sleep."""

    def __init__(self, opening: Opening, wait: Callable[[int], None] = pause) -> None:
        self._clients, self._listings, self._naming = opening.clients, opening.listings, opening.naming
        self._commits = Commits(opening.clients, wait)

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[IcebergTableSpec]]:
        """A table whose mark (metadata location) is known costs no read: its metadata file is immutable."""
        wanted = {one: one for one in ids if one.kind == NAME}
        out = []
        entries = catalog.entries(self._clients, self._listings, self._naming, owner.project, wanted)
        if wanted and not entries:  # a project without any table: a new one, or one that was renamed
            out += list(self._left_behind(wanted, owner))
        for entry in entries:
            this = Id(NAME, catalog.name_of(entry))
            seen = self._seen(wanted.get(this, this), entry, known)
            if seen is not None and (this in wanted or (catalog.is_iceberg(entry) and seen.owner == owner)):
                out.append(seen)
        return out

    def create(self, want: Want[IcebergTableSpec], owner: Owner) -> Done:
        """PutObject and CreateTable. Where a table of this owner stands without an entry, its newest metadata is entered instead."""
        database, name = catalog.split(want.id)
        standing = self._standing(want.spec.location)
        if standing is None:
            return Done(self._commits.create(database, name, want.spec, ownership_properties(owner)))
        found = owner_of(files.read(self._clients, standing).get("properties") or {})
        if found != owner:
            raise Conflict(f"{want.id}: the data of another table stands at {want.spec.location}", found.project if found else "")
        self._commits.attach(database, name, standing)
        return Done(self._commit(want.id, want.spec, owner, None))

    def update(self, seen: Seen[IcebergTableSpec], to: IcebergTableSpec, diff: tuple[Difference, ...], owner: Owner) -> Done:
        """One commit. Raises Rejected for what cannot be done in place, Conflict when what is to be done is no longer what was planned."""
        return Done(self._commit(seen.id, to, owner, {one.field for one in diff}))

    def claim(self, seen: Seen[IcebergTableSpec], owner: Owner) -> Done:
        """Our ownership among the properties, nothing else."""
        from pyiceberg.table.update import SetPropertiesUpdate

        def plan(raw: Mapping[str, Any]) -> tuple[TableUpdate, ...]:
            found = owner_of(raw.get("properties") or {})
            prove(found or owner, owner, seen.id)
            return () if found == owner else (SetPropertiesUpdate(updates=dict(ownership_properties(owner))),)

        return Done(self._commits.commit(*catalog.split(seen.id), plan))

    def delete(self, seen: Seen[IcebergTableSpec], owner: Owner) -> Done:
        """Never: an undeclared table rests (KIND.resting). Purging is a step of its own, tied to the table's uuid (DESIGN §6)."""
        prove(seen.owner, owner, seen.id)
        raise Rejected(f"{seen.id} is not deleted: an undeclared table keeps its data and rests")

    def _left_behind(self, wanted: Collection[Id], owner: Owner) -> Iterator[Seen[IcebergTableSpec]]:
        """Resting tables of other projects that are called as these: what a removed project left."""
        for database in sorted({catalog.split(one)[0] for one in wanted}):
            rows = catalog.namesakes(self._clients, self._listings, database, wanted)
            left = [row for row in rows if TOMBSTONE in catalog.parameters(row) and owner_of(catalog.parameters(row)) not in (None, owner)]
            for row in left:
                location = catalog.parameters(row).get("metadata_location", "")
                yield Seen(Id(NAME, catalog.name_of(row)), None, location, owner_of(catalog.parameters(row)), resting=True)
            if not left:  # so the project is no renamed one, and the other databases need not be asked
                return

    def _seen(self, this: Id, entry: catalog.Entry, known: Mapping[Id, str]) -> Seen[IcebergTableSpec] | None:
        parameters = catalog.parameters(entry)
        claimed = owner_of(parameters)  # a copy that every Iceberg client keeps; the truth is in the metadata file
        if not catalog.is_iceberg(entry):
            place = (entry.get("StorageDescriptor") or {}).get("Location", "")
            other = IcebergTableSpec(place, (), table_format=parameters.get("classification") or "Hive")
            return Seen(this, other, owner=claimed)
        location = parameters.get("metadata_location", "")
        if claimed is not None and location and known.get(this) == location:
            return Seen(this, None, location, claimed, resting=TOMBSTONE in parameters)
        try:
            raw = files.read(self._clients, location)
        except NotFound:
            return Seen(this, None, location, claimed, busy=f"its metadata file {location} is gone: restore that version of the object")
        spec = files.spec(raw)
        return Seen(this, spec, location, owner_of(spec.properties), resting=spec.tombstone)

    def _commit(self, this: Id, to: IcebergTableSpec, owner: Owner, planned: set[str] | None) -> str:
        def plan(raw: Mapping[str, Any]) -> tuple[TableUpdate, ...]:
            now = files.spec(raw)
            prove(owner_of(now.properties), owner, this)
            differences = KIND.compare(to, now)
            refused = [one.refused for one in differences if one.refused]
            if refused:
                raise Rejected(f"{this}: " + "; ".join(refused))
            fields = [one.field for one in differences]
            unplanned = [one for one in fields if planned is not None and not to.tombstone and one not in planned]
            if unplanned:
                raise Conflict(f"{this} was changed by somebody else meanwhile ({', '.join(unplanned)}): it is looked at again")
            return build.updates(to, raw) if differences else ()

        return self._commits.commit(*catalog.split(this), plan)

    def _standing(self, location: str) -> str | None:
        """The newest metadata file of a table that stands at `location` without an entry, or None. One listing serves a whole layer."""
        bucket, key = files.bucket_and_key(location.rstrip("/") + "/")
        warehouse = key.rstrip("/").rpartition("/")[0] + "/"
        found = self._listings.once(
            ("warehouse", bucket, warehouse),
            lambda: pages(self._clients, "s3", "list_objects_v2", "CommonPrefixes", Bucket=bucket, Prefix=warehouse, Delimiter="/"),
        )
        if not any(one["Prefix"] == key for one in found):
            return None
        rows = pages(self._clients, "s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=f"{key}metadata/")
        places = [(version(f"/{row['Key']}"), row["LastModified"], row["Key"]) for row in rows if row["Key"].endswith(".metadata.json")]
        for _, _, newest in sorted(places, reverse=True):
            if self._is_whole(f"s3://{bucket}/{newest}"):
                return f"s3://{bucket}/{newest}"
        return None

    def _is_whole(self, location: str) -> bool:
        """Whether the current snapshot's list is there: a writer that lost its commit takes its files away, but may leave its metadata."""
        raw = files.read(self._clients, location)
        current = next((one for one in raw.get("snapshots") or [] if one["snapshot-id"] == raw.get("current-snapshot-id")), None)
        if current is None or "manifest-list" not in current:
            return True
        bucket, key = files.bucket_and_key(current["manifest-list"])
        try:
            with translated("s3:HeadObject", current["manifest-list"]):
                self._clients("s3").head_object(Bucket=bucket, Key=key)
        except NotFound:
            return False
        return True


def adapter(opening: Opening) -> IcebergTableAdapter:
    """Opened for one reconcile."""
    return IcebergTableAdapter(opening)
