"""What `meshplane restore` asks, refuses and says; what it moves is tests/aws/test_restoring.py and tests/e2e/test_runbook_restore.py."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from meshplane.model.gating import AppliedGates, GatedTable
from meshplane.model.project import Job, JobStep, OwnAsl, Pipeline, Project, Table, TableRef, Write
from meshplane.model.publishing import PROPERTY
from meshplane.model.runs import Arrival, Run
from meshplane.model.types import Field, Primitive
from meshplane.ports import TableLook
from meshplane_cli.commands import restore
from meshplane_cli.commands.restore import pipeline_of
from meshplane_cli.output import CliError
from meshplane_cli.restoring import Execution
from tests.cli.conftest import Cli

GATE = GatedTable("orders", "f01_de_refined", "sales_orders", "today", ())


def notes(number: int, digest: str = "today") -> list[dict[str, Any]]:
    named = {"run_id": f"r{number}", "step": "load_orders", "pipeline": "daily", "ended": f"2026-11-2{number}T06:00:00Z"}
    return [{"state": "done", **named, "tables": [{"table": "orders", "snapshot": number, "digest": digest}]}]


@dataclass
class Stood:
    """A restorer that has looked: three published states, of which readers see the last; `started` is what was asked for."""

    started: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    refs: dict[str, Any] = field(default_factory=dict)

    def applied(self, project: str) -> AppliedGates:
        return AppliedGates(gates={"orders": GATE} if project == "sales" else None)

    def look(self, database: str, name: str) -> TableLook:
        made = [
            {
                "snapshot-id": n,
                "parent-snapshot-id": n - 1 or None,
                "timestamp-ms": n,
                "summary": {"operation": "append", "run_id": f"r{n}", "total-records": str(n * 10)},
            }
            for n in (1, 2, 3)
        ]
        refs = {"main": {"type": "branch", "snapshot-id": 3}, **{f"validated-{n}": {"type": "tag", "snapshot-id": n} for n in (1, 2, 3)}}
        raw = {"snapshots": made, "refs": refs | self.refs, "properties": {PROPERTY: json.dumps({"snapshot": 3})}}
        return TableLook(raw, "sales", False, {})

    def published(self, project: str, run_id: str) -> list[dict[str, Any]]:
        return notes(int(run_id[1:]), "older" if run_id == "r1" else "today")

    def record(self, project: str, run_id: str, step: str) -> str:
        results = [{"rule": "positive", "outcome": "passed"}, {"rule": "fresh", "outcome": "failed"}]
        return json.dumps({"verdicts": [{"table": "orders", "snapshot": int(run_id[1:]), "results": results}]})


@pytest.fixture
def stood(monkeypatch: pytest.MonkeyPatch) -> Stood:
    found = Stood()

    def start(target: Any, machine: str, request: dict[str, str]) -> Execution:
        found.started.append((machine, request))
        return Execution(target, "arn", f"{machine}-1")

    monkeypatch.setattr(restore, "looking", lambda target: found)
    monkeypatch.setattr(restore, "start", start)
    monkeypatch.setattr(Execution, "answer", lambda self, tell: found.answer)
    return found


def test_the_list_says_what_may_be_chosen(aws: Cli, stood: Stood) -> None:
    told = aws("restore", "list", "sales.orders")
    lines = [line.split() for line in told.stdout.splitlines()]
    assert told.exit_code == 0
    assert lines[1] == ["3", "2026-11-23T06:00:00Z", "r3", "30", "1", "of", "2", "held", "readers", "see", "it"]
    assert lines[3] == ["1", "2026-11-21T06:00:00Z", "r1", "10", "1", "of", "2", "held,", "not", "today's", "set"]
    found = json.loads(aws("restore", "list", "sales.orders", "--limit", "1", "--json").stdout)
    assert [(one["snapshot"], one["rules"]) for one in found] == [("3", {"positive": "passed", "fresh": "failed"})]


def test_a_main_that_is_none_of_them_is_said(aws: Cli, stood: Stood) -> None:
    stood.refs = {"main": {"type": "branch", "snapshot-id": 9}}
    assert "readers see snapshot 9, which is none of these" in aws("restore", "list", "sales.orders").stdout


def test_nothing_is_done_before_somebody_said_yes(aws: Cli, stood: Stood) -> None:
    told = aws("restore", "roll-back", "sales.orders", "previous")
    assert (told.exit_code, stood.started) == (4, [])
    assert "readers of sales.orders will see snapshot 2" in told.stderr
    assert "mend     --yes" in told.stderr


@pytest.mark.parametrize(("answer", "exit_code"), [(True, 0), (False, 4)])
def test_at_a_terminal_it_asks(aws: Cli, stood: Stood, monkeypatch: pytest.MonkeyPatch, answer: bool, exit_code: int) -> None:
    stood.answer = {"table": "orders", "snapshot": "2", "undone": []}
    monkeypatch.setattr(restore.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(restore.typer, "confirm", lambda text, err: answer)
    assert aws("restore", "roll-back", "sales.orders", "previous").exit_code == exit_code
    assert len(stood.started) == int(answer)


def test_a_rollback_names_what_was_seen_and_says_what_comes_next(aws: Cli, stood: Stood) -> None:
    stood.answer = {"table": "orders", "snapshot": "1", "undone": ["r3", "r2"]}
    for number in (2, 3):
        files = (Arrival("sales/orders_raw/a.csv", "1", at=f"2026-11-1{number}T23:59:00Z"),)
        aws.runs.put(Run(f"r{number}", "sales", "daily", "SUCCEEDED", "", "files", f"2026-11-2{number}T00:01:00Z", files=files))
    told = aws("restore", "roll-back", "sales.orders", "1", "--yes")
    assert told.exit_code == 0, told.stderr
    assert stood.started == [("roll-back", {"project": "sales", "table": "orders", "snapshot": "1", "seen": "3"})]
    assert "it was judged by other rules than today's" in told.stderr
    assert "to undo it: meshplane restore roll-back sales.orders 3" in told.stdout
    assert "the rows of r3, r2" in told.stdout
    assert "meshplane restore rebuild sales.orders --from 2026-11-12 --until 2026-11-24" in told.stdout
    answer = json.loads(aws("restore", "roll-back", "sales.orders", "1", "--yes", "--json").stdout)
    assert answer == {"table": "sales.orders", "snapshot": "1", "undone": ["r3", "r2"], "execution": "roll-back-1", "before": "3"}


def test_a_rebuild_names_its_pipeline_and_window(aws: Cli, stood: Stood) -> None:
    stood.answer = {"run_id": "daily-1", "status": "SUCCEEDED", "ended": True, "cause": "", "published": "4"}
    words = ("restore", "rebuild", "sales.orders", "--from", "2026-11-20", "--until", "2026-11-21T06:00:00Z", "--yes")
    told = aws(*words)
    assert "sales.orders is rebuilt: snapshot 4 by run daily-1" in told.stdout
    window = {"from": "2026-11-20T00:00:00Z", "until": "2026-11-21T06:00:00Z"}
    assert stood.started == [("rebuild", {"project": "sales", "table": "orders", "pipeline": "daily", **window})]
    stood.answer = {**stood.answer, "published": ""}
    assert "published nothing of sales.orders" in aws(*words).stdout
    assert json.loads(aws(*words, "--json").stdout)["published"] == ""


@pytest.mark.parametrize(
    ("words", "exit_code", "told"),
    [
        (("roll-back", "sales.orders", "newest", "--yes"), 2, "'newest' is no snapshot"),
        (("roll-back", "sales.orders", "7", "--yes"), 2, "has no such published state"),
        (("roll-back", "sales.orders", "3", "--yes"), 2, "see snapshot 3 already"),
        (("roll-back", "sales.items", "previous", "--yes"), 1, "sales publishes no table items"),
        (("list", "nobody.orders"), 1, "project nobody is not published"),
        (("list", "orders"), 2, "does not say which project's table"),
        (("rebuild", "sales.orders", "--from", "2026-11-21", "--until", "2026-11-20", "--yes"), 2, "before it begins"),
        (("rebuild", "sales.orders", "--from", "monday", "--until", "2026-11-20", "--yes"), 2, "allowed are days and moments"),
        (("rebuild", "sales.orders", "--from", "2026-11-20", "--yes"), 2, "missing option"),
    ],
)
def test_what_cannot_be_is_said(aws: Cli, stood: Stood, words: tuple[str, ...], exit_code: int, told: str) -> None:
    ended = aws("restore", *words)
    assert (ended.exit_code, stood.started) == (exit_code, [])
    assert told in ended.stderr


# ---- which pipeline ----------------------------------------------------------------------------------------------------------------
COLUMNS = (Field("id", Primitive("long")),)
RAW, ORDERS = Table("orders_raw", "raw", "csv", COLUMNS), Table("orders", "refined", "iceberg", COLUMNS)
LOAD = Job("load", use="merge", reads=(TableRef("shop", "orders_raw"),), writes=(Write("orders", "merge"),))
DAILY = Pipeline("daily", (JobStep("load"),))
SHOP = Project("shop", tables={"orders_raw": RAW, "orders": ORDERS}, jobs={"load": LOAD}, pipelines={"daily": DAILY})
TWO = {"daily": DAILY, "hourly": replace(DAILY, name="hourly"), "own": Pipeline("own", asl=OwnAsl("pipelines/own.asl.json"))}


@pytest.mark.parametrize(
    ("changed", "named", "chosen"),
    [
        ({}, "", "daily"),
        ({"pipelines": TWO}, "hourly", "hourly"),
        ({"pipelines": TWO}, "own", "own"),
        ({"jobs": {"load": replace(LOAD, use="files", reads=())}}, "", "daily"),
        ({"jobs": {"load": replace(LOAD, use="", script="jobs/a.py")}}, "", "daily"),
    ],
)
def test_the_pipeline_that_reads_raw_into_the_table_is_run(changed: dict[str, Any], named: str, chosen: str) -> None:
    assert pipeline_of(replace(SHOP, **changed), "orders", named) == chosen


@pytest.mark.parametrize(
    ("changed", "named", "told"),
    [
        ({"jobs": {"load": replace(LOAD, reads=(TableRef("shop", "orders"),))}}, "", "no job of shop reads files of raw into orders"),
        ({"jobs": {"load": replace(LOAD, reads=(TableRef("other", "orders_raw"),))}}, "", "no job of shop reads files of raw into orders"),
        ({"jobs": {"load": replace(LOAD, writes=())}}, "", "no job of shop reads files of raw into orders"),
        ({"pipelines": {}}, "", "no one pipeline of shop to rebuild orders"),
        ({"pipelines": TWO}, "", "no one pipeline of shop to rebuild orders"),
        ({"pipelines": TWO}, "nightly", "no one pipeline of shop to rebuild orders"),
    ],
)
def test_where_none_or_several_fill_it_that_is_said(changed: dict[str, Any], named: str, told: str) -> None:
    with pytest.raises(CliError, match=told):
        pipeline_of(replace(SHOP, **changed), "orders", named)
