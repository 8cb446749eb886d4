"""Glue's table optimizers: seen by BatchGetTableOptimizer, written with the full configuration, each request sent once.

Create and update may take minutes and drop the connection although they took effect: a time-out is unknown, so the optimizer is read
again. Glue checks the role at once and refuses until IAM has spread: `Denied` or `Rejected` then, a wait by the role's settling time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from meshplane.aws.faults import kind_of, translated
from meshplane.aws.iceberg import catalog
from meshplane.aws.kinds.opening import Opening, prove
from meshplane.errors import NotFound, Rejected, ServiceFault
from meshplane.kinds.iceberg_table import owner_of
from meshplane.kinds.table_optimizer import NAME, TYPES, OptimizerSpec
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Want

CHUNK = 100  # BatchGetTableOptimizer states no limit (aws-facts B14)
# Type → the key of its configuration. Glue's names (botocore, TableOptimizerConfiguration).
_KEYS = {
    "compaction": "compactionConfiguration",
    "retention": "retentionConfiguration",
    "orphan_file_deletion": "orphanFileDeletionConfiguration",
}
# What Glue fills in where nothing was sent (aws-facts C3), so that a table's own optimizer made elsewhere compares field by field.
DEFAULTS: Mapping[str, Mapping[str, str | int | bool]] = {
    "compaction": {"strategy": "binpack", "minInputFiles": 100, "deleteFileThreshold": 1},
    "retention": {"snapshotRetentionPeriodInDays": 5, "numberOfSnapshotsToRetain": 1, "cleanExpiredFiles": False, "runRateInHours": 24},
    "orphan_file_deletion": {"orphanFileRetentionPeriodInDays": 3, "runRateInHours": 24},
}


class TableOptimizerAdapter:
    """An optimizer is its table's owner's."""

    def __init__(self, opening: Opening) -> None:
        self._clients, self._listings, self._naming = opening.clients, opening.listings, opening.naming

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[OptimizerSpec]]:
        """Those of every Iceberg table of the project. No marks: one call reads a hundred."""
        wanted = {one: one for one in ids if one.kind == NAME}
        owners: dict[str, Owner | None] = {}
        for entry in catalog.entries(self._clients, self._listings, self._naming, owner.project, wanted):
            if catalog.is_iceberg(entry):
                owners[catalog.name_of(entry)] = owner_of(catalog.parameters(entry))
        asked = [Id(NAME, f"{table}/{kind}") for table in owners for kind in TYPES]
        out = []
        for this, found in self._read([one for one in asked if one in wanted or owners[_table(one)] == owner]):
            spec = _spec(this.name.rpartition("/")[2], found)
            resting = not spec.enabled and this not in wanted  # one that is declared `off` is as wanted, not at rest
            out.append(Seen(wanted.get(this, this), spec, "", owners[_table(this)], resting=resting))
        return out

    def create(self, want: Want[OptimizerSpec], owner: Owner) -> Done:
        """One request. A time-out is cleared up by a read. Raises AlreadyExists."""
        return self._write("create_table_optimizer", want.id, want.spec)

    def update(self, seen: Seen[OptimizerSpec], to: OptimizerSpec, diff: tuple[Difference, ...], owner: Owner) -> Done:
        """Always the full configuration: whether Glue merges or replaces is not documented."""
        prove(seen.owner, owner, seen.id)
        return self._write("update_table_optimizer", seen.id, to) if diff else Done()

    def claim(self, seen: Seen[OptimizerSpec], owner: Owner) -> Done:
        """Nothing to write: it is its table's owner's."""
        return Done()

    def delete(self, seen: Seen[OptimizerSpec], owner: Owner) -> Done:
        """Never: orphan deletion would forget the past, and a deleted one still hides the catalog's default. It rests."""
        prove(seen.owner, owner, seen.id)
        raise Rejected(f"{seen.id} is not deleted: an undeclared optimizer rests, switched off")

    def _write(self, operation: str, this: Id, spec: OptimizerSpec) -> Done:
        database, table = catalog.split(this)
        kind = this.name.rpartition("/")[2]
        action = f"glue:{'Create' if operation.startswith('create') else 'Update'}TableOptimizer"
        try:
            with translated(action, this.name):
                getattr(self._clients("glue", retries=False), operation)(
                    CatalogId=self._naming.account_id,
                    DatabaseName=database,
                    TableName=table,
                    Type=kind,
                    TableOptimizerConfiguration=_configuration(kind, spec),
                )
        except ServiceFault:
            if [_spec(kind, found) for _, found in self._read([this])] != [spec]:
                raise
        return Done()

    def _read(self, ids: Sequence[Id]) -> Iterator[tuple[Id, Mapping[str, Any]]]:
        """Id and TableOptimizer of those that exist. A failure that says anything but 'there is none' is raised."""
        for at in range(0, len(ids), CHUNK):
            chunk = ids[at : at + CHUNK]
            entries = [
                {"catalogId": self._naming.account_id, "databaseName": database, "tableName": table, "type": one.name.rpartition("/")[2]}
                for one in chunk
                for database, table in (catalog.split(one),)
            ]
            with translated("glue:BatchGetTableOptimizer"):
                answer = self._clients("glue").batch_get_table_optimizer(Entries=entries)
            for failure in answer.get("Failures", ()):
                error = failure.get("error") or {}
                raised = kind_of("glue:BatchGetTableOptimizer", error.get("ErrorCode", ""), 0)
                if raised is not NotFound:
                    raise raised(f"glue:BatchGetTableOptimizer: {error.get('ErrorCode', '')}: {error.get('ErrorMessage', '')}")
            for one in answer.get("TableOptimizers", ()):
                found = one["tableOptimizer"]
                yield Id(NAME, f"{one['databaseName']}.{one['tableName']}/{found['type']}"), found


def adapter(opening: Opening) -> TableOptimizerAdapter:
    """Opened for one reconcile."""
    return TableOptimizerAdapter(opening)


def _table(of: Id) -> str:
    return of.name.rpartition("/")[0]


def _spec(kind: str, found: Mapping[str, Any]) -> OptimizerSpec:
    configuration = found.get("configuration") or {}
    own = (configuration.get(_KEYS[kind]) or {}).get("icebergConfiguration") or {}
    connection = (configuration.get("vpcConfiguration") or {}).get("glueConnectionName", "")
    return OptimizerSpec(configuration.get("roleArn", ""), configuration.get("enabled", False), {**DEFAULTS[kind], **own}, connection)


def _configuration(kind: str, spec: OptimizerSpec) -> dict[str, Any]:
    out: dict[str, Any] = {
        "roleArn": spec.role_arn,
        "enabled": spec.enabled,
        _KEYS[kind]: {"icebergConfiguration": dict(spec.settings)},
    }
    return {**out, "vpcConfiguration": {"glueConnectionName": spec.connection}} if spec.connection else out
