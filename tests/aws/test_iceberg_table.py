"""Iceberg tables against moto with its repairs: the shared behaviour, and what only a table does."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from operator import methodcaller
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.iceberg import catalog
from meshplane.aws.iceberg import metadata as files
from meshplane.aws.iceberg.commit import Commits
from meshplane.aws.kinds.iceberg_table import IcebergTableAdapter
from meshplane.errors import Conflict, NotFound, Rejected
from meshplane.kinds.iceberg_table import KIND, IcebergTableSpec, Term, ownership_properties
from meshplane.model.evolution import BROUGHT
from meshplane.model.resource import Id, Want
from meshplane.model.types import Decimal, Field, ListType, MapType, Primitive, StructType
from tests.aws import table_estate
from tests.aws.behaviour import OTHER, OWNER, AdapterBehaviour, Subject, writes
from tests.aws.table_estate import NAMING, empty_estate, opening

DATABASE = NAMING.database("refined")
LOCATION = NAMING.table_location("sales", "orders", "refined", iceberg=True)
LONG, INT, STRING, TZ = (Primitive(name) for name in ("long", "int", "string", "timestamptz"))
ITEMS = ListType(StructType((Field("sku", STRING), Field("quantity", INT))))
COLUMNS = (
    Field("order_id", LONG, required=True, doc="Shop's order number"),
    Field("customer_id", INT),
    Field("amount", Decimal(10, 2)),
    Field("ccy", STRING),
    Field("items", ITEMS),
    Field("tags", MapType(STRING, STRING)),
    Field("legacy", STRING),
    Field("ordered_at", TZ),
)
SPEC = IcebergTableSpec(
    LOCATION,
    COLUMNS,
    (Term("ordered_at", "day"), Term("customer_id", "bucket[4]")),
    (Term("customer_id", order="asc nulls-first"), Term("ordered_at", order="desc nulls-last")),
    {"comment": "One row per order", "write.format.default": "parquet", "meshplane.table": "orders", "meshplane.declared-properties": ""},
)
ID = Id("iceberg_table", f"{DATABASE}.sales_orders", "orders")
WANT = Want(ID, SPEC)


def adapter(clients: Clients) -> IcebergTableAdapter:
    return IcebergTableAdapter(opening(clients), wait=lambda _: None)


@pytest.fixture
def estate() -> Iterator[Clients]:
    with empty_estate() as clients:
        yield clients


def entry(clients: Clients) -> Mapping[str, Any]:
    found = catalog.get(clients, DATABASE, "sales_orders")
    assert found is not None
    return found


def raw(clients: Clients) -> dict[str, Any]:
    return files.read(clients, entry(clients)["Parameters"]["metadata_location"])


def by_other_hand(clients: Clients, change: Callable[[Any], object]) -> None:
    """A commit through pyiceberg's own catalog, as an engine would make it."""
    change(loaded(clients))


def loaded(clients: Clients) -> Any:
    return table_estate.loaded(clients, DATABASE, "sales_orders")


class TestIcebergTable(AdapterBehaviour):
    @pytest.fixture
    def subject(self, estate: Clients) -> Subject:
        def setting(**properties: str) -> Callable[[], object]:
            return lambda: by_other_hand(estate, lambda t: t.transaction().set_properties(properties).commit_transaction())

        def schema(change: Callable[[Any], object]) -> Callable[[], object]:
            def alter() -> None:
                with loaded(estate).update_schema() as update:
                    change(update)

            return alter

        def partition() -> None:
            with loaded(estate).update_spec() as update:
                update.remove_field("customer_id_bucket_4")

        def sort() -> None:
            from pyiceberg.transforms import IdentityTransform

            with loaded(estate).update_sort_order() as update:
                update.desc("order_id", IdentityTransform())

        def foreign() -> None:
            Commits(estate).create(DATABASE, "sales_orders", SPEC, ownership_properties(OTHER))

        return Subject(
            kind=KIND,
            want=WANT,
            clients=estate,
            open=lambda: adapter(estate),
            drifts={
                "columns": schema(lambda u: u.update_column("order_id", doc="something else", required=False).delete_column("tags")),
                "partition": partition,
                "sort": sort,
                "properties": setting(comment="changed", **{"write.format.default": "orc"}),
                "tombstone": setting(**{"meshplane.tombstone": "true"}),
            },
            vanish=lambda: estate("glue").delete_table(DatabaseName=DATABASE, Name="sales_orders"),
            foreign=foreign,
            dump=lambda: entry(estate),
            fixed={
                "location": "a table is never moved",
                "format_version": "one way only",
                "dropped": "the author's word, not the table's",
                "changed": "the contract's word, not the table's",
                "sources": "history",
                "empty": "data",
                "unjudged": "data",
                "table_format": "what stands under the name",
            },
            rests=True,
        )

    def test_what_is_created_is_observed_equal_and_owned(self, subject: Subject) -> None:
        seen = subject.made()
        assert seen.owner == OWNER
        assert seen.spec is not None
        assert KIND.compare(SPEC, seen.spec) == ()
        assert KIND.extra(SPEC, seen.spec) == ()
        assert (seen.spec.columns, seen.spec.partition, seen.spec.sort, seen.spec.location) == (
            COLUMNS,
            SPEC.partition,
            SPEC.sort,
            LOCATION,
        )

    def test_every_field_changed_by_another_hand_is_seen_and_healed(self, subject: Subject) -> None:
        # required → optional by another hand cannot be taken back once there are rows; there are none here.
        from dataclasses import fields

        assert {one.name for one in fields(IcebergTableSpec)} == set(subject.drifts) | set(subject.fixed)
        subject.made()
        for name, alter in subject.drifts.items():
            alter()
            seen = subject.look()
            assert seen is not None
            assert seen.spec is not None
            differences = KIND.compare(SPEC, seen.spec)
            assert {one.field.split(".")[0] for one in differences} == {name}
            assert not [one.refused for one in differences if one.refused]
            subject.heal(seen)
            again = subject.look()
            assert again is not None
            assert again.spec is not None
            assert KIND.compare(SPEC, again.spec) == (), name

    def test_gone_by_another_hand_is_seen_as_gone_and_made_again(self, subject: Subject) -> None:
        before = subject.made()
        uuid = raw(subject.clients)["table-uuid"]
        subject.vanish()
        assert subject.look() is None
        again = subject.made()
        assert again.spec == before.spec
        assert raw(subject.clients)["table-uuid"] == uuid, "the table that stands is entered again, not a new one over its data"


def test_creation_is_two_requests_and_one_listing_of_the_layer(estate: Clients) -> None:
    subject = Subject(KIND, WANT, estate, lambda: adapter(estate), {}, str, str, str)
    one = subject.open()
    assert subject.recorded(lambda: one.create(WANT, OWNER)) == ["s3:ListObjectsV2", "s3:PutObject", "glue:CreateTable"]
    second = Want(replace(ID, name=f"{DATABASE}.sales_customers"), replace(SPEC, location=LOCATION.replace("orders", "customers")))
    assert subject.recorded(lambda: one.create(second, OWNER)) == ["s3:PutObject", "glue:CreateTable"]


def test_an_unchanged_table_costs_no_read_and_a_change_four_requests(estate: Clients) -> None:
    subject = Subject(KIND, WANT, estate, lambda: adapter(estate), {}, str, str, str)
    mark = subject.made().mark
    sent = subject.recorded(lambda: subject.open().observe([ID], OWNER, {ID: mark}))
    assert sent == ["glue:GetTables"] * 3, "one listing per layer's database, no metadata file"
    (seen,) = subject.open().observe([ID], OWNER, {ID: mark})
    assert (seen.spec, seen.mark, seen.owner) == (None, mark, OWNER)
    full = subject.look()
    assert full is not None
    assert full.spec is not None
    to = replace(SPEC, properties={**SPEC.properties, "comment": "Orders"})
    differences = KIND.compare(to, full.spec)
    sent = subject.recorded(lambda: subject.open().update(full, to, differences, OWNER))
    assert sent == ["glue:GetTable", "s3:GetObject", "s3:PutObject", "glue:UpdateTable"]


def test_a_thousand_tables_of_others_are_not_read(estate: Clients) -> None:
    for number in range(150):
        body = {"Name": f"finance_t{number:03}", "Parameters": {"table_type": "ICEBERG", "metadata_location": "s3://nowhere/x"}}
        estate("glue").create_table(DatabaseName=DATABASE, TableInput=body)
    subject = Subject(KIND, WANT, estate, lambda: adapter(estate), {}, str, str, str)
    mark = subject.made().mark
    assert len(subject.recorded(lambda: subject.open().observe([ID], OWNER, {ID: mark}))) == 3


NEW = (
    Field("customer_id", LONG),  # widened and moved to the front; a source of spec and order
    Field("order_id", LONG, doc="Order number"),  # required → optional, doc
    Field("channel", STRING),  # added in the middle
    Field("total", Decimal(14, 2), renamed_from="amount"),  # renamed and widened at once
    Field("currency", STRING, renamed_from="ccy"),
    Field("amount", STRING),  # the old name of another column, anew
    Field("items", ListType(StructType((Field("quantity", LONG), Field("article", STRING, renamed_from="sku"), Field("price", INT))))),
    Field("tags", MapType(STRING, STRING)),
    Field("ordered_at", TZ),
)


def rows_before() -> Any:
    when = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
    return [
        {"order_id": 1, "customer_id": 7, "amount": decimal.Decimal("1.50"), "ccy": "EUR", "tags": [("k", "v")],
         "items": [{"sku": "a", "quantity": 2}], "legacy": "x", "ordered_at": when},
        {"order_id": 2, "customer_id": None, "amount": None, "ccy": None, "items": None, "tags": None, "legacy": None, "ordered_at": when},
    ]  # fmt: skip


# pyiceberg writes identity partitions without a package of its own for the other transforms; test_iceberg_spark has those.
ROWS = replace(SPEC, partition=(Term("customer_id"),))


def append(table: Any, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    schema = table.schema().as_arrow()
    table.append(pa.Table.from_pylist(rows, schema=schema))


def test_rows_written_before_are_read_right_after_everything_changed_in_one_commit(estate: Clients) -> None:
    adapter(estate).create(replace(WANT, spec=ROWS), OWNER)
    append(loaded(estate), rows_before())
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    to = replace(SPEC, columns=NEW, dropped=("legacy",), partition=(Term("currency"),), sort=(Term("currency", order="asc nulls-first"),))
    before = raw(estate)
    differences = KIND.compare(to, seen.spec)
    assert not [one.refused for one in differences if one.refused]
    adapter(estate).update(seen, to, differences, OWNER)
    after = raw(estate)
    assert len(after["metadata-log"]) == len(before["metadata-log"]) + 1, "one commit"
    (again,) = adapter(estate).observe([ID], OWNER, {})
    assert again.spec is not None
    assert KIND.compare(to, again.spec) == ()
    assert adapter(estate).update(again, to, (), OWNER).mark == again.mark, "a second update commits nothing"
    first = loaded(estate).scan(row_filter="order_id = 1").to_arrow().to_pylist()[0]
    assert first == {
        "customer_id": 7,
        "order_id": 1,
        "channel": None,
        "total": rows_before()[0]["amount"],
        "currency": "EUR",
        "amount": None,
        "items": [{"quantity": 2, "article": "a", "price": None}],
        "tags": [("k", "v")],
        "ordered_at": rows_before()[0]["ordered_at"],
    }
    ids = {one["name"]: one["id"] for one in files.schema(after)["fields"]}
    old = {one["name"]: one["id"] for one in files.schema(before)["fields"]}
    assert (ids["total"], ids["currency"]) == (old["amount"], old["ccy"])
    assert min(ids["amount"], ids["channel"]) > before["last-column-id"], "an id is never used twice"
    append(loaded(estate), [{"customer_id": 2**40, "order_id": 3, "total": None, "ordered_at": rows_before()[0]["ordered_at"]}])
    assert loaded(estate).scan().to_arrow().num_rows == 3


def test_a_dropped_column_that_comes_back_is_a_new_one(estate: Clients) -> None:
    adapter(estate).create(replace(WANT, spec=ROWS), OWNER)
    append(loaded(estate), rows_before())

    def bring(to: IcebergTableSpec) -> None:
        (seen,) = adapter(estate).observe([ID], OWNER, {})
        assert seen.spec is not None
        adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)

    bring(replace(ROWS, columns=tuple(c for c in COLUMNS if c.name != "legacy"), dropped=("legacy",)))
    bring(ROWS)
    assert set(loaded(estate).scan().to_arrow().column("legacy").to_pylist()) == {None}


def test_the_entry_keeps_what_pyiceberg_would_drop(estate: Clients) -> None:
    # aws-facts C2: pyiceberg's own commit drops Description and Owner, and leaves removed properties among the parameters.
    adapter(estate).create(WANT, OWNER)
    body = {**catalog.as_input(entry(estate)), "Owner": "data-office", "Retention": 5}
    body["Parameters"] = {**body["Parameters"], "lake-formation": "yes"}
    estate("glue").update_table(DatabaseName=DATABASE, TableInput=body)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    to = replace(SPEC, tombstone=True)
    adapter(estate).update(seen, to, (), OWNER)
    resting = entry(estate)
    assert (resting["Description"], resting["Owner"], resting["Retention"]) == ("One row per order", "data-office", 5)
    assert resting["Parameters"]["lake-formation"] == "yes"
    assert resting["Parameters"]["meshplane.tombstone"] == "true"
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    adapter(estate).update(seen, SPEC, KIND.compare(SPEC, seen.spec), OWNER)
    assert "meshplane.tombstone" not in entry(estate)["Parameters"]
    assert KIND.compare(SPEC, files.spec(raw(estate))) == ()


def test_a_table_rests_with_its_data_and_is_taken_up_again(estate: Clients) -> None:
    adapter(estate).create(replace(WANT, spec=ROWS), OWNER)
    append(loaded(estate), rows_before())
    uuid = raw(estate)["table-uuid"]
    (seen,) = adapter(estate).observe([], OWNER, {})
    done = adapter(estate).update(seen, KIND.resting(seen), (), OWNER)
    (resting,) = adapter(estate).observe([], OWNER, {})
    assert resting.resting
    assert adapter(estate).update(resting, KIND.resting(resting), (), OWNER) == done, "resting twice commits once"
    (known,) = adapter(estate).observe([], OWNER, {ID: done.mark})
    assert (known.spec, known.resting) == (None, True)
    assert resting.spec is not None
    adapter(estate).update(resting, ROWS, KIND.compare(ROWS, resting.spec), OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert not seen.resting
    assert raw(estate)["table-uuid"] == uuid
    assert loaded(estate).scan().to_arrow().num_rows == 2


def test_what_glue_shows_as_columns_is_not_compared(estate: Clients) -> None:
    # Every client rebuilds them at every commit, columns that were dropped long ago included (aws-facts C2).
    adapter(estate).create(WANT, OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    to = replace(SPEC, columns=tuple(c for c in COLUMNS if c.name != "legacy"), dropped=("legacy",))
    adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    ghosts = {c["Name"]: c["Parameters"]["iceberg.field.current"] for c in entry(estate)["StorageDescriptor"]["Columns"]}
    assert ghosts["legacy"] == "false"
    body = catalog.as_input(entry(estate))
    body["StorageDescriptor"]["Columns"] = [{"Name": "x", "Type": "int"}]
    estate("glue").update_table(DatabaseName=DATABASE, TableInput=body)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    assert (KIND.compare(to, seen.spec), KIND.extra(to, seen.spec)) == ((), ())


def test_identifier_fields_of_somebody_else_survive(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    with loaded(estate).update_schema() as update:
        update.set_identifier_fields("order_id")
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    to = replace(SPEC, columns=(*COLUMNS, Field("channel", STRING)))
    adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    assert files.schema(raw(estate))["identifier-field-ids"] == [1]


def test_a_layout_that_the_table_had_before_is_taken_up_by_its_number(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    for to in (replace(SPEC, partition=(), sort=()), SPEC):
        (seen,) = adapter(estate).observe([ID], OWNER, {})
        assert seen.spec is not None
        adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    now = raw(estate)
    assert (now["default-spec-id"], len(now["partition-specs"])) == (0, 2)
    assert (now["default-sort-order-id"], len(now["sort-orders"])) == (1, 2)


def test_a_source_of_an_earlier_layout_is_not_dropped(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    to = replace(SPEC, partition=(), sort=())
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    without = replace(to, columns=tuple(c for c in COLUMNS if c.name != "customer_id"), dropped=("customer_id",))
    (only,) = KIND.compare(without, seen.spec)
    assert "partitioned or sorted" in only.refused


def test_the_newest_whole_metadata_is_entered_again(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    good = entry(estate)["Parameters"]["metadata_location"]
    bucket, _ = files.bucket_and_key(good)
    left = {**raw(estate), "current-snapshot-id": 1, "snapshots": [{"snapshot-id": 1, "manifest-list": f"s3://{bucket}/gone.avro"}]}
    key = files.bucket_and_key(SPEC.location)[1] + "/metadata/00001-lost.metadata.json"
    estate("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(left).encode())
    estate("glue").delete_table(DatabaseName=DATABASE, Name="sales_orders")
    adapter(estate).create(WANT, OWNER)
    assert entry(estate)["Parameters"]["metadata_location"] == good


def test_a_required_column_waits_for_an_empty_table(estate: Clients) -> None:
    adapter(estate).create(replace(WANT, spec=ROWS), OWNER)
    to = replace(ROWS, columns=(*COLUMNS, Field("channel", STRING, required=True)))
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    allowed = KIND.compare(to, seen.spec)
    assert [one.refused for one in allowed] == [""]
    append(loaded(estate), rows_before())  # between plan and commit
    with pytest.raises(Rejected, match="required"):
        adapter(estate).update(seen, to, allowed, OWNER)


def test_what_changed_after_the_plan_is_looked_at_again(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    to = replace(SPEC, properties={**SPEC.properties, "comment": "Orders"})
    with loaded(estate).update_schema() as update:
        update.rename_column("tags", "labels")
    with pytest.raises(Conflict, match="meanwhile"):
        adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)


def test_a_column_that_the_data_brought_stays_until_somebody_declares_it(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    with loaded(estate).update_schema() as update:
        update.add_column("channel", loaded(estate).schema().find_type("ccy"), doc=BROUGHT)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    assert (KIND.compare(SPEC, seen.spec), KIND.extra(SPEC, seen.spec)) == ((), ())
    assert KIND.brought(SPEC, seen.spec) == ("column channel string",)
    to = replace(SPEC, columns=(*COLUMNS, Field("channel", STRING, doc="Where it was sold")))
    number = next(one["id"] for one in files.schema(raw(estate))["fields"] if one["name"] == "channel")
    adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    (after,) = adapter(estate).observe([ID], OWNER, {})
    assert after.spec is not None
    assert (KIND.compare(to, after.spec), KIND.brought(to, after.spec)) == ((), ())
    [field] = [one for one in files.schema(raw(estate))["fields"] if one["name"] == "channel"]
    assert (field["id"], field["doc"]) == (number, "Where it was sold")


def test_a_column_of_somebody_else_is_reported_and_stays(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    with loaded(estate).update_schema() as update:
        update.add_column("score", loaded(estate).schema().find_type("customer_id"))
    by_other_hand(estate, lambda t: t.transaction().set_properties({"team": "x"}).commit_transaction())
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    assert KIND.compare(SPEC, seen.spec) == ()
    assert KIND.extra(SPEC, seen.spec) == ("column score", "property team")
    to = replace(SPEC, columns=(*COLUMNS, Field("channel", STRING)))
    adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    names = [one["name"] for one in files.schema(raw(estate))["fields"]]
    assert {"score", "channel"} <= set(names)
    assert raw(estate)["properties"]["team"] == "x"


def test_a_declared_property_that_leaves_the_manifest_goes(estate: Clients) -> None:
    one = {**SPEC.properties, "write.distribution-mode": "hash", "meshplane.declared-properties": "write.distribution-mode"}
    adapter(estate).create(replace(WANT, spec=replace(SPEC, properties=one)), OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    differences = KIND.compare(SPEC, seen.spec)
    assert {one.field for one in differences} == {"properties.write.distribution-mode", "properties.meshplane.declared-properties"}
    adapter(estate).update(seen, SPEC, differences, OWNER)
    assert "write.distribution-mode" not in raw(estate)["properties"]
    assert "write.distribution-mode" not in entry(estate)["Parameters"]


def test_the_data_of_another_table_is_never_taken_over(estate: Clients) -> None:
    Commits(estate).create(DATABASE, "finance_orders", SPEC, ownership_properties(OTHER))
    estate("glue").delete_table(DatabaseName=DATABASE, Name="finance_orders")
    with pytest.raises(Conflict, match="another table"):
        adapter(estate).create(WANT, OWNER)


def test_a_hive_table_of_the_name_is_seen_and_refused(estate: Clients) -> None:
    body = {"Name": "sales_orders", "Parameters": {"classification": "csv", **ownership_properties(OWNER)}}
    estate("glue").create_table(DatabaseName=DATABASE, TableInput=body)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.owner == OWNER
    assert seen.spec is not None
    (only,) = KIND.compare(SPEC, seen.spec)
    assert "another name" in only.refused


def test_a_lost_metadata_file_is_a_stated_wait(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    bucket, key = files.bucket_and_key(entry(estate)["Parameters"]["metadata_location"])
    estate("s3").delete_object(Bucket=bucket, Key=key)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert key in seen.busy


class Broken:
    """Carries the next UpdateTable out and loses the reply, or never sends it."""

    def __init__(self, clients: Clients, carried_out: bool) -> None:
        self.clients, self.carried_out, self.left = clients, carried_out, 1

    def __call__(self, service: str, retries: bool = True) -> Any:
        real = self.clients(service, retries)
        return _Proxy(self, real) if service == "glue" else real


class _Proxy:
    def __init__(self, broken: Broken, real: Any) -> None:
        self._broken, self._real = broken, real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def update_table(self, **asked: Any) -> Any:
        from botocore.exceptions import ReadTimeoutError

        if not self._broken.left:
            return self._real.update_table(**asked)
        self._broken.left -= 1
        if self._broken.carried_out:
            self._real.update_table(**asked)
        raise ReadTimeoutError(endpoint_url="glue")


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_unknown_outcome_is_cleared_up_by_reading_again(estate: Clients, carried_out: bool) -> None:
    adapter(estate).create(WANT, OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    to = replace(SPEC, columns=(*COLUMNS, Field("channel", STRING)))
    broken: Any = Broken(estate, carried_out)
    adapter(broken).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    after = raw(estate)
    assert len(after["schemas"]) == 2, "added once"
    assert KIND.compare(to, files.spec(after)) == ()


def test_dying_between_the_two_requests_of_a_creation_leaves_one_table(estate: Clients) -> None:
    unborn = replace(WANT, id=Id("iceberg_table", "f01_de_nowhere.sales_orders"))
    with pytest.raises(NotFound):  # the metadata is put, the entry is not made
        adapter(estate).create(unborn, OWNER)
    adapter(estate).create(WANT, OWNER)
    bucket, key = files.bucket_and_key(LOCATION)
    keys = [row["Key"] for row in estate("s3").list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    assert [f"s3://{bucket}/{one}" for one in keys] == [entry(estate)["Parameters"]["metadata_location"]]


def test_a_table_with_a_name_of_its_own_is_found_and_claimed(estate: Clients) -> None:
    Commits(estate).create(DATABASE, "legacy_orders", SPEC, {})
    this = Id("iceberg_table", f"{DATABASE}.legacy_orders", "orders")
    (seen,) = adapter(estate).observe([this], OWNER, {})
    assert seen.owner is None
    done = adapter(estate).claim(seen, OWNER)
    (ours,) = adapter(estate).observe([this], OWNER, {})
    assert (ours.owner, ours.mark) == (OWNER, done.mark)
    assert adapter(estate).claim(ours, OWNER) == done, "a second claim commits nothing"
    with pytest.raises(Conflict):
        adapter(estate).claim(ours, OTHER)


def test_two_writers_at_once_lose_no_commit(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    errors: list[BaseException] = []

    def writer(name: str) -> None:
        try:
            for number in range(8):

                def plan(found: Mapping[str, Any], key: str = f"w.{name}.{number}") -> tuple[Any, ...]:
                    from pyiceberg.table.update import SetPropertiesUpdate

                    return () if key in found["properties"] else (SetPropertiesUpdate(updates={key: "1"}),)

                Commits(estate).commit(DATABASE, "sales_orders", plan)
        except BaseException as error:  # noqa: BLE001 the main thread raises it
            errors.append(error)

    threads = [threading.Thread(target=writer, args=(name,)) for name in ("a", "b")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    assert sum(key.startswith("w.") for key in raw(estate)["properties"]) == 16


def test_rows_acknowledged_while_the_plane_evolves_are_all_there(estate: Clients) -> None:
    adapter(estate).create(replace(WANT, spec=ROWS), OWNER)
    acknowledged: list[int] = []
    errors: list[BaseException] = []

    def writer(first: int) -> None:
        from pyiceberg.exceptions import CommitFailedException, ValidationException

        try:
            for number in range(first, first + 6):
                row = {"order_id": number, "customer_id": 1, "ordered_at": rows_before()[0]["ordered_at"]}
                try:
                    append(loaded(estate), [row])
                except (CommitFailedException, ValidationException):
                    continue  # refused: not acknowledged
                acknowledged.append(number)
        except BaseException as error:  # noqa: BLE001 the main thread raises it
            errors.append(error)

    threads = [threading.Thread(target=writer, args=(first,)) for first in (100, 200)]
    for one in threads:
        one.start()
    columns = list(COLUMNS)
    for number in range(5):
        columns.append(Field(f"more_{number}", STRING))
        to = replace(ROWS, columns=tuple(columns))
        (seen,) = adapter(estate).observe([ID], OWNER, {})
        assert seen.spec is not None
        adapter(estate).update(seen, to, KIND.compare(to, seen.spec), OWNER)
    for one in threads:
        one.join()
    assert errors == []
    assert acknowledged
    assert sorted(loaded(estate).scan().to_arrow().column("order_id").to_pylist()) == sorted(acknowledged)
    assert KIND.compare(to, files.spec(raw(estate))) == ()


def test_nothing_deletes_a_table(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    subject = Subject(KIND, WANT, estate, lambda: adapter(estate), {}, str, str, str)

    def refuse() -> None:
        with pytest.raises(Rejected):
            adapter(estate).delete(seen, OWNER)

    assert writes(subject.recorded(refuse)) == []


def _schema_change(change: Callable[[Any], object]) -> Callable[[Any], object]:
    def alter(table: Any) -> None:
        with table.update_schema() as update:
            change(update)

    return alter


def _spec_change(change: Callable[[Any], object]) -> Callable[[Any], object]:
    def alter(table: Any) -> None:
        with table.update_spec() as update:
            change(update)

    return alter


def _properties(**of: str) -> Callable[[Any], object]:
    return lambda table: table.transaction().set_properties(of).commit_transaction()


def _without(key: str) -> Callable[[Any], object]:
    return lambda table: table.transaction().remove_properties(key).commit_transaction()


def alterations() -> dict[str, Callable[[Any], object]]:
    """Every compared field, changed alone by another hand."""
    sources = {term.column for term in (*SPEC.partition, *SPEC.sort)}
    out: dict[str, Callable[[Any], object]] = {}
    for column in COLUMNS:
        name = column.name
        out[f"columns.{name}.doc"] = _schema_change(methodcaller("update_column", name, doc="other"))
        if name not in sources:
            out[f"columns.{name}"] = _schema_change(methodcaller("delete_column", name))
    out["columns.order_id.required"] = _schema_change(lambda u: u.update_column("order_id", required=False))
    out["columns.order"] = _schema_change(lambda u: u.move_first("tags"))
    out["columns.items.element.order"] = _schema_change(lambda u: u.move_first("items.element.quantity"))
    out["columns.items.element.sku"] = _schema_change(lambda u: u.delete_column("items.element.sku"))
    out["partition"] = _spec_change(lambda u: u.remove_field("ordered_at_day"))
    out["partition "] = _spec_change(lambda u: u.add_identity("order_id"))
    for key, value in SPEC.properties.items():
        if value:
            out[f"properties.{key}"] = _properties(**{key: "other"})
            out[f"properties.{key} "] = _without(key)
    out["tombstone"] = _properties(**{"meshplane.tombstone": "true"})
    return out


@pytest.mark.parametrize("name", list(alterations()))
def test_each_field_changed_alone_is_healed_alone(estate: Clients, name: str) -> None:
    adapter(estate).create(WANT, OWNER)
    by_other_hand(estate, alterations()[name])
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    differences = KIND.compare(SPEC, seen.spec)
    assert name.strip() in [one.field for one in differences]
    assert not [one.refused for one in differences if one.refused]
    adapter(estate).update(seen, SPEC, differences, OWNER)
    assert KIND.compare(SPEC, files.spec(raw(estate))) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda u, long: u.update_column("customer_id", long), "declare long"),
        (lambda u, long: u.rename_column("order_id", "number"), "declare it optional"),
    ],
)
def test_what_cannot_be_taken_back_is_reported_with_the_way_out(estate: Clients, change: Any, says: str) -> None:
    from pyiceberg.types import LongType

    adapter(estate).create(WANT, OWNER)
    by_other_hand(estate, _schema_change(lambda u: change(u, LongType())))
    spec = replace(files.spec(raw(estate)), empty=False)
    assert [says in one.refused for one in KIND.compare(SPEC, spec) if one.refused] == [True]
