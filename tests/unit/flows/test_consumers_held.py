"""A producer's reconcile and plan are held by a change that breaks a consumer, and go on when it is excused."""

from __future__ import annotations

from meshplane.flows.plan_project import plan_project
from tests.unit.flows.fakes import Plane, manifest

READS = "  report: { script: jobs/report.py, reads: [{ table: customers.contacts, columns: [segment] }], writes: orders }"
BEFORE = manifest("customers", tables={"contacts": "{ id: long, segment: string }"}, readers="sales")
AFTER = manifest("customers", tables={"contacts": "{ id: long }"}, readers="sales").replace("key: [id]", "key: [id], dropped: segment")


def shared() -> Plane:
    plane = Plane()
    plane.bucket.put("customers", BEFORE)
    plane.look("customers")
    plane.bucket.loose["sales"] = {"jobs/report.py": b"print()"}
    plane.bucket.put("sales", manifest(jobs=READS))
    plane.look()
    assert plane.condition() == ("True", "Applied")
    plane.cloud.writes.clear()
    return plane


def test_the_producer_is_held_and_nothing_is_written() -> None:
    plane = shared()
    plane.bucket.put("customers", AFTER)
    plane.look("customers")
    assert plane.cloud.writes == []
    assert "drops or renames `segment`, which sales.report reads" in str(plane.table.records["customers"].status)
    answer = plan_project(plane.plan_ports, {"project": "customers", "manifest": AFTER})
    assert [row["consumer"] for row in answer["impacts"] if row["held"]] == ["sales"]
    assert (bool(answer["held"]), answer["approvable"]) == (True, True)


def test_its_approval_lets_it_go_on_and_is_not_asked_again() -> None:
    plane = shared()
    answer = plan_project(plane.plan_ports, {"project": "customers", "manifest": AFTER})
    plane.bucket.put("customers", AFTER + f"policy: {{ approve: {answer['digest']} }}\n")
    assert plane.look("customers").result == "applied"
    again = plan_project(plane.plan_ports, {"project": "customers", "manifest": AFTER})
    assert (again["held"], again["impacts"]) == ([], [])
    warned = plan_project(plane.plan_ports, {"project": "sales", "manifest": manifest(jobs=READS)})
    assert [(row["table"], row["what"], row["held"]) for row in warned["impacts"]] == [
        ("customers.contacts", "no longer has `segment`", False)
    ]


def test_a_column_that_nobody_reads_may_go() -> None:
    plane = shared()
    plane.bucket.put("sales", manifest(jobs=READS.replace("segment", "id")))
    plane.look()
    answer = plan_project(plane.plan_ports, {"project": "customers", "manifest": AFTER})
    assert answer["impacts"] == []
