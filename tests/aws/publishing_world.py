"""A gated table with real rows on moto, a run's branch and its record, and the real handler of publish_tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from botocore.exceptions import ConnectionClosedError
from samtranslator.yaml_helper import yaml_parse

from meshplane import wiring
from meshplane.aws.clients import Clients
from meshplane.aws.iceberg.commit import Commits
from meshplane.aws.state_store import DynamoStates
from meshplane.handlers.publish_tables import handler
from meshplane.kinds.iceberg_table import IcebergTableSpec, ownership_properties
from meshplane.model.gating import GatedRule, GatedTable
from meshplane.model.publishing import Request
from meshplane.model.types import Field, Primitive
from meshplane.plan.record import Record
from meshplane_cli.local.repairs import events
from tests.aws.behaviour import OWNER
from tests.aws.table_estate import NAMING, empty_estate, loaded

ROOT = Path(__file__).resolve().parents[2]
RUN, STEP, ATTEMPT = "daily-20300102T030405-3f9c1b2a77", "load_orders", "0_0"
BRANCH = Request("sales", RUN, STEP, ATTEMPT).branch
RULES = (GatedRule("implied_columns", "block"), GatedRule("implied_key_unique", "block"), GatedRule("cheap", "warn", 0, "10"))
CONTEXT = SimpleNamespace(
    function_name="f01-meshplane-publish-tables-dev",
    memory_limit_in_mb=1024,
    invoked_function_arn=NAMING.arn("lambda", "function:f01-meshplane-publish-tables-dev"),
    aws_request_id="1",
)
COLUMNS = (Field("order_id", Primitive("long"), required=True), Field("amount", Primitive("double")))
ARROW = pa.schema([pa.field("order_id", pa.int64(), nullable=False), pa.field("amount", pa.float64())])
ENVIRONMENT = {
    "MESHPLANE_ENV": "dev",
    "MESHPLANE_STATE_TABLE": NAMING.of("state_table"),
    "MESHPLANE_RECONCILE_QUEUE_URL": "-",
    "MESHPLANE_TRIGGER_QUEUE_URL": "-",
    "MESHPLANE_TRIGGER_QUEUE_ARN": "-",
    "MESHPLANE_TARGET_DLQ_ARN": "-",
    "MESHPLANE_SCHEDULER_ROLE_ARN": "-",
}


@cache
def _state_table() -> dict[str, Any]:
    """As the template declares it; parsing that takes half a second."""
    table = dict(yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["StateTable"]["Properties"])
    for unused in ("PointInTimeRecoverySpecification", "TimeToLiveSpecification", "SSESpecification"):
        table.pop(unused)
    return table


def gated(table: str) -> GatedTable:
    return GatedTable(table, NAMING.database("refined"), f"sales_{table}", f"digest of {table}", RULES)


@dataclass
class Estate:
    """`calls` lists every request of the plane; those of the tests' own pyiceberg go by other clients."""

    clients: Clients
    calls: list[str] = field(default_factory=list)
    lose: Callable[[str], bool] = lambda _: False
    delivered: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plane = type(self.clients)(type(self.clients.session)("test", "test", region_name=NAMING.region))
        self.plane.session.events.register("before-call.*.*", self._note)
        self.plane.session.events.register("after-call.*.*", self._answered)
        self.own = self.clients
        self.own("dynamodb").create_table(**{**_state_table(), "TableName": NAMING.of("state_table")})
        self.own("events").put_rule(Name="all", EventPattern=json.dumps({"source": ["meshplane"]}))
        self.own("events").put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": NAMING.arn("sqs", "heard")}])

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.append(f"{model.service_model.endpoint_prefix}:{model.name}")

    def _answered(self, model: Any, **_: Any) -> None:
        if self.lose(f"{model.service_model.endpoint_prefix}:{model.name}"):
            raise ConnectionClosedError(endpoint_url="the reply was lost")

    def table(self, name: str = "orders", rows: int = 0, owner: Any = OWNER) -> Any:
        """Made by the plane's own writer, with `rows` rows of before."""
        location = NAMING.table_location("sales", name, "refined", iceberg=True)
        spec = IcebergTableSpec(location, COLUMNS, properties={"meshplane.table": name})
        Commits(self.own).create(NAMING.database("refined"), f"sales_{name}", spec, ownership_properties(owner))
        if rows:
            self.append(name, rows, "main")
        return self.load(name)

    def load(self, name: str = "orders") -> Any:
        return loaded(self.own, NAMING.database("refined"), f"sales_{name}")

    def append(self, name: str, rows: int, branch: str, run_id: str = "") -> int:
        """Rows by pyiceberg's own writer; the snapshot's id."""
        table = self.load(name)
        data = pa.table({"order_id": list(range(rows)), "amount": [1.0] * rows}, schema=ARROW)
        first = table.current_snapshot() is None and branch not in table.refs()
        if branch != "main" and branch not in table.refs() and not first:
            table.manage_snapshots().create_branch(table.current_snapshot().snapshot_id, branch).commit()
            table = self.load(name)
        table.append(data, snapshot_properties={"run_id": run_id} if run_id else {}, branch="main" if first else branch)
        if first and branch != "main":  # pyiceberg cannot begin a table with a branch, Spark can
            self.edit(name, lambda raw: raw.update({"refs": {branch: raw["refs"]["main"]}, "current-snapshot-id": -1, "snapshot-log": []}))
        return int(self.load(name).refs()[branch].snapshot_id)

    def edit(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Other content in the metadata file that the catalog names."""
        bucket, _, key = self.load(name).metadata_location.removeprefix("s3://").partition("/")
        raw = json.loads(self.own("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        change(raw)
        self.own("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(raw).encode())

    def state(self, gates: Any = None, phase: Any = "active") -> None:
        """What a reconcile leaves."""
        states = DynamoStates(self.own("dynamodb"), NAMING.of("state_table"))
        begun = states.begin("sales", "", datetime(2030, 1, 2, tzinfo=UTC), timedelta(seconds=1))
        assert begun
        told = [gated("orders"), gated("items")] if gates is None else gates
        states.finish(begun, replace(Record("sales"), phase=phase, gates={gate.table: gate.to_json() for gate in told}))

    def written(
        self, name: str = "orders", rows: int = 3, run_id: str = RUN, branch: str = BRANCH
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A run's rows on its branch: the output and the verdict of its record."""
        before = self.load(name).current_snapshot()
        parent = before.snapshot_id if before else None
        snapshot = self.append(name, rows, branch, run_id)
        head = self.load(name).snapshot_by_id(snapshot)
        total = int(head.summary["total-records"])
        output = {"table": name, "snapshot": snapshot, "parent": parent, "branch": branch, "rows_added": rows, "rows_total": total}
        results = [
            {"rule": r.name, "kind": "x", "severity": r.severity, "outcome": "passed", "violations": 0, "rows": rows, "detail": ""}
            for r in RULES
        ]
        judged = {"schema_id": head.schema_id, "rules_digest": gated(name).digest, "rows": rows, "passed": True, "results": results}
        return output, {"table": name, "branch": branch, "snapshot": snapshot, "parent": parent, **judged}

    def record(self, *written: tuple[dict[str, Any], dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Put the outbox record of what was written."""
        outputs, verdicts = [out for out, _ in written], [verdict for _, verdict in written]
        named = {"schema": 1, "state": "done", "run_id": RUN, "project": "sales", "job": STEP, "step": STEP, "attempt": 0}
        times = {"pipeline": "daily", "started": "2030-01-02T03:04:05Z", "ended": "2030-01-02T03:05:05Z", "error": "", "inputs": []}
        body = {**named, **times, "outputs": outputs, "verdicts": verdicts, **more}
        self.put_record(json.dumps(body))
        return body

    def put_record(self, text: str) -> None:
        self.own("s3").put_object(Bucket=NAMING.bucket("refined"), Key=f"sales/_runs/{RUN}/{STEP}.json", Body=text.encode())

    def note(self) -> dict[str, Any]:
        body = self.own("s3").get_object(Bucket=NAMING.bucket("refined"), Key=f"sales/_runs/{RUN}/publish-{STEP}.json")["Body"]
        return dict(json.loads(body.read()))

    def publish(self, **more: Any) -> dict[str, Any]:
        """The real handler."""
        self.calls.clear()
        event = {"run": {"schema": 1, "run_id": RUN, "project": "sales", "pipeline": "daily"}, "step": STEP, "attempt": ATTEMPT, **more}
        return handler(event, CONTEXT)  # type: ignore[arg-type]

    def heads(self) -> dict[str, Any]:
        """`main` of each table that is there, as pyiceberg reads it."""
        rows = self.own("glue").get_tables(DatabaseName=NAMING.database("refined"))["TableList"]
        tables = {row["Name"]: self.load(row["Name"].removeprefix("sales_")) for row in rows}
        return {name: table.current_snapshot() and table.current_snapshot().snapshot_id for name, table in tables.items()}

    def heard(self) -> list[dict[str, Any]]:
        """Events that reached a rule on the default bus since the last look."""
        found, self.delivered = self.delivered, []
        return found


@contextmanager
def estate(monkeypatch: Any) -> Iterator[Estate]:
    """Everything that the handler finds in its environment."""
    with empty_estate() as clients:
        world = Estate(clients)
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        wiring.settings.cache_clear()
        wiring.naming.cache_clear()
        monkeypatch.setattr(wiring, "clients", lambda: world.plane)
        monkeypatch.setitem(events._state, "to_targets", lambda rule, event: world.delivered.append(event))
        yield world
        wiring.settings.cache_clear()
        wiring.naming.cache_clear()
