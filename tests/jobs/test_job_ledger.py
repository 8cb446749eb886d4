"""Which files a run reads: decided without S3, and then by what runs have left there. No Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa
import pytest

from dp_foundation import storage
from dp_foundation.errors import FoundationError
from dp_foundation.run import rebuild
from dp_foundation.run.current import Current, begin, files_of
from dp_foundation.run.ledger import Entry, FileVersion, entry, is_data, listed, select
from meshplane.model.restoring import REBUILD
from tests.jobs.job_world import World, bucket

SCHEMAS = Path(__file__).parents[2] / "schemas"
A1, A2, B, C = FileVersion("t/a", "1"), FileVersion("t/a", "2"), FileVersion("t/b", "1"), FileVersion("t/c", "1")


def _entry(state: str, run: str, *files: FileVersion, at: str = "1", step: str = "load", runs: tuple[str, ...] = ()) -> Entry:
    return Entry(state, run, step, at, {"raw": files} if files else {}, (("db", "out"),), runs)


def _chosen(present: list[FileVersion], *entries: Entry, own: tuple[str, str] = ("now", "load"), landed: bool = False) -> list[FileVersion]:
    return select("raw", present, entries, own, lambda _: landed)


@pytest.mark.parametrize(
    ("reason", "entries", "landed", "expected"),
    [
        ("nothing consumed: all", [], False, [A2, B, C]),
        ("done: the rest", [_entry("done", "r1", B)], False, [A2, C]),
        ("an older version was consumed: the new one is new", [_entry("done", "r1", A1)], False, [A2, B, C]),
        ("an open intent that did not land: read again", [_entry("intent", "r1", B)], False, [A2, B, C]),
        ("an open intent that landed: consumed", [_entry("intent", "r1", B)], True, [A2, C]),
        ("this run's own intent: exactly its files", [_entry("intent", "now", B)], False, [B]),
        ("this run was done already: the same files", [_entry("done", "now", B)], False, [B]),
        ("the run's other step consumed them", [_entry("done", "now", B, step="load-2")], False, [A2, C]),
        ("a reset voids what was before", [_entry("done", "r1", B), _entry("reset", "", at="2")], False, [A2, B, C]),
        ("and nothing after", [_entry("reset", "", at="0"), _entry("done", "r1", B)], False, [A2, C]),
        (
            "a reset of one run",
            [_entry("done", "r1", B), _entry("done", "r2", C), _entry("reset", "", at="2", runs=("r1",))],
            False,
            [A2, B],
        ),
        ("other tables do not count", [Entry("done", "r1", "load", "1", {"other": (B,)})], False, [A2, B, C]),
    ],
)
def test_selection(reason: str, entries: list[Entry], landed: bool, expected: list[FileVersion]) -> None:
    assert _chosen([A2, C, B], *entries, landed=landed) == expected, reason


def test_a_file_that_went_since_the_first_attempt_is_not_read() -> None:
    assert _chosen([B], _entry("intent", "now", A1, B)) == [B]


def test_landed_is_asked_for_open_intents_of_others_only() -> None:
    asked: list[str] = []

    def landed(one: Entry) -> bool:
        asked.append(one.run_id)
        return False

    entries = [_entry("done", "r1", A1), _entry("intent", "r2", B), _entry("intent", "now", C)]
    select("raw", [A2, B, C], entries[:2], ("now", "load"), landed)
    select("raw", [A2, B, C], entries, ("now", "load"), landed)
    assert asked == ["r2"]


def test_entries_survive_their_json() -> None:
    told = _entry("done", "r1", FileVersion("t/a", "1", 5))
    assert entry(told.as_json()) == told


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        ("t/a.csv", True),
        ("t/dt=1/a.csv", True),
        ("t/", False),
        ("t/dt=1/", False),
        ("t/_SUCCESS", False),
        ("t/_tmp/a.csv", False),
        ("t/.x/a", False),
    ],
)
def test_what_holds_rows(key: str, rows: bool) -> None:
    assert is_data(key, "t/") is rows


def test_without_versions_the_etag_tells_files_apart() -> None:
    item = {"Key": "t/a", "Size": 3, "ETag": '"ab"', "LastModified": datetime(2026, 1, 2, tzinfo=UTC)}
    assert listed({**item, "VersionId": "null"}) == FileVersion("t/a", "etag:ab")
    assert listed({**item, "VersionId": "v1"}).version == "v1"
    assert listed({**item, "VersionId": "v1"}).modified == "2026-01-02T00:00:00Z"


# ---- a window of raw again (docs/decisions/0010) -------------------------------------------------------------------------------------
DAY = rebuild.Window("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")


def _arrived(name: str, at: str = "2026-11-20T12:00:00Z") -> FileVersion:
    return FileVersion(f"t/{name}", "1", 1, at)


def _consumed(state: str, run: str, *names: str) -> Entry:
    return Entry(state, run, "load", "1", {"raw": tuple(map(_arrived, names))}, (("db", "out"),))


IN_A, IN_B = _arrived("a"), _arrived("b")
EARLY, LATE = _arrived("early", "2026-11-19T23:59:59Z"), _arrived("late", "2026-11-21T00:00:00Z")
FIRST = _arrived("first", "2026-11-20T00:00:00Z")


@pytest.mark.parametrize(
    ("reason", "entries", "held", "expected"),
    [
        ("what arrived in the window, its first second included", [], (), [IN_A, IN_B, FIRST]),
        ("whether it was consumed or not", [_consumed("done", "r1", "a"), _consumed("intent", "r2", "b")], (), [IN_A, IN_B, FIRST]),
        ("but for what would stand there twice", [_consumed("done", "r1", "a"), _consumed("done", "r2", "b")], ("r1",), [IN_B, FIRST]),
        ("and what a gate turned away", [_consumed("rejected", "r1", "a")], (), [IN_B, FIRST]),
        ("unless that was forgotten", [_consumed("rejected", "r1", "a"), Entry("reset", "", "load", "2")], (), [IN_A, IN_B, FIRST]),
        ("a repeated attempt takes what the first one took", [_consumed("intent", "now", "b", "late")], ("now",), [IN_B, LATE]),
        ("other tables do not count", [Entry("done", "r1", "load", "1", {"other": (IN_A,)})], ("r1",), [IN_A, IN_B, FIRST]),
    ],
)
def test_what_a_rebuild_takes(reason: str, entries: list[Entry], held: tuple[str, ...], expected: list[FileVersion]) -> None:
    present = [LATE, IN_B, EARLY, IN_A, FIRST]
    assert rebuild.select("raw", present, entries, ("now", "load"), DAY, lambda e: e.run_id in held) == expected, reason


def test_freshness_is_judged_as_of_the_windows_end_if_that_is_over() -> None:
    assert DAY.judged_at("2026-11-22T06:00:00.123456Z") == DAY.end
    assert DAY.judged_at("2026-11-20T06:00:00.123456Z") == "2026-11-20T06:00:00.123456Z"


# ---- two steps of one run that write the same table ----------------------------------------------------------------------------------
WEB = {"job": "load_web", "reads": [{"table": "web_raw"}], "writes": [{"table": "orders", "mode": "append"}]}
JOIN = {"reads": [{"table": "a_raw"}, {"table": "b_raw"}], "writes": [{"table": "orders", "mode": "append"}]}
MINE, TWICE, SHOPS = "load_web", "load_web-2", "load_shop"


def _orders(world: World, *raw: str) -> str:
    for name in raw:
        world.put(f"{world.raw(name, 'id bigint')}a.csv", "id\n1\n")
    return world.iceberg("orders", "id bigint").removeprefix("glue_catalog.")


def _commit(world: World, orders: str, run_id: str, step: str) -> int:
    """A step's commit on `main`, without Spark."""
    said = {"run_id": run_id, **({"meshplane.step": step, "meshplane.write": "1"} if step else {})}
    table = world.catalog.load_table(orders)
    table.append(pa.table({"id": pa.array([1], pa.int64())}), snapshot_properties=said)
    return table.metadata.snapshots[-1].snapshot_id


def _begun(world: World, job: Mapping[str, Any], run_id: str, step: str = "", audit: bool = True, **run: Any) -> Current:
    world.start(job, run_id, **run)
    current = begin()
    assert current
    current.step, current.audit = step or current.step, audit
    return current


def _reads(current: Current, table: str) -> list[str]:
    return [file.key.rpartition("/")[2] for file in files_of(current.job.tables[table])]


def _entries(world: World, job: str = "load") -> dict[str, tuple[str, list[str]]]:
    """Name of the entry → its state, and the tables that it names."""
    prefix = f"{world.project}/_runs/_ledger/{job}/"
    found = {
        key[len(prefix) : -len(".json")]: storage.read_json(bucket("refined"), key) for key in storage.keys_under(bucket("refined"), prefix)
    }
    schema = json.loads((SCHEMAS / "ledger.schema.json").read_text())
    for told in found.values():
        jsonschema.validate(told, schema)
    return {name: (told["state"], sorted(told["objects"])) for name, told in found.items() if told}


@pytest.mark.parametrize(
    ("committed", "step", "again"),
    [
        (SHOPS, MINE, True),
        (MINE, MINE, False),
        (MINE, TWICE, True),
        (TWICE, TWICE, False),
        ("", MINE, True),
    ],
    ids=["another job's", "its own", "the job's first use", "the job's second use", "nobody's by name"],
)
def test_an_intent_comes_true_by_its_own_steps_commit(world: World, committed: str, step: str, again: bool) -> None:
    """The run is killed after its intent, or its gate says no; what another step of it published proves nothing."""
    orders = _orders(world, "web_raw")
    first = _begun(world, WEB, "r1", step)
    assert _reads(first, "web_raw") == ["a.csv"]
    first.intend()
    _commit(world, orders, "r1", committed)
    assert _reads(_begun(world, WEB, "r2"), "web_raw") == (["a.csv"] if again else [])
    name = "r1" if step == MINE else f"r1~{step}"
    assert _entries(world, MINE)[name] == ("intent" if again else "done", ["web_raw"])


@pytest.mark.parametrize(("published", "again"), [(SHOPS, True), (MINE, False)])
def test_a_publish_record_proves_its_own_step(world: World, published: str, again: bool) -> None:
    _orders(world, "web_raw")
    first = _begun(world, WEB, "r1")
    _reads(first, "web_raw")
    first.intend()
    storage.write_json(bucket("refined"), f"{world.project}/_runs/r1/publish-{published}.json", {"state": "done"})
    assert bool(_reads(_begun(world, WEB, "r2"), "web_raw")) is again


@pytest.mark.parametrize(
    ("undone", "again"), [(SHOPS, False), (MINE, True), ("", True)], ids=["another job's", "its own", "nobody's by name"]
)
def test_a_rebuild_takes_again_what_a_rollback_took_away_of_this_very_step(world: World, undone: str, again: bool) -> None:
    orders = _orders(world, "web_raw")
    kept = _commit(world, orders, "r0", MINE)
    first = _begun(world, WEB, "r1", audit=False)
    _reads(first, "web_raw")
    first.intend()
    if undone == SHOPS:
        kept = _commit(world, orders, "r1", MINE)
    elif undone == MINE:
        kept = _commit(world, orders, "r1", SHOPS)
    _commit(world, orders, "r1", undone)
    first.outputs.append({"table": "orders", "branch": "main"})
    first.finish()
    table = world.catalog.load_table(orders)
    table.manage_snapshots().create_tag(table.metadata.snapshots[-1].snapshot_id, "kept").commit()
    world.catalog.load_table(orders).manage_snapshots().rollback_to_snapshot(kept).commit()
    window = json.dumps({"table": "orders", "from": "2000-01-01", "until": "2100-01-01"})
    assert bool(_reads(_begun(world, WEB, "r2", params={REBUILD: window}), "web_raw")) is again


@pytest.mark.parametrize(
    ("left", "stood"),
    [
        ({SHOPS: "published", MINE: "intent"}, False),
        ({SHOPS: "published", MINE: "failed"}, False),
        ({SHOPS: "published", MINE: "nothing"}, True),
        ({SHOPS: "intent", MINE: "published"}, True),
        ({MINE: "published", TWICE: "failed"}, False),
        ({MINE: "published", TWICE: "published"}, True),
        ({SHOPS: "published"}, True),
        ({SHOPS: "failed"}, False),
        ({}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("known", ["by its commit", "by its publish record"])
def test_a_claim_stands_when_every_step_that_may_have_made_it_does(world: World, left: dict[str, str], stood: bool, known: str) -> None:
    """Where the job left no record, it had another name when it claimed: whoever read the quarantine tells then."""
    orders = _orders(world, "web_raw")
    for step, state in left.items():
        published = state == "published"
        outputs = [{"table": "orders", "branch": "audit_r1_load_0_0"}] if state in ("published", "failed") else []
        record = {"job": step.removesuffix("-2"), "step": step, "state": "done" if published else state, "outputs": outputs}
        record["inputs"] = [{"table": "orders_quarantine", "snapshot": 1}]
        storage.write_json(bucket("refined"), f"{world.project}/_runs/r1/{step}.json", record)
        if published and known == "by its commit":
            _commit(world, orders, "r1", step)
        elif published:
            storage.write_json(bucket("refined"), f"{world.project}/_runs/r1/publish-{step}.json", {"state": "done", "tables": []})
    current = _begun(world, WEB, "r2")
    assert current.stands("r1", current.job.tables["orders"]) is stood, "as an earlier release claimed, without the step"
    stands = {step for step, state in left.items() if state in ("published", "nothing")}
    merging = _begun(world, {**WEB, "writes": [{"table": "orders", "mode": "merge"}]}, "r2")
    for step in left:
        assert current.stands(f"r1~{step}", current.job.tables["orders"]) is (step in stands)
        # Another job merged other columns: those of this one stand only where its own steps do.
        needed = set(left) if step == SHOPS else {step}
        assert merging.stands(f"r1~{step}", merging.job.tables["orders"]) is (needed <= stands)
    assert not current.stands("r1~load_nothing", current.job.tables["orders"])


@pytest.mark.parametrize(("state", "stood"), [("intent", True), ("done", True), ("nothing", True), ("failed", False)])
def test_a_claim_of_another_step_of_the_run_is_void_once_that_step_has_failed(world: World, state: str, stood: bool) -> None:
    """It may be running beside this one, or wait for its gate; of another run the same leavings are void."""
    orders = _orders(world, "web_raw")
    outputs = [{"table": "orders", "branch": "audit_r1_load_0_0"}] if state == "done" else []
    record = {"job": MINE, "step": TWICE, "state": state, "inputs": [], "outputs": outputs}
    storage.write_json(bucket("refined"), f"{world.project}/_runs/r1/{TWICE}.json", record)
    same, later = _begun(world, WEB, "r1"), _begun(world, WEB, "r2")
    table = same.job.tables["orders"]
    assert (same.stands(f"r1~{TWICE}", table), later.stands(f"r1~{TWICE}", table)) == (stood, state == "nothing")
    assert same.stands("r1", table) is stood, "of an earlier release, which began this run"
    _commit(world, orders, "r1", TWICE)
    again = _begun(world, WEB, "r1")
    assert again.stands(f"r1~{TWICE}", table), "what is on main stands, however its job ended"


@pytest.mark.parametrize(("mode", "stood"), [("merge", False), ("append", True)])
def test_another_jobs_claim_keeps_rows_from_one_that_appends_and_from_none_that_merges(world: World, mode: str, stood: bool) -> None:
    orders = _orders(world, "web_raw")
    record = {"job": SHOPS, "step": SHOPS, "state": "done", "inputs": [], "outputs": [{"table": "orders", "branch": "main"}]}
    storage.write_json(bucket("refined"), f"{world.project}/_runs/r1/{SHOPS}.json", record)
    _commit(world, orders, "r1", SHOPS)
    job = {**WEB, "writes": [{"table": "orders", "mode": mode}]}
    same, later = _begun(world, job, "r1"), _begun(world, job, "r2")
    table = same.job.tables["orders"]
    assert (same.stands(f"r1~{SHOPS}", table), later.stands(f"r1~{SHOPS}", table)) == (stood, True)


def test_an_earlier_releases_claim_of_this_very_step_is_taken_again(world: World) -> None:
    _orders(world, "web_raw")
    first = _begun(world, WEB, "r1")
    first.intend()
    assert not first.stands("r1", first.job.tables["orders"])


def test_a_record_names_the_round_that_it_is_of(world: World) -> None:
    """Each counts its attempts anew, and the plane tells the numbers of each job run once (flows/tell_run)."""
    _orders(world, "a_raw")
    for attempt, told in ((0, (0, 0)), ("0_1", (0, 1)), ("2_0", (2, 0))):
        _begun(world, JOIN, "r1", attempt=attempt).finish()
        record = world.outbox("r1")
        jsonschema.validate(record, json.loads((SCHEMAS / "outbox.schema.json").read_text()))
        assert (record["round"], record["attempt"]) == told


# ---- a batch that a gate turns away --------------------------------------------------------------------------------------------------
def test_a_rejection_marks_the_files_of_its_own_table(world: World) -> None:
    _orders(world, "a_raw", "b_raw")
    first = _begun(world, JOIN, "r1")
    assert (_reads(first, "a_raw"), _reads(first, "b_raw")) == (["a.csv"], ["a.csv"])
    first.reject("b_raw: no", "b_raw")
    assert _entries(world) == {"r1": ("rejected", ["b_raw"])}
    again = _begun(world, JOIN, "r2")
    assert (_reads(again, "a_raw"), _reads(again, "b_raw")) == (["a.csv"], [])


def test_what_was_committed_before_a_rejection_stays_consumed(world: World) -> None:
    """A script that reads and writes one table after the other, past any gate of its outputs: its first commit stands on `main`."""
    orders = _orders(world, "a_raw", "b_raw")
    for attempt in (0, 1):
        first = _begun(world, JOIN, "r1", audit=False, attempt=attempt)
        _reads(first, "a_raw")
        if attempt == 0:
            first.intend()
            _commit(world, orders, "r1", "load")
        _reads(first, "b_raw")
        first.reject("b_raw: no", "b_raw")
        assert _entries(world) == {"r1": ("intent", ["a_raw"]), "r1~load~rejected": ("rejected", ["b_raw"])}
    again = _begun(world, JOIN, "r2", audit=False)
    assert (_reads(again, "a_raw"), _reads(again, "b_raw")) == ([], [])


def test_a_script_that_goes_on_after_a_rejection_writes_nothing_and_forgets_no_rejection(world: World) -> None:
    _orders(world, "a_raw", "b_raw", "c_raw")
    first = _begun(world, JOIN, "r1", audit=False)
    for table in ("b_raw", "c_raw"):
        _reads(first, table)
        first.reject(f"{table}: no", table)
    assert _entries(world) == {"r1": ("rejected", ["b_raw", "c_raw"])}
    _reads(first, "a_raw")
    with pytest.raises(FoundationError, match=r"has failed and writes no more; it failed by: b_raw: no; mend: let that error end the job"):
        first.intend()
    first.finish()
    assert [world.outbox("r1")[word] for word in ("state", "error", "outputs")] == ["failed", "b_raw: no", []]
    assert _entries(world) == {"r1": ("rejected", ["b_raw", "c_raw"])}
    again = _begun(world, JOIN, "r2")
    assert [_reads(again, table) for table in ("a_raw", "b_raw", "c_raw")] == [["a.csv"], [], []]


def test_a_run_that_was_told_as_failed_stays_failed(world: World) -> None:
    """What it wrote before stands in its record; nothing joins it, and nobody publishes it."""
    _orders(world, "a_raw")
    first = _begun(world, JOIN, "r1")
    _reads(first, "a_raw")
    first.intend()
    first.outputs.append({"table": "orders", "branch": "audit_r1_load_0_0", "parent": None, "rows_added": 1})
    first.finish("ValueError: the second table does not fit")
    with pytest.raises(FoundationError, match="it failed by: ValueError: the second table does not fit"):
        first.intend()
    first.finish()
    assert (world.outbox("r1")["state"], world.outbox("r1")["error"]) == ("failed", "ValueError: the second table does not fit")
    assert _reads(_begun(world, JOIN, "r1", attempt=1), "a_raw") == ["a.csv"]


@pytest.mark.parametrize(
    "written", [[], [{"table": "orders", "branch": "audit_r1_load_0_0", "parent": None, "rows_added": 1}]], ids=["nothing", "done"]
)
def test_what_fails_after_it_was_done_has_failed(world: World, written: list[dict[str, Any]]) -> None:
    """A script that runs a built-in job, which ends its run, and goes on."""
    _orders(world, "a_raw", "b_raw")
    first = _begun(world, JOIN, "r1")
    first.outputs += written
    first.finish()
    assert world.outbox("r1")["state"] == ("done" if written else "nothing")
    _reads(first, "b_raw")
    first.reject("b_raw: no", "b_raw")
    first.finish()
    assert (world.outbox("r1")["state"], world.outbox("r1")["error"]) == ("failed", "b_raw: no")


def test_the_next_attempt_reads_and_judges_a_rejected_batch_again(world: World) -> None:
    _orders(world, "a_raw", "b_raw")
    first = _begun(world, JOIN, "r1", audit=False)
    _reads(first, "b_raw")
    first.reject("b_raw: no", "b_raw")
    second = _begun(world, JOIN, "r1", audit=False, attempt=1)
    assert (_reads(second, "a_raw"), _reads(second, "b_raw")) == (["a.csv"], ["a.csv"])
    second.intend()
    assert _entries(world) == {"r1": ("intent", ["a_raw", "b_raw"])}, "the batch is good by today's rules"
    again = _begun(world, JOIN, "r2", audit=False)
    assert (_reads(again, "a_raw"), _reads(again, "b_raw")) == (["a.csv"], ["a.csv"])


def test_a_table_without_files_that_is_rejected_marks_no_others(world: World) -> None:
    _orders(world, "a_raw")
    first = _begun(world, JOIN, "r1")
    _reads(first, "a_raw")
    first.reject("b: the table at snapshot 1 is rejected", "b")
    assert _entries(world) == {}
