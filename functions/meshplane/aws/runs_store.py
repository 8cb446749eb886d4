"""Run records and slots in the state table (docs/contracts.md §5): the adapter behind `ports.RunStore`.

Slots and the records that belong to a change of them are one DynamoDB transaction, on condition of the slots' version. Items are
plain maps; numbers come back as int. Called through `wiring` by the functions, and directly by the command line, which only reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from meshplane.aws.faults import translated
from meshplane.errors import AlreadyExists, Conflict, Stale
from meshplane.model.gating import AppliedGates, GatedTable
from meshplane.model.runs import OPEN, Arrival, PipelinePolicy, Run, StepEnd, digest
from meshplane.model.slots import Change, Ended, Merge, Pending, Slots, Waiting
from meshplane.model.windows import moment

KEPT = timedelta(days=400)  # how long an ended run's record stays
REMEMBERED = timedelta(days=30)  # S3, EventBridge and SQS together deliver an event within 19 days, or never
Item = dict[str, Any]
_IF_OPEN = "#status IN (:waiting, :running)"
_OPEN_VALUES = {":waiting": {"S": "WAITING"}, ":running": {"S": "RUNNING"}}


class DynamoRuns:
    """`client` is a DynamoDB client, `table` the state table's name."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def policies(self, project: str) -> Mapping[str, PipelinePolicy] | None:
        """The state item's `pipelines`; None before the first reconcile."""
        item = self._get(project, "state", ["pipelines"])
        if item is None or "pipelines" not in item:
            return None
        return {name: PipelinePolicy.from_json(stored) for name, stored in item["pipelines"].items()}

    def awaited(self, project: str) -> bool:
        """The state item's phase, and what the last reconcile noted."""
        item = self._get(project, "state", ["phase", "awaits_runs"]) or {}
        return item.get("phase") == "draining" or bool(item.get("awaits_runs"))

    def unjudged(self, project: str) -> str:
        """The state item's `unjudged`."""
        return str((self._get(project, "state", ["unjudged"]) or {}).get("unjudged", ""))

    def gates(self, project: str) -> AppliedGates:
        """The state item's `gates` and phase: for publish_tables."""
        item = self._get(project, "state", ["gates", "phase"]) or {}
        stored = item.get("gates")
        gates = None if stored is None else {name: GatedTable.from_json(gate) for name, gate in stored.items()}
        return AppliedGates(item.get("phase", "active"), gates)

    def watched(self, project: str) -> Mapping[str, Any]:
        """The state item's `watched`: what the watchdog remembers, by table."""
        return dict((self._get(project, "state", ["watched"]) or {}).get("watched", {}))

    def watch(self, project: str, table: str, told: Mapping[str, Any]) -> bool:
        """Into `watched`, which no reconcile writes. False where there is no state item: it was wiped, and the next pass looks anew."""
        asked: Item = {"TableName": self._table, "Key": _dump({"pk": _pk(project), "sk": "state"})}
        begin = {
            "UpdateExpression": "SET watched = :none",
            "ConditionExpression": "attribute_exists(fence) AND attribute_not_exists(watched)",
        }
        self._if_met("dynamodb:UpdateItem", self._client.update_item, {**asked, **begin, "ExpressionAttributeValues": _dump({":none": {}})})
        keep = {"UpdateExpression": "SET watched.#table = :told", "ConditionExpression": "attribute_exists(watched)"}
        named = {"ExpressionAttributeNames": {"#table": table}, "ExpressionAttributeValues": _dump({":told": told})}
        return self._if_met("dynamodb:UpdateItem", self._client.update_item, {**asked, **keep, **named})

    def slots(self, project: str, pipeline: str) -> Slots:
        """One pipeline's slots."""
        item = self._get(project, f"slots#{pipeline}")
        return _slots(item) if item else Slots()

    def all_slots(self, project: str) -> Mapping[str, Slots]:
        """Every `slots#` item of the project."""
        return {item["sk"].partition("#")[2]: _slots(item) for item in self._query(project, "slots#")}

    def run(self, project: str, run_id: str) -> Run | None:
        """One run's record."""
        item = self._get(project, f"run#{run_id}")
        return _run(item) if item else None

    def history(self, project: str) -> Iterator[Run]:
        """Every run on record, in no order: for the command line and the sweep."""
        return (_run(item) for item in self._query(project, "run#"))

    def commit(self, project: str, pipeline: str, change: Change) -> None:
        """One transaction; raises Stale or AlreadyExists."""
        writes = [self._slots_write(project, pipeline, change.slots)]
        writes += [{"Put": self._put_once(run)} for run in change.put]
        if change.merge:
            writes.append({"Update": self._merge(project, change.merge)})
        if change.closed:
            writes.append({"Put": self._put_closed(change.closed)})
        with translated("dynamodb:TransactWriteItems", self._table):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except self._client.exceptions.TransactionCanceledException as cancelled:
                raise _cancelled(cancelled, len(change.put)) from cancelled

    def put(self, run: Run) -> bool:
        """Conditional on there being none."""
        return self._if_met("dynamodb:PutItem", self._client.put_item, self._put_once(run))

    def started(self, project: str, run_id: str, execution: str, at: str) -> bool:
        """Conditional on WAITING."""
        values = {":running": "RUNNING", ":waiting": "WAITING", ":execution": execution, ":at": at, ":none": ""}
        change = "SET #status = :running, execution = :execution, started = :at, reason = :none"
        return self._update(project, run_id, change, "#status = :waiting", values, {"#status": "status"})

    def noted(self, project: str, run_id: str, reason: str) -> bool:
        """Conditional on WAITING."""
        values = {":waiting": "WAITING", ":reason": reason}
        return self._update(project, run_id, "SET reason = :reason", "#status = :waiting", values, {"#status": "status"})

    def step_ended(self, project: str, run_id: str, key: str, step: StepEnd) -> bool:
        """Conditional on there being a record."""
        names = {"#steps": "steps", "#key": key}
        return self._update(project, run_id, "SET #steps.#key = :step", "attribute_exists(pk)", {":step": asdict(step)}, names)

    def seen(self, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> frozenset[str]:
        """Looked up by a hundred, unprocessed keys again."""
        keys = {_seen_key(pipeline, trigger, file): file.identity for file in files}
        found: set[str] = set()
        for chunk in _chunks(list(keys), 100):
            asked = [_dump({"pk": _pk(project), "sk": sk}) for sk in chunk]
            while asked:
                with translated("dynamodb:BatchGetItem", self._table):
                    answer = self._client.batch_get_item(
                        RequestItems={self._table: {"Keys": asked, "ConsistentRead": True, "ProjectionExpression": "sk"}}
                    )
                found |= {keys[item["sk"]["S"]] for item in answer["Responses"].get(self._table, [])}
                asked = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
        return frozenset(found)

    def mark_seen(self, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> None:
        """Unconditional, so repeating it is harmless."""
        keyed = {_seen_key(pipeline, trigger, file): file for file in files}
        for chunk in _chunks(list(keyed), 25):
            asked = [{"PutRequest": {"Item": _dump(_marker(project, sk, keyed[sk]))}} for sk in chunk]
            while asked:
                with translated("dynamodb:BatchWriteItem", self._table):
                    answer = self._client.batch_write_item(RequestItems={self._table: asked})
                asked = answer.get("UnprocessedItems", {}).get(self._table, [])

    def _get(self, project: str, sk: str, only: Sequence[str] = ()) -> Item | None:
        names = {f"#{index}": name for index, name in enumerate(only)}
        projection = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if only else {}
        with translated("dynamodb:GetItem", self._table):
            key = _dump({"pk": _pk(project), "sk": sk})
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True, **projection)
        return _load(answer["Item"]) if "Item" in answer else None

    def _query(self, project: str, prefix: str) -> Iterator[Item]:
        values = _dump({":pk": _pk(project), ":prefix": prefix})
        asked = {"KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)", "ExpressionAttributeValues": values}
        with translated("dynamodb:Query", self._table):
            pages = self._client.get_paginator("query").paginate(TableName=self._table, ConsistentRead=True, **asked)
            for page in pages:
                yield from map(_load, page["Items"])

    def _slots_write(self, project: str, pipeline: str, slots: Slots) -> Item:
        item = {"pk": _pk(project), "sk": f"slots#{pipeline}", **asdict(slots), "version": slots.version + 1}
        write: Item = {"TableName": self._table, "Item": _dump(item), "ConditionExpression": "attribute_not_exists(pk)"}
        if slots.version:
            write |= {"ConditionExpression": "version = :version", "ExpressionAttributeValues": _dump({":version": slots.version})}
        return {"Put": write}

    def _put_once(self, run: Run) -> Item:
        return {"TableName": self._table, "Item": _dump(_item(run)), "ConditionExpression": "attribute_not_exists(pk)"}

    def _put_closed(self, run: Run) -> Item:
        condition = {"ConditionExpression": _IF_OPEN, "ExpressionAttributeNames": {"#status": "status"}}
        return {"TableName": self._table, "Item": _dump(_item(run)), **condition, "ExpressionAttributeValues": _OPEN_VALUES}

    def _merge(self, project: str, merge: Merge) -> Item:
        values = {":files": [asdict(file) for file in merge.files], ":count": merge.count}
        return {
            "TableName": self._table,
            "Key": _dump({"pk": _pk(project), "sk": f"run#{merge.run_id}"}),
            "UpdateExpression": "SET files = list_append(files, :files), files_total = files_total + :count",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": _dump(values),
        }

    def _update(self, project: str, run_id: str, change: str, condition: str, values: Item, names: Mapping[str, str]) -> bool:
        asked = {
            "TableName": self._table,
            "Key": _dump({"pk": _pk(project), "sk": f"run#{run_id}"}),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": _dump(values),
        }
        return self._if_met("dynamodb:UpdateItem", self._client.update_item, asked)

    def _if_met(self, action: str, call: Any, asked: Item) -> bool:
        try:
            with translated(action, self._table):
                call(**asked)
        except Conflict:
            return False
        return True


def _cancelled(error: ClientError, puts: int) -> Exception:
    """Which condition failed, by its place in the transaction: slots first, then the new records, then the rest."""
    codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
    if "ConditionalCheckFailed" in codes[1 : 1 + puts]:
        return AlreadyExists("the run is recorded already")
    if any(code in {"ConditionalCheckFailed", "TransactionConflict"} for code in codes):
        return Stale("the slots moved on")
    return error


def _pk(project: str) -> str:
    return f"project#{project}"


def _seen_key(pipeline: str, trigger: str, file: Arrival) -> str:
    return f"seen#{pipeline}#{trigger}#{digest(file.key)}{digest(file.identity)}"


def _marker(project: str, sk: str, file: Arrival) -> Item:
    at = int((moment(file.at) + REMEMBERED).timestamp()) if file.at else None
    return {"pk": _pk(project), "sk": sk, "key": file.key, **({"expires": at} if at else {})}


def _item(run: Run) -> Item:
    ended = {"expires": int((moment(run.ended) + KEPT).timestamp())} if run.ended and run.status not in OPEN else {}
    return {"pk": _pk(run.project), "sk": f"run#{run.run_id}", **asdict(run), **ended}


def _run(item: Item) -> Run:
    fields = {key: value for key, value in item.items() if key not in {"pk", "sk", "expires", "files", "steps"}}
    files = tuple(Arrival(**file) for file in item.get("files", ()))
    return Run(**fields, files=files, steps={key: StepEnd(**step) for key, step in item.get("steps", {}).items()})


def _slots(item: Item) -> Slots:
    return Slots(
        tuple(item["open"]),
        tuple(Waiting(**one) for one in item["waiting"]),
        {name: Pending(tuple(Arrival(**file) for file in held["files"]), held["last"]) for name, held in item["pending"].items()},
        tuple(Ended(**one) for one in item["ended"]),
        item["looked"],
        item["version"],
    )


def _dump(item: Mapping[str, Any]) -> Item:
    serializer = TypeSerializer()
    return {key: serializer.serialize(_plain(value)) for key, value in item.items()}


def _load(item: Mapping[str, Any]) -> Item:
    deserializer = TypeDeserializer()
    return {key: _whole(deserializer.deserialize(value)) for key, value in item.items()}


def _plain(value: Any) -> Any:
    """Tuples, as dataclasses hold them, become the lists that DynamoDB has."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (tuple, list)) else value


def _whole(value: Any) -> Any:
    """DynamoDB's Decimal becomes int: no item of ours holds a fraction."""
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if type(value).__name__ == "Decimal" else value


def _chunks(values: list[str], size: int) -> Iterator[list[str]]:
    return (values[at : at + size] for at in range(0, len(values), size))
