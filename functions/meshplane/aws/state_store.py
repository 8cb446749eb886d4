"""Projects' state items in DynamoDB (docs/contracts.md §5): the adapter behind `ports.States`.

What conditions and the index read are attributes of their own; the rest is one compressed JSON document, in chunks where an item's
400 KB would not hold it. Every write names the fence it was won with, so that a holder that was overtaken writes nothing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer

from meshplane.aws.faults import translated
from meshplane.errors import Stale
from meshplane.model.context import Neighbour
from meshplane.model.windows import iso
from meshplane.plan.record import Record
from meshplane.plan.shares import neighbour
from meshplane.ports import Begun, Due

CHUNK = 300_000  # bytes of the compressed document in one item: 400 KB is the item's limit, and the rest of it is small
Item = dict[str, Any]
_DUE_PK = "project"
_AT_ONCE = "1970-01-01T00:00:00Z"  # an index key may not be empty


class DynamoStates:
    """`client` is a DynamoDB client, `table` the state table's name."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def begin(self, project: str, holder: str, now: datetime, lease: timedelta) -> Begun | None:
        """One conditional update that returns the record. A clock that runs behind the last fence costs a second one."""
        fence = int(now.timestamp() * 1000)
        at: Item = {":now": iso(now), ":until": iso(now + lease), ":holder": holder or f"{fence}"}
        values = {**at, ":fence": fence, ":no": False, ":pk": _DUE_PK}
        free = "(attribute_not_exists(lease_until) OR lease_until <= :now OR holder = :holder)"
        taken = "SET lease_until = :until, holder = :holder, fence = {fence}, dirty = :no, due_pk = :pk"
        while True:
            condition = f"{free} AND (attribute_not_exists(fence) OR fence < :fence)"
            item, won = self._update(project, taken.format(fence=":fence"), condition, values)
            if not won and _free(item, iso(now), at[":holder"]):
                ahead = {**{k: v for k, v in values.items() if k != ":fence"}, ":seen": item["fence"], ":one": 1}
                item, won = self._update(project, taken.format(fence="fence + :one"), f"{free} AND fence = :seen", ahead)
            if won:
                return Begun(self._record(project, item), int(item["fence"]), tuple(_chunk_keys(item)))
            held = {":fence": item.get("fence", 0), ":yes": True}
            _, told = self._update(project, "SET dirty = :yes", "fence = :fence AND attribute_exists(lease_until)", held)
            if told:
                return None
            # The holder gave the lease back between our two looks: try again.

    def confirm(self, begun: Begun, approved: Collection[str]) -> None:
        """A write, since only a write proves that the fence still holds. An empty list is stored as `-`: nothing, but looked at."""
        values: Item = {":fence": begun.fence, ":approved": list(approved) or ["-"]}
        self._must(begun, "SET approved = :approved", "fence = :fence AND attribute_exists(lease_until)", values)

    def draining(self, begun: Begun, version: str, pipelines: Mapping[str, object]) -> None:
        """Stored at once: start_run reads `pipelines`."""
        values = {":fence": begun.fence, ":phase": "draining", ":version": version, ":pipelines": dict(pipelines)}
        change = "SET phase = :phase, observed = :version, pipelines = :pipelines"
        self._must(begun, change, "fence = :fence AND attribute_exists(lease_until)", values)

    def finish(self, begun: Begun, record: Record) -> bool:
        """Chunks first, then the item, then the chunks that it no longer names."""
        memory = _pack(record.memory())
        chunks = [memory[at : at + CHUNK] for at in range(CHUNK, len(memory), CHUNK)]
        for number, chunk in enumerate(chunks, 1):
            key = {"pk": _pk(record.project), "sk": _chunk_key(begun.fence, number)}
            with translated("dynamodb:PutItem", self._table):
                self._client.put_item(TableName=self._table, Item=_dump({**key, "memory": Binary(chunk)}))
        values = {
            ":fence": begun.fence,
            ":memory": Binary(memory[:CHUNK]),
            ":chunks": len(chunks),
            ":phase": record.phase,
            ":observed": record.observed,
            ":applied": record.applied,
            ":verified": record.last_verified,
            ":due": record.due_at or _AT_ONCE,
            ":loose": record.beside,
            ":refers": list(record.refers),
            ":stalled": record.stalled,
            ":awaits": record.awaits_runs,
            ":shares": Binary(_pack(record.shares)),  # beside a whole chunk a thousand tables' text would not fit into the item
            ":pipelines": dict(record.pipelines),
            ":gates": dict(record.gates),
            ":unjudged": record.past_the_gate,
            ":status": json.dumps(record.status, separators=(",", ":"), default=str),
        }
        change = (
            "SET memory = :memory, memory_chunks = :chunks, memory_fence = :fence, phase = :phase, observed = :observed, "
            "applied = :applied, last_verified = :verified, due_at = :due, loose = :loose, refers = :refers, stalled = :stalled, "
            "awaits_runs = :awaits, shares = :shares, pipelines = :pipelines, gates = :gates, unjudged = :unjudged, #status = :status "
            "REMOVE lease_until, holder, approved"
        )
        item = self._must(begun, change, "fence = :fence", values, {"#status": "status"})
        for sk in begun.kept:
            with translated("dynamodb:DeleteItem", self._table):
                self._client.delete_item(TableName=self._table, Key=_dump({"pk": _pk(record.project), "sk": sk}))
        return bool(item.get("dirty"))

    def note(self, begun: Begun, entry: Mapping[str, object], expires: datetime) -> None:
        """One item; DynamoDB removes it after `expires`."""
        key = {"pk": _pk(begun.record.project), "sk": f"history#{begun.fence:020d}"}
        item = _dump({**key, **entry, "expires": int(expires.timestamp())})
        with translated("dynamodb:PutItem", self._table):
            self._client.put_item(TableName=self._table, Item=item)

    def peek(self, project: str) -> Record:
        """One strongly consistent read."""
        with translated("dynamodb:GetItem", self._table):
            answer = self._client.get_item(TableName=self._table, Key=_key(project), ConsistentRead=True)
        return self._record(project, _load(answer["Item"]) if "Item" in answer else {})

    def neighbours(self, projects: Collection[str]) -> Mapping[str, Neighbour]:
        """One BatchGetItem per 100."""
        found: dict[str, Item] = {}
        asked: list[Item] = [_key(project) for project in sorted(projects)]
        while asked:
            keys = {"Keys": asked[:100], "ConsistentRead": True, "ProjectionExpression": "pk, shares, applied, phase"}
            with translated("dynamodb:BatchGetItem", self._table):
                answer = self._client.batch_get_item(RequestItems={self._table: keys})
            found |= {item["pk"].partition("#")[2]: item for item in map(_load, answer["Responses"].get(self._table, ()))}
            asked = [*answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", ()), *asked[100:]]
        return {project: _neighbour(project, found.get(project, {})) for project in projects}

    def due(self) -> Sequence[Due]:
        """One Query of the index, which may lag behind by a moment: a project is then queued once too often, or a sweep later."""
        with translated("dynamodb:Query", self._table):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName="due",
                KeyConditionExpression="due_pk = :pk",
                ExpressionAttributeValues=_dump({":pk": _DUE_PK}),
            )
            return [_due(item) for page in pages for item in map(_load, page["Items"])]

    def _record(self, project: str, item: Item) -> Record:
        packed = item.get("memory", b"")
        for sk in _chunk_keys(item):
            key = _dump({"pk": _pk(project), "sk": sk})
            with translated("dynamodb:GetItem", self._table):
                answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
            packed += _load(answer["Item"])["memory"] if "Item" in answer else b""
        memory = _unpack(packed)
        record = Record.of(
            project,
            memory,
            phase=item.get("phase", "active"),
            observed=item.get("observed", ""),
            applied=item.get("applied", ""),
            last_verified=item.get("last_verified", ""),
            refers=tuple(item.get("refers", ())),
            awaits_runs=bool(item.get("awaits_runs")),
            shares=_unpack(item.get("shares", b"")),
            pipelines=item.get("pipelines", {}),
            gates=item.get("gates", {}),
            watched=item.get("watched", {}),
            status=json.loads(item.get("status", "{}")),
            due_at=item.get("due_at", "").replace(_AT_ONCE, ""),
            beside=item.get("loose", ""),
        )
        # An approval noted by a holder that died counts as much as one that was finished.
        noted = tuple(key for key in item.get("approved", ()) if key != "-")
        return replace(record, approved=tuple(sorted({*record.approved, *noted})))

    def _must(self, begun: Begun, change: str, condition: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
        item, won = self._update(begun.record.project, change, condition, values, names)
        if not won:
            raise Stale(f"{begun.record.project}: fence {begun.fence} was overtaken by {item.get('fence')}")
        return item

    def _update(self, project: str, change: str, condition: str, values: Item, names: Mapping[str, str] | None = None) -> tuple[Item, bool]:
        """The item after the update, and True; or the item as it stands, and False when the condition did not hold."""
        extra = {"ExpressionAttributeNames": dict(names)} if names else {}
        with translated("dynamodb:UpdateItem", self._table):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_key(project),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=_dump(values),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **extra,
                )
            except self._client.exceptions.ConditionalCheckFailedException as failed:
                return _load(failed.response.get("Item", {})), False
        return _load(answer.get("Attributes", {})), True


def _pk(project: str) -> str:
    return f"project#{project}"


def _key(project: str) -> Item:
    return _dump({"pk": _pk(project), "sk": "state"})


def _chunk_key(fence: int, number: int) -> str:
    return f"memory#{fence:020d}#{number:04d}"


def _chunk_keys(item: Item) -> Iterator[str]:
    return (_chunk_key(item["memory_fence"], number) for number in range(1, item.get("memory_chunks", 0) + 1))


def _free(item: Item, now: str, holder: str) -> bool:
    return "lease_until" not in item or item["lease_until"] <= now or item.get("holder") == holder


def _pack(memory: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(memory, separators=(",", ":"), sort_keys=True).encode(), 6)


def _unpack(packed: bytes) -> dict[str, Any]:
    """What was remembered. A document with a part missing is forgotten whole: that costs one look."""
    try:
        return dict(json.loads(zlib.decompress(packed))) if packed else {}
    except (zlib.error, ValueError):
        return {}


def _neighbour(project: str, item: Item) -> Neighbour:
    published = bool(item.get("applied")) and item.get("phase", "active") == "active"
    return neighbour(project, _unpack(item.get("shares", b"")), published)


def _due(item: Item) -> Due:
    return Due(
        item["pk"].partition("#")[2],
        item.get("phase", "active"),
        item.get("observed", ""),
        item.get("loose", ""),
        item.get("due_at", ""),
        item.get("lease_until", ""),
        bool(item.get("dirty")),
        tuple(item.get("refers", ())),
        bool(item.get("stalled")),
    )


def _dump(values: Mapping[str, Any]) -> Item:
    serializer = TypeSerializer()
    return {key: serializer.serialize(value) for key, value in values.items()}


def _load(item: Mapping[str, Any]) -> Item:
    deserializer = TypeDeserializer()
    return {key: _plain(deserializer.deserialize(value)) for key, value in item.items()}


def _plain(value: Any) -> Any:
    """Decimal back to int, Binary to bytes; sets and floats are never written."""
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, Binary):
        held: Any = value  # the stubs do not know its content
        return bytes(held.value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
