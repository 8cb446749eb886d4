"""Raw tables against moto with its repairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.iceberg import catalog
from meshplane.aws.kinds.hive_table import HiveTableAdapter
from meshplane.errors import Conflict, Rejected
from meshplane.kinds.hive_table import KIND, HiveColumn, HiveTableSpec
from meshplane.kinds.iceberg_table import ownership_properties
from meshplane.model.resource import Effect, Id, Want
from tests.aws.behaviour import OTHER, OWNER, AdapterBehaviour, Subject
from tests.aws.table_estate import NAMING, make_baseline, opening

DATABASE = NAMING.database("raw")
SPEC = HiveTableSpec(
    location=NAMING.table_location("sales", "orders_raw", "raw", iceberg=False),
    columns=(HiveColumn("order_id", "string", "as the shop sends it"), HiveColumn("amount", "string")),
    partition=(HiveColumn("dt", "string"),),
    description="Orders as they arrive",
    input_format="org.apache.hadoop.mapred.TextInputFormat",
    output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    serde="org.apache.hadoop.hive.serde2.OpenCSVSerde",
    serde_parameters={"separatorChar": ";", "quoteChar": '"', "escapeChar": "\\", "serialization.format": "1"},
    parameters={"classification": "csv", "skip.header.line.count": "1", "meshplane.table": "orders_raw", "EXTERNAL": "TRUE", "empty": ""},
)
ID = Id("hive_table", f"{DATABASE}.sales_orders_raw", "orders_raw")
WANT = Want(ID, SPEC)


def adapter(clients: Clients) -> HiveTableAdapter:
    return HiveTableAdapter(opening(clients))


def entry(clients: Clients) -> Mapping[str, Any]:
    found = catalog.get(clients, DATABASE, "sales_orders_raw")
    assert found is not None
    return found


def by_other_hand(clients: Clients, change: Callable[[dict[str, Any]], object]) -> None:
    body = catalog.as_input(entry(clients))
    change(body)
    clients("glue").update_table(DatabaseName=DATABASE, TableInput=body)


@pytest.fixture
def estate(clients: Clients) -> Clients:
    make_baseline(clients)
    return clients


class TestHiveTable(AdapterBehaviour):
    @pytest.fixture
    def subject(self, estate: Clients) -> Subject:
        def change(what: Callable[[dict[str, Any]], object]) -> Callable[[], object]:
            return lambda: by_other_hand(estate, what)

        def storage(**values: object) -> Callable[[], object]:
            return change(lambda body: body["StorageDescriptor"].update(values))

        def foreign() -> None:
            body = {"Name": "sales_orders_raw", "Parameters": dict(ownership_properties(OTHER)), "StorageDescriptor": {"Columns": []}}
            estate("glue").create_table(DatabaseName=DATABASE, TableInput=body)

        return Subject(
            kind=KIND,
            want=WANT,
            clients=estate,
            open=lambda: adapter(estate),
            drifts={
                "location": storage(Location="s3://elsewhere/"),
                "columns": storage(Columns=[{"Name": "amount", "Type": "double"}, {"Name": "order_id", "Type": "string"}]),
                "partition": change(lambda body: body.update(PartitionKeys=[{"Name": "day", "Type": "string"}])),
                "description": change(lambda body: body.pop("Description")),
                "input_format": storage(InputFormat="x.Input"),
                "output_format": storage(OutputFormat="x.Output"),
                "serde": change(lambda body: body["StorageDescriptor"]["SerdeInfo"].update(SerializationLibrary="x.Serde")),
                "serde_parameters": change(lambda b: b["StorageDescriptor"]["SerdeInfo"]["Parameters"].update(separatorChar=",", more="x")),
                "parameters": change(lambda body: body["Parameters"].update({"classification": "json", "projection.enabled": "true"})),
                "tombstone": change(lambda body: body["Parameters"].update({"meshplane.tombstone": "true"})),
            },
            vanish=lambda: estate("glue").delete_table(DatabaseName=DATABASE, Name="sales_orders_raw"),
            foreign=foreign,
            dump=lambda: entry(estate),
            fixed={"table_format": "what stands under the name"},
            rests=True,
        )

    def test_what_is_created_is_observed_equal_and_owned(self, subject: Subject) -> None:
        seen = subject.made()
        assert seen.owner == OWNER
        assert seen.spec is not None
        assert KIND.compare(SPEC, seen.spec) == ()
        assert KIND.extra(SPEC, seen.spec) == ()
        assert replace(seen.spec, parameters=SPEC.parameters) == SPEC

    def test_every_field_changed_by_another_hand_is_seen_and_healed(self, subject: Subject) -> None:
        assert {one.name for one in fields(HiveTableSpec)} == set(subject.drifts) | set(subject.fixed)
        subject.made()
        for name, alter in subject.drifts.items():
            alter()
            seen = subject.look()
            assert seen is not None
            assert seen.spec is not None
            assert {one.field.split(".")[0] for one in KIND.compare(SPEC, seen.spec)} == {name}
            subject.heal(seen)
            again = subject.look()
            assert again is not None
            assert again.spec is not None
            assert KIND.compare(SPEC, again.spec) == (), name

    def test_gone_by_another_hand_is_seen_as_gone_and_made_again(self, subject: Subject) -> None:
        subject.made()
        subject.vanish()
        assert subject.look() is None
        again = subject.made().spec
        assert again is not None
        assert KIND.compare(SPEC, again) == ()


def test_what_somebody_else_added_is_reported_and_stays(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    by_other_hand(estate, lambda body: body.update(Owner="data-office"))
    by_other_hand(estate, lambda body: body["Parameters"].update({"crawler": "x", "numRows": "7"}))
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    assert KIND.compare(SPEC, seen.spec) == ()
    assert KIND.extra(SPEC, seen.spec) == ("parameter crawler",)
    to = replace(SPEC, description="Orders")
    adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    assert entry(estate)["Parameters"]["crawler"] == "x"
    assert entry(estate)["Owner"] == "data-office"
    assert entry(estate)["Description"] == "Orders"


def test_a_change_since_the_look_is_a_conflict(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    by_other_hand(estate, lambda body: body["Parameters"].update(crawler="x"))
    assert seen.spec is not None
    to = replace(SPEC, description="Orders")
    with pytest.raises(Conflict):
        adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    assert entry(estate)["Parameters"]["crawler"] == "x"


def test_an_undeclared_one_rests_and_is_taken_up_again(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    before = entry(estate)
    (seen,) = adapter(estate).observe([], OWNER, {})
    adapter(estate).update(seen, KIND.resting(seen), (), OWNER)
    (resting,) = adapter(estate).observe([], OWNER, {})
    assert resting.resting
    assert resting.spec is not None
    (back,) = KIND.compare(SPEC, resting.spec)
    adapter(estate).update(resting, SPEC, (back,), OWNER)
    after = entry(estate)
    assert {**after, "VersionId": "", "UpdateTime": ""} == {**before, "VersionId": "", "UpdateTime": ""}
    with pytest.raises(Rejected):
        adapter(estate).delete(resting, OWNER)


def test_an_iceberg_table_of_the_name_is_never_overwritten(estate: Clients) -> None:
    body = {"Name": "sales_orders_raw", "Parameters": {"table_type": "ICEBERG", **ownership_properties(OWNER)}}
    estate("glue").create_table(DatabaseName=DATABASE, TableInput=body)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    (only,) = KIND.compare(SPEC, seen.spec)
    assert "another name" in only.refused
    assert adapter(estate).observe([], OWNER, {}) == [], "undeclared, it is the Iceberg kind's"


def test_a_claim_writes_ownership_and_nothing_else(estate: Clients) -> None:
    estate("glue").create_table(
        DatabaseName=DATABASE, TableInput={"Name": "sales_orders_raw", "Parameters": {"a": "b"}, "Description": "x"}
    )
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.owner is None
    adapter(estate).claim(seen, OWNER)
    assert entry(estate)["Parameters"] == {"a": "b", **ownership_properties(OWNER)}
    assert entry(estate)["Description"] == "x"


def test_partition_keys_and_format_are_breaking(estate: Clients) -> None:
    other = replace(SPEC, partition=(), serde="org.openx.data.jsonserde.JsonSerDe", serde_parameters={})
    effects = {one.field: one.effect for one in KIND.compare(other, SPEC)}
    assert effects["partition"] is Effect.BREAKING
    assert effects["serde"] is Effect.BREAKING
    assert max(effects[key] for key in effects if key not in ("partition", "serde")) is Effect.SAFE
