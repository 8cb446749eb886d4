"""The reconcile against a world in memory: each test is one sentence of DESIGN §2 to §5."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import ClassVar

import pytest

from meshplane.errors import Conflict, Denied, NotReady, Rejected, ServiceFault, Throttled
from meshplane.flows.plan_project import plan_project
from meshplane.flows.reconcile_project import reconcile_message
from meshplane.model.bundle import bundle
from meshplane.model.resource import Id, Owner, Wait
from meshplane.plan.retry import STALLED_AFTER
from tests.unit.flows.fakes import HERE, Plane, Spec, Thing, manifest

ROLE = Id("role", "sales", "role")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def plane() -> Plane:
    """Sales, applied."""
    plane = Plane()
    plane.bucket.put("sales", manifest())
    assert plane.look().result == "applied"
    return plane


def test_everything_is_made_in_the_order_of_needs() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    assert plane.cloud.writes == ["create role", "create landed", "create orders", "create load_orders", "create landed"]
    assert [plane.condition(axis) for axis in ("Synced", "Healthy", "Drifted")] == [
        ("True", "Applied"),
        ("True", "AllStand"),
        ("False", "NoDrift"),
    ]


def test_the_second_reconcile_is_silent(plane: Plane) -> None:
    statuses, notes = len(plane.bucket.statuses), len(plane.table.notes)
    for _ in range(3):
        assert plane.look().result == "unchanged"
        assert (plane.cloud.writes, plane.cloud.bodies) == ([], []), "no write, and no body behind a known mark is read"
    assert (len(plane.bucket.statuses), len(plane.table.notes)) == (statuses, notes)
    assert plane.table.records["sales"].last_verified > plane.table.records["sales"].last_applied


def test_a_new_version_that_changes_nothing_touches_nothing(plane: Plane) -> None:
    version = plane.bucket.put("sales", manifest() + "# a comment\n")
    plane.look()
    assert plane.cloud.writes == []
    assert plane.table.records["sales"].applied == version


def test_only_what_changed_is_touched(plane: Plane) -> None:
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
    plane.look()
    assert plane.cloud.writes == ["update role", "create refunds", "create load_refunds"]


class TestInvalid:
    """The author's fault refuses the whole, at once and in full."""

    def test_nothing_is_changed_and_every_problem_is_told(self, plane: Plane) -> None:
        broken = manifest().replace("layer: refined", "layer: golden").replace("use: merge", "use: magic")
        plane.bucket.put("sales", broken)
        assert plane.look().result == "manifestinvalid"
        assert plane.cloud.writes == []
        _, document, text = plane.bucket.statuses[-1]
        problems = json.loads(document)["problems"]
        assert len(problems) >= 2
        assert all(row["line"] and row["path"] for row in problems)
        assert "projects/sales/project.yaml:" in text
        assert plane.condition() == ("False", "ManifestInvalid")
        assert plane.condition("Healthy") == ("True", "AllStand"), "what stands still stands"

    def test_a_mended_manifest_recovers(self, plane: Plane) -> None:
        plane.bucket.put("sales", "nonsense: [")
        plane.look()
        plane.bucket.put("sales", manifest())
        assert plane.look().result == "unchanged"
        assert plane.condition() == ("True", "Applied")


class TestAbsence:
    """Only a delete marker says that a project is gone."""

    def test_no_manifest_and_no_marker_changes_nothing(self, plane: Plane) -> None:
        plane.bucket.newest_of.clear()
        assert plane.look().result == "absent"
        assert plane.cloud.writes == []
        assert plane.condition() == ("Unknown", "NoManifest")
        assert plane.table.records["sales"].observed == "v1", "the version observed never goes backwards"

    @pytest.mark.parametrize("fault", [Denied("s3:GetObject"), ServiceFault("503"), Throttled("slow")])
    def test_an_unreadable_bucket_changes_nothing(self, plane: Plane, fault: Exception) -> None:
        plane.bucket.fault = fault
        plane.look()
        assert plane.cloud.writes == []
        assert plane.condition() == ("Unknown", type(fault).__name__)
        assert timedelta() < plane.due_in() <= HOUR


class TestFaultsOfTheWorld:
    """They stop dependents, not siblings, and heal by themselves."""

    def test_a_denial_stops_what_depends_on_it(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest())
        plane.cloud.faults["create", "role"] = [Denied("iam:CreateRole on f01-glue-sales-dev")]
        plane.look()
        assert plane.cloud.labels() == ["iceberg_table:landed", "iceberg_table:orders"]
        assert plane.condition() == ("False", "Denied")
        status = plane.table.records["sales"].status
        assert status["blocking"] == "role role"
        assert "iam:CreateRole" in status["failing"][0]
        assert plane.due_in() == timedelta(seconds=30)
        plane.look()
        assert plane.condition() == ("True", "Applied")

    def test_a_lost_reply_is_looked_at_again_in_the_same_reconcile(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest())
        plane.cloud.lost["create", "orders"] = ServiceFault("connection dropped")
        assert plane.look().result == "applied"
        assert plane.cloud.writes.count("create orders") == 1
        assert plane.condition() == ("True", "Applied")

    def test_what_somebody_else_made_meanwhile_is_a_conflict_with_its_owner_named(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest())
        theirs = Thing(Spec({"tables": "x"}), Owner("retail", "dev", "finance"))

        def somebody(call: str) -> None:
            if call == "create role":
                plane.cloud.things.setdefault(ROLE, theirs)

        plane.cloud.before_write = somebody
        plane.cloud.faults["create", "role"] = [Conflict("exists")]
        plane.look()
        assert plane.cloud.things[ROLE] is theirs
        assert plane.condition() == ("False", "Conflict")
        assert "finance" in plane.table.records["sales"].status["failing"][0]

    def test_what_stays_uncertain_is_a_failure_by_its_own_name(self, plane: Plane) -> None:
        looks: list[str] = []
        plane.cloud.before_write = looks.append
        plane.cloud.faults["update", "load_orders"] = [Conflict("changed under us")] * 50
        plane.bucket.put("sales", manifest().replace("use: merge,", "use: merge, workers: 3 x G.1X,"))
        plane.look()
        assert plane.condition() == ("False", "Conflict")
        assert 1 < len(looks) <= 5
        assert plane.due_in() == timedelta(seconds=30)

    def test_a_kind_that_cannot_be_listed_is_unknown_and_the_others_go_on(self, plane: Plane) -> None:
        plane.cloud.faults["observe", "glue_job"] = [Denied("glue:BatchGetJobs")]
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        plane.look()
        assert plane.cloud.writes == ["update role", "create refunds"]
        assert plane.condition() == ("False", "Denied")
        assert plane.condition("Healthy") == ("Unknown", "Denied")
        assert plane.condition("Drifted")[0] == "Unknown"

    def test_an_adapters_wait_is_waited_out_when_it_is_short(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest())
        plane.cloud.faults["create", "role"] = [Wait(plane.clock.at + timedelta(seconds=6), "the old role is being deleted")]
        plane.look()
        assert plane.condition() == ("True", "Applied")
        assert sum(plane.clock.paused, timedelta()) == timedelta(seconds=5)

    def test_and_left_to_the_sweep_when_it_is_long(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest())
        plane.cloud.faults["create", "role"] = [NotReady("the old role is being deleted", timedelta(minutes=3))]
        plane.look()
        assert plane.clock.paused == []
        assert plane.condition() == ("False", "Waiting")
        assert plane.due_in() == timedelta(minutes=3)


FAULTS = [Throttled("slow"), ServiceFault("503"), Denied("dynamodb:UpdateItem")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
class TestNoFaultOfTheWorldBlocksTheQueue:
    """Whatever call fails, a look ends with a status, a due time and the lease given back; the next look goes on."""

    def _ends_and_mends(self, plane: Plane, monkeypatch: pytest.MonkeyPatch, port: object, method: str, fault: Exception) -> None:
        def fails(*arguments: object, **more: object) -> None:
            raise fault

        with monkeypatch.context() as broken:
            broken.setattr(port, method, fails)
            plane.look(after=MINUTE)
        assert "sales" not in plane.table.leases
        assert timedelta() < plane.due_in() <= DAY
        plane.look(after=HOUR)
        assert plane.condition()[0] == "True"

    @pytest.mark.parametrize(("port", "method"), [("table", "confirm"), ("bucket", "version")])
    def test_what_cannot_be_confirmed_is_not_done(
        self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception, port: str, method: str
    ) -> None:
        plane.bucket.put("sales", manifest(tables={}))
        self._ends_and_mends(plane, monkeypatch, getattr(plane, port), method, fault)

    def test_a_breaking_change_that_cannot_be_confirmed_stops_no_sibling(
        self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        orders = plane.cloud["orders"]
        orders.spec, orders.version = Spec({**orders.spec.fields, "columns": "id"}), orders.version + 1
        plane.cloud.things.pop(next(key for key in plane.cloud.things if key.label == "load_orders"))
        with monkeypatch.context() as broken:
            broken.setattr(plane.table, "confirm", lambda *_: (_ for _ in ()).throw(fault))
            plane.look()
        assert plane.cloud.writes == ["create load_orders"]
        assert plane.condition() == ("False", type(fault).__name__)
        plane.look(after=HOUR)
        assert plane.cloud.writes == ["update orders"]

    def test_a_file_that_cannot_be_copied(self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
        job = "  report: { script: jobs/report.py, reads: [orders], writes: orders }"
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print()"}
        plane.bucket.put("sales", manifest(jobs=job))
        self._ends_and_mends(plane, monkeypatch, plane.bucket, "keep", fault)

    def test_a_history_that_cannot_be_written(self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        self._ends_and_mends(plane, monkeypatch, plane.table, "note", fault)

    @pytest.mark.parametrize(("port", "method"), [("table", "draining"), ("runs", "open"), ("table", "note"), ("bucket", "version")])
    def test_a_removal(self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception, port: str, method: str) -> None:
        plane.bucket.drop("sales")
        self._ends_and_mends(plane, monkeypatch, getattr(plane, port), method, fault)
        assert plane.condition() == ("True", "Removed")

    def test_a_drain_that_could_not_be_noted_is_noted_by_the_next_look(
        self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        plane.bucket.drop("sales")
        with monkeypatch.context() as broken:
            broken.setattr(plane.table, "draining", lambda *_: (_ for _ in ()).throw(fault))
            plane.look()
        assert plane.table.records["sales"].phase == "active"
        assert plane.cloud.writes == [], "start_run must know before anything is taken away"

    def test_files_that_cannot_be_forgotten(self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
        plane.bucket.drop("sales")
        plane.look()
        with monkeypatch.context() as broken:
            broken.setattr(plane.bucket, "forget_files", lambda *_: (_ for _ in ()).throw(fault))
            plane.look(after=DAY + MINUTE)
        assert "sales" not in plane.table.leases
        assert timedelta() < plane.due_in() <= HOUR
        assert plane.look(after=HOUR).result == "forgotten"

    @pytest.mark.parametrize(("port", "method"), [("queue", "send"), ("table", "due")])
    def test_looks_that_cannot_be_asked_for(
        self, plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception, port: str, method: str
    ) -> None:
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        plane.table.dirty.add("sales")
        with monkeypatch.context() as broken:
            broken.setattr(getattr(plane, port), method, lambda *_: (_ for _ in ()).throw(fault))
            report = plane.look()
        assert str(fault) in str(report.fields.get("unasked"))
        assert plane.condition() == ("True", "Applied")


class TestSettling:
    """IAM spreads a role within seconds; one canary asks for it."""

    def _new(self, denials: int, fault: type[Denied] | type[Rejected] = Denied) -> Plane:
        plane = Plane()
        plane.bucket.put("sales", manifest(tables=dict.fromkeys(("a", "b", "c"), "{ id: long }")))
        plane.cloud.settle = timedelta(seconds=15)
        plane.cloud.faults["create", "load_a"] = [fault("glue:CreateJob: cannot assume role")] * denials
        return plane

    @pytest.mark.parametrize("fault", [Denied, Rejected])
    def test_a_refusal_within_the_settling_time_is_a_wait(self, fault: type[Denied] | type[Rejected]) -> None:
        """Glue answers InvalidInputException for a role that it cannot assume yet."""
        plane = self._new(2, fault)
        calls: list[str] = []
        plane.cloud.before_write = calls.append
        plane.look()
        assert plane.condition() == ("True", "Applied")
        assert calls.count("create load_a") == 3
        assert (calls.count("create load_b"), calls.count("create load_c")) == (1, 1), "the others wait for the canary"
        assert plane.table.records["sales"].failures == {}

    @pytest.mark.parametrize("fault", [Denied, Rejected])
    def test_after_the_settling_time_it_is_what_it_is(self, fault: type[Denied] | type[Rejected]) -> None:
        plane = self._new(50, fault)
        plane.look()
        assert plane.condition() == ("False", fault.__name__)


class TestStalled:
    """The same action failing the same way."""

    def test_it_is_given_up_until_manifest_or_world_changes_and_tried_hourly(self, plane: Plane) -> None:
        tries: list[str] = []
        plane.cloud.before_write = tries.append
        plane.cloud.faults["create", "refunds"] = [Rejected("Glue says no")] * 50
        two = {"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}
        plane.bucket.put("sales", manifest(tables=two))
        for _ in range(STALLED_AFTER):
            assert plane.condition() != ("False", "Stalled")
            plane.look(after=MINUTE)
        assert plane.condition() == ("False", "Stalled")
        assert plane.table.records["sales"].stalled
        tries.clear()
        plane.look(after=MINUTE)
        assert "create refunds" not in tries
        assert plane.condition() == ("False", "Stalled")
        plane.look(after=HOUR)
        assert "create refunds" in tries
        tries.clear()
        plane.bucket.put("sales", manifest(tables={**two, "refunds": "{ id: long, why: string }"}))
        plane.look(after=MINUTE)
        assert "create refunds" in tries, "another manifest starts anew"

    def test_a_slow_aws_never_stalls(self, plane: Plane) -> None:
        plane.cloud.faults["create", "refunds"] = [Throttled("slow")] * 20
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        for _ in range(STALLED_AFTER + 2):
            plane.look(after=HOUR)
        assert plane.condition() == ("False", "Throttled")


def test_drift_that_would_be_a_breaking_change_of_the_manifest_is_healed(plane: Plane) -> None:
    """What was applied is what is wanted: going back to it needs no decision."""
    orders = plane.cloud["orders"]
    orders.spec, orders.version = Spec({**orders.spec.fields, "columns": "id"}), orders.version + 1
    assert plane.look().result == "applied"
    assert plane.cloud.writes == ["update orders"]
    assert plane.condition() == ("True", "Applied")
    assert [(row["field"], row["is"], row["healed"]) for row in plane.table.records["sales"].status["drift"]] == [("columns", "id", True)]


class TestHeld:
    """A plan that needs a decision goes on with exactly its digest."""

    CHANGED: ClassVar = {"orders": "{ id: long }"}

    def test_nothing_of_it_is_applied(self, plane: Plane) -> None:
        plane.bucket.put("sales", manifest(tables={**self.CHANGED, "refunds": "{ id: long }"}))
        assert plane.look().result == "held"
        assert plane.cloud.writes == []
        assert plane.condition() == ("False", "Held")
        digest = plane.table.records["sales"].status["plan"]
        assert digest in plane.table.records["sales"].status["whatToDo"]

    def test_it_goes_on_with_its_digest(self, plane: Plane) -> None:
        plane.bucket.put("sales", manifest(tables=self.CHANGED))
        plane.look()
        digest = plane.table.records["sales"].status["plan"]
        plane.bucket.put("sales", manifest(tables=self.CHANGED, policy="{ approve: plan-00000000 }"))
        assert plane.look().result == "held"
        plane.bucket.put("sales", manifest(tables=self.CHANGED, policy=f"{{ approve: {digest} }}"))
        assert plane.look().result == "applied"
        assert plane.cloud.writes == ["update orders"]

    def test_an_approved_plan_that_was_cut_short_goes_on(self, plane: Plane) -> None:
        two = {"orders": "{ id: long }", "refunds": "{ id: long }"}
        plane.bucket.put("sales", manifest(tables={**two, "refunds": "{ id: long, why: string }", "orders": "{ id: long, amount: long }"}))
        plane.look()
        plane.bucket.put("sales", manifest(tables=two))
        plane.look()
        digest = plane.table.records["sales"].status["plan"]
        plane.cloud.faults["update", "refunds"] = [Denied("no")]
        plane.bucket.put("sales", manifest(tables=two, policy=f"{{ approve: {digest} }}"))
        plane.look()
        assert plane.condition() == ("False", "Denied")
        plane.look()
        assert plane.condition() == ("True", "Applied")
        assert plane.table.records["sales"].approved == ()

    def test_a_mass_removal_is_held(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest(tables={f"t{n}": "{ id: long }" for n in range(8)}))
        plane.look()
        plane.bucket.put("sales", manifest(tables={"t0": "{ id: long }"}))
        assert plane.look().result == "held"
        assert plane.cloud.writes == []
        assert "removes 14 resources at once" in plane.table.records["sales"].status["held"][0]

    def test_nothing_destructive_on_the_strength_of_an_old_manifest(self, plane: Plane) -> None:
        plane.bucket.put("sales", manifest(tables={}))
        plane.cloud.before_write = lambda call: plane.bucket.put("sales", manifest()) if call.startswith("update role") else None
        assert plane.look().result == "overtaken"
        assert plane.cloud.writes == ["update role"]
        assert plane.queue.sent == ["sales"]
        assert plane.look(holder="the new manifest's message").result == "applied", "the lease was given back"


class TestDrift:
    """The world changed by itself: healed, or reported."""

    def test_it_is_healed_and_told(self, plane: Plane) -> None:
        plane.cloud["load_orders"].spec = Spec({**plane.cloud["load_orders"].spec.fields, "workers": "99"})
        plane.cloud["load_orders"].version += 1
        report = plane.look()
        assert (plane.cloud.writes, report.metrics["Healed"]) == (["update load_orders"], 1)
        assert plane.table.records["sales"].status["drift"] == [
            {"object": "glue_job load_orders", "field": "workers", "was": "2", "is": "99", "healed": True}
        ]
        assert plane.table.notes[-1]["healed"] == ["glue_job load_orders"]

    def test_a_deleted_resource_is_made_again(self, plane: Plane) -> None:
        key = next(key for key in plane.cloud.things if key.kind == "event_rule")
        del plane.cloud.things[key]
        plane.look()
        assert plane.cloud.writes == ["create landed"]
        assert plane.table.records["sales"].status["drift"][0]["is"] == "deleted"

    def test_it_is_only_reported_by_policy(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest(policy="{ drift: report }"))
        plane.look()
        plane.cloud["load_orders"].spec = Spec({**plane.cloud["load_orders"].spec.fields, "workers": "99"})
        plane.cloud["load_orders"].version += 1
        for _ in range(2):
            plane.look()
            assert plane.cloud.writes == []
            assert [plane.condition(axis) for axis in ("Synced", "Drifted")] == [("True", "Applied"), ("True", "Drift")]
            assert plane.table.records["sales"].status["drift"][0]["healed"] is False
        plane.bucket.put("sales", manifest(policy="{ drift: report }").replace("use: merge,", "use: merge, workers: 3 x G.1X,"))
        plane.look()
        assert plane.cloud.writes == ["update load_orders"], "a change of the manifest is no drift"

    def test_what_somebody_added_is_reported_each_time_and_never_removed(self, plane: Plane) -> None:
        thing = plane.cloud["orders"]
        thing.extra, thing.version = ("column note",), thing.version + 1
        for _ in range(2):
            plane.look()
            assert plane.cloud.writes == []
            assert plane.table.records["sales"].status["added"] == ["iceberg_table orders: column note"]
            assert plane.condition("Drifted") == ("True", "Drift")


class TestPolicy:
    """policy.manage leaves verbs out; the three axes are computed all the same."""

    @pytest.mark.parametrize(
        ("manage", "written"),
        [
            ("[observe]", []),
            ("[observe, create, update]", ["update role", "create refunds", "create load_refunds"]),
            ("[observe, create]", ["create refunds", "create load_refunds"]),
        ],
        ids=["observe only", "no delete", "create only"],
    )
    def test_verbs(self, plane: Plane, manage: str, written: list[str]) -> None:
        text = manifest(tables={"refunds": "{ id: long }"}, policy=f"{{ manage: {manage} }}")
        plane.bucket.put("sales", text)
        plane.look()
        assert plane.cloud.writes == written
        assert plane.condition() == ("False", "Paused")
        assert plane.condition("Drifted") == ("False", "NoDrift")
        assert "policy.manage has no" in plane.table.records["sales"].status["conditions"][0]["message"]

    def test_a_deleted_project_keeps_to_its_last_policy(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest(policy="{ manage: [observe, create, update] }"))
        plane.look()
        before = plane.cloud.labels()
        plane.bucket.drop("sales")
        plane.look()
        assert plane.cloud.labels() == before
        assert plane.condition() == ("False", "Paused")


class TestLease:
    """One holder; a newer one wins; nothing asked for meanwhile is lost."""

    def test_the_loser_leaves_word_and_the_holder_looks_again(self, plane: Plane) -> None:
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        answers: list[str] = []
        plane.cloud.before_write = lambda call: answers.append(plane.look(holder="other").result) if not answers else None
        plane.look()
        assert answers == ["busy"]
        assert plane.queue.sent == ["sales"]

    def test_an_overtaken_holder_writes_nothing_more(self, plane: Plane) -> None:
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        record = plane.table.records["sales"]

        def overtake(call: str) -> None:
            plane.table.fences["sales"] += 1

        plane.cloud.before_write = overtake
        assert plane.look().result == "overtaken"
        assert plane.table.records["sales"] is record

    def test_the_redelivery_of_a_crashed_holders_message_goes_on_at_once(self, plane: Plane) -> None:
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))

        def crash(call: str) -> None:
            raise RuntimeError("killed")

        plane.cloud.before_write = crash
        with pytest.raises(RuntimeError):
            plane.look(holder="message-1")
        plane.cloud.before_write = lambda call: None
        assert plane.look(holder="message-2").result == "busy"
        assert plane.look(holder="message-1").result == "applied"


def test_below_the_margin_nothing_is_started_and_it_goes_on_at_once() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())

    def slow(call: str) -> None:
        plane.left -= timedelta(seconds=60)

    plane.cloud.before_write = slow
    plane.look()
    assert len(plane.cloud.writes) == 3
    assert plane.condition() == ("False", "InProgress")
    assert plane.queue.sent == ["sales"]
    plane.left = timedelta(hours=1)
    plane.look()
    assert plane.condition() == ("True", "Applied")


def test_a_wiped_state_is_rebuilt_without_a_write(plane: Plane) -> None:
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "old": "{ id: long }"}))
    plane.look()
    plane.bucket.put("sales", manifest())
    plane.look()
    assert "iceberg_table:old (rests)" in plane.cloud.labels()
    plane.table.records.clear()
    assert plane.sweep().queued == {"sales": "no state"}
    assert plane.look().result == "unchanged"
    assert plane.cloud.writes == []
    assert plane.condition() == ("True", "Applied")


def test_a_tombstoned_table_is_taken_up_again(plane: Plane) -> None:
    plane.bucket.put("sales", manifest(tables={"refunds": "{ id: long }"}))
    plane.look()
    assert "iceberg_table:orders (rests)" in plane.cloud.labels()
    plane.bucket.put("sales", manifest(tables={"refunds": "{ id: long }", "orders": "{ id: long, amount: long }"}))
    plane.look()
    assert "iceberg_table:orders" in plane.cloud.labels()
    assert plane.cloud["orders"].version == 3


class TestNeighbours:
    """A project waiting for another's table is woken when that succeeds."""

    READS = "  report: { script: jobs/report.py, reads: [customers.contacts], writes: orders }"

    def _waiting(self) -> Plane:
        plane = Plane()
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print()"}
        plane.bucket.put("sales", manifest(jobs=self.READS))
        plane.look()
        return plane

    def test_it_waits_and_says_for_what(self) -> None:
        plane = self._waiting()
        assert plane.condition() == ("False", "Waiting")
        assert "customers.contacts is not published yet" in plane.table.records["sales"].status["waiting"][0]
        assert "glue_job:load_orders" in plane.cloud.labels(), "siblings go on"
        assert plane.due_in() == timedelta(minutes=5)

    def test_it_is_woken_when_the_other_succeeds_and_only_then(self) -> None:
        plane = self._waiting()
        plane.bucket.put("customers", manifest("customers", tables={"contacts": "{ id: long }"}, readers="sales"))
        plane.look("customers")
        assert plane.queue.sent == ["sales"]
        plane.look()
        assert plane.condition() == ("True", "Applied")
        plane.queue.sent.clear()
        plane.look("customers")
        assert plane.queue.sent == []


class TestFilesByHand:
    """A manifest put by hand takes its files from beside it, else from the last release."""

    JOB = "  report: { script: jobs/report.py, reads: [orders], writes: orders }"

    def test_they_are_hashed_and_copied(self) -> None:
        plane = Plane()
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print(1)"}
        plane.bucket.put("sales", manifest(jobs=self.JOB))
        plane.look()
        assert plane.condition() == ("True", "Applied")
        (key,) = plane.bucket.objects
        assert plane.cloud["report"].spec.fields["script"] == key
        plane.bucket.objects.clear()
        plane.look()
        assert plane.bucket.objects == {}, "nothing is copied twice"
        plane.bucket.loose["sales"]["jobs/report.py"] = b"print(2)"
        assert plane.sweep().queued == {"sales": "a file beside the manifest changed"}
        plane.look()
        assert plane.cloud.writes == ["update report"]

    def test_what_is_held_paused_or_only_observed_copies_nothing(self) -> None:
        """A copy is the first write of the action whose definition names the file."""
        plane = Plane()
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print(1)"}
        for policy in ("{ manage: [observe] }", "{ manage: [observe, delete] }"):
            plane.bucket.put("sales", manifest(jobs=self.JOB, policy=policy))
            plane.look()
            assert plane.bucket.objects == {}
        plane.bucket.put("sales", manifest(jobs=self.JOB))
        plane.look()
        assert len(plane.bucket.objects) == 1, "although its ETag was known"
        plane.bucket.loose["sales"]["jobs/report.py"] = b"print(2)"
        held = manifest(tables={"orders": "{ id: long, total: long }"}, jobs=self.JOB)
        plane.bucket.put("sales", held)
        plane.look()
        assert plane.condition() == ("False", "Held")
        assert len(plane.bucket.objects) == 1
        answer = plan_project(plane.plan_ports, {"project": "sales", "manifest": manifest(jobs=self.JOB)})
        assert "error" not in answer
        assert len(plane.bucket.objects) == 1

    def test_a_file_that_left_while_the_plan_was_held_is_a_stated_wait(self) -> None:
        plane = Plane()
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print(1)"}
        plane.bucket.put("sales", manifest(jobs=self.JOB, policy="{ manage: [observe] }"))
        plane.look()
        plane.bucket.loose["sales"].clear()
        plane.bucket.put("sales", manifest(jobs=self.JOB))
        plane.look()
        assert "create report" not in plane.cloud.writes
        assert "jobs/report.py is nowhere" in plane.table.records["sales"].status["conditions"][0]["message"]
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print(1)"}
        plane.look(after=HOUR)
        assert plane.condition() == ("True", "Applied")

    def test_a_file_that_changes_between_listing_and_copy_is_looked_at_again(self) -> None:
        plane = Plane()
        plane.bucket.loose["sales"] = {"jobs/report.py": b"print(1)"}
        plane.bucket.put("sales", manifest(jobs=self.JOB, policy="{ manage: [observe] }"))
        plane.look()
        plane.bucket.put("sales", manifest(jobs=self.JOB))
        read = plane.bucket.read_beside
        plane.bucket.read_beside = lambda project, path: read(project, path) + b"#"  # type: ignore[method-assign]
        plane.look()
        assert plane.bucket.objects == {}, "no content lies under another's digest"
        assert plane.condition() == ("False", "Waiting")

    def test_a_file_that_is_nowhere_is_a_stated_wait(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest(jobs=self.JOB))
        plane.look()
        assert plane.condition() == ("False", "FileMissing")
        assert "jobs/report.py" in plane.table.records["sales"].status["conditions"][0]["message"]
        assert "meshplane publish" in plane.table.records["sales"].status["whatToDo"]

    def test_a_folder_of_modules_is_one_zip_whose_digest_depends_on_its_files_alone(self) -> None:
        plane = Plane()
        job = self.JOB.replace("jobs/report.py,", "jobs/report.py, modules: [lib/],")
        plane.bucket.loose["sales"] = {"jobs/report.py": b"x", "lib/a.py": b"1", "lib/b.py": b"2"}
        plane.bucket.put("sales", manifest(jobs=job))
        plane.look()
        (key,) = (key for key in plane.bucket.objects if key.endswith("/lib.zip"))
        with zipfile.ZipFile(io.BytesIO(plane.bucket.objects[key])) as archive:
            assert archive.namelist() == ["lib/a.py", "lib/b.py"]
        assert bundle({"lib/b.py": b"2", "lib/a.py": b"1"}) == plane.bucket.objects[key]
        plane.bucket.loose["sales"].pop("lib/a.py")
        plane.look()
        assert len([key for key in plane.bucket.objects if key.endswith("/lib.zip")]) == 2
        plane.bucket.loose["sales"].clear()
        plane.look()
        assert plane.condition() == ("True", "Applied"), "the last release serves, its bundles too"

    def test_packages_need_a_release_that_resolved_them(self) -> None:
        plane = Plane()
        job = self.JOB.replace("jobs/report.py,", "jobs/report.py, packages: [phonenumbers==9.0.1],")
        plane.bucket.loose["sales"] = {"jobs/report.py": b"x"}
        plane.bucket.put("sales", manifest(jobs=job))
        plane.look()
        assert plane.table.records["sales"].release.wheels == {}
        index = {
            "digest": "d1",
            "files": {"jobs/report.py": "a" * 64, "wheels/p.whl": "b" * 64},
            "wheels": {"phonenumbers==9.0.1": ["p.whl"]},
        }
        plane.bucket.objects["releases/sales/d1.json"] = json.dumps(index).encode()
        plane.bucket.put("sales", manifest(jobs=job), release="d1")
        plane.look()
        plane.bucket.put("sales", manifest(jobs=job))
        plane.look()
        assert plane.table.records["sales"].release.wheels == {"phonenumbers==9.0.1": ("p.whl",)}
        assert plane.condition() == ("True", "Applied")

    def test_the_last_release_serves_when_nothing_lies_beside(self) -> None:
        plane = Plane()
        index = {"digest": "d1", "files": {"jobs/report.py": "a" * 64}, "provenance": {"git_sha": "abc"}}
        plane.bucket.objects["releases/sales/d1.json"] = json.dumps(index).encode()
        plane.bucket.put("sales", manifest(jobs=self.JOB), release="d1")
        plane.look()
        assert plane.condition() == ("True", "Applied")
        assert plane.table.notes[-1]["git_sha"] == "abc"
        plane.bucket.put("sales", manifest(jobs=self.JOB))
        plane.look()
        assert plane.cloud.writes == []
        assert plane.condition() == ("True", "Applied")

    def test_a_release_without_its_index_is_waited_for(self) -> None:
        plane = Plane()
        plane.bucket.put("sales", manifest(), release="d9")
        plane.look()
        assert plane.condition() == ("False", "Waiting")
        assert plane.cloud.writes == []


BODIES = [
    ("manifests/sales/project.yaml", "unchanged"),
    ("manifests/sales/deep/project.yaml", "ignored"),
    ("manifests/status/project.yaml", "ignored"),
    ("manifests/Sales_1/project.yaml", "ignored"),
    ("other/sales/project.yaml", "ignored"),
    ("", "ignored"),
]


@pytest.mark.parametrize(("key", "result"), BODIES)
def test_a_message_counts_by_its_object_key_alone(plane: Plane, key: str, result: str) -> None:
    body = json.dumps({"source": "aws.s3", "detail": {"object": {"key": key}}})
    plane.clock.at += MINUTE
    assert reconcile_message(plane.ports, body, "m").result == result
    assert HERE.naming.manifest_key("sales") == "manifests/sales/project.yaml"
