"""A source of the shape `jdbc` against a real PostgreSQL: incremental, with updates, deletes and changed columns; each run twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from dp_foundation.builtin import jdbc, merge
from dp_foundation.config.secrets import get_secret
from dp_foundation.errors import ConfigError, DataError, SchemaMismatchError
from dp_foundation.io.readers import read_table
from dp_foundation.sources import extracts
from dp_foundation.sources.postgresql import identifier, literal, since, split_by
from tests.jobs.job_world import World, bucket
from tests.jobs.servers import PASSWORD, Postgres, postgres

HARD = {"deletes": {"when": "deleted", "as": "hard"}}
COLUMNS = "id string, amount string, note string, updated_at string"
RAW = COLUMNS + ", deleted boolean"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def shop(world: World, spark: Any, server: Postgres) -> Iterator[Shop]:
    server.spark = spark
    made = Shop(world, spark, server)
    yield made
    server.execute(f"DROP TABLE {made.table}")


class Shop:
    """A table of orders in the database, and a project that fetches it."""

    def __init__(self, world: World, spark: Any, server: Postgres) -> None:
        self.world, self.spark, self.server = world, spark, server
        self.table, self.secret = f"public.orders_{world.project}", f"f01/dev/{world.project}/shop"
        clients: Any = boto3
        self.secrets = clients.client("secretsmanager")
        self.secrets.create_secret(Name=self.secret, SecretString=json.dumps({"username": "shop", "password": PASSWORD}))
        server.execute(
            f"CREATE TABLE {self.table} (id bigint PRIMARY KEY, amount numeric, note text, updated_at timestamptz)",
            f"INSERT INTO {self.table} SELECT i, i * 1.10, 'n''ote ' || i, '2026-01-01'::timestamptz + i * interval '1 minute' "
            "FROM generate_series(1, 100) i",
        )
        self.given: dict[str, Any] = {"source": "orders", "connection": "shop", "table": self.table, "incrementalBy": "updated_at"}
        self.given |= {"initial": "", "lookback": 0, "splitBy": "id", "parts": 3, "deletes": {"key": ["id"], "mark": "deleted"}}
        self.prefix = world.raw("orders_raw", RAW, form="parquet")
        self.out = world.iceberg(
            "orders", "id bigint, amount decimal(12,2), note string, updated_at timestamp, deleted boolean", key=["id"]
        )

    def fetch(self, run_id: str, **more: Any) -> None:
        place = {"kind": "postgresql", "host": "127.0.0.1", "port": self.server.port, "database": "postgres"}
        job = {"job": "ingest_orders", "use": "jdbc", "with": {**self.given, **more}, "secrets": {"source": self.secret}}
        self.world.start({**job, "writes": [{"table": "orders_raw", "mode": "append"}], "connections": {"shop": place}}, run_id)
        get_secret.cache_clear()
        jdbc.run()

    def took(self, run_id: str, **more: Any) -> int:
        """Fetched, and how many rows that were."""
        self.fetch(run_id, **more)
        return sum(each["rows"] for each in self.world.outbox(run_id, "ingest_orders")["inputs"])

    def load(self, run_id: str, **more: Any) -> dict[str, tuple[Any, ...]]:
        """On into refined: the newest state of each order, by id."""
        job = {"job": "load", "use": "merge", "reads": [{"table": "orders_raw"}], "writes": [{"table": "orders", "mode": "merge"}]}
        self.world.start({**job, "with": {"latestBy": ["updated_at"], **more}}, run_id)
        merge.run()
        return {str(row[0]): row for row in self.world.rows(self.out)}

    def landed(self) -> list[str]:
        found = self.world.s3.list_object_versions(Bucket=bucket("raw"), Prefix=self.prefix).get("Versions", [])
        return sorted(f"{item['Key'][len(self.prefix) :]}@{item['VersionId']}" for item in found)


@pytest.mark.spark
def test_updates_deletes_and_ties_arrive_once(shop: Shop) -> None:
    shop.fetch("r1")
    first = shop.load("m1")
    assert (len(first), str(first["10"][1]), first["10"][2], first["10"][4]) == (100, "11.00", "n'ote 10", False)
    before = shop.landed()
    shop.fetch("r2")  # nothing new: the last value is asked for again, and known
    assert (shop.landed(), shop.world.outbox("r2", "ingest_orders")["state"]) == (before, "nothing")
    tie = "'2026-01-01 01:40:00+00'"  # the greatest value that stands already: an open transaction commits late
    shop.server.execute(
        f"INSERT INTO {shop.table} VALUES (101, 5, 'late tie', {tie}), (102, 6, 'no time', NULL)",
        f"UPDATE {shop.table} SET amount = 999.99, updated_at = '2026-02-01' WHERE id = 1",
        f"DELETE FROM {shop.table} WHERE id IN (2, 3)",
    )
    shop.fetch("r3")
    record = shop.world.outbox("r3", "ingest_orders")
    assert (record["state"], [each["rows"] for each in record["inputs"]]) == ("done", [5])
    after = shop.load("m3")
    assert (len(after), str(after["1"][1]), after["101"][2], after["102"][2]) == (102, "999.99", "late tie", "no time")
    assert {key for key, row in after.items() if row[4]} == {"2", "3"}
    shop.server.execute(f"INSERT INTO {shop.table} VALUES (2, 7, 'back', clock_timestamp())")
    shop.fetch("r4")
    back = shop.load("m4")
    assert (back["2"][2], back["2"][4], back["3"][4]) == ("back", False, True)
    landed = shop.landed()
    for run in ("r1", "r3", "r4"):  # every step again: the same files, no new version
        shop.fetch(run)
    assert shop.landed() == landed
    assert shop.load("m5") == back


@pytest.mark.spark
def test_rows_dated_ahead_hide_nothing_and_can_be_deleted(shop: Shop) -> None:
    ends = {**HARD, "map": {"updated_at": "if(updated_at = 'infinity', '9999-12-31 00:00:00+00', updated_at)"}}
    shop.server.execute(
        f"UPDATE {shop.table} SET updated_at = 'infinity' WHERE id = 1",
        f"UPDATE {shop.table} SET updated_at = '2099-01-01' WHERE id IN (2, 3)",
        f"UPDATE {shop.table} SET updated_at = clock_timestamp() + interval '2 seconds' WHERE id = 4",
    )
    assert (shop.took("r1"), len(shop.load("m1", **ends))) == (100, 100)
    shop.server.execute("SELECT pg_sleep(2)", f"INSERT INTO {shop.table} VALUES (101, 5, 'after', clock_timestamp())")
    assert (shop.took("r2"), shop.load("m2", **ends)["101"][2]) == (1, "after")  # what is ahead is asked for, and known
    assert shop.took("r3") == 0
    shop.server.execute(
        f"UPDATE {shop.table} SET note = 'changed' WHERE id = 2",
        f"UPDATE {shop.table} SET updated_at = clock_timestamp() WHERE id IN (1, 3)",  # corrected: older than what landed
    )
    assert (shop.took("r4"), shop.load("m4", **ends)["2"][2]) == (3, "changed")
    touched = f"UPDATE {shop.table} SET updated_at = clock_timestamp() WHERE id = 101"
    shop.server.execute(touched, f"DELETE FROM {shop.table} WHERE id IN (1, 2, 3, 4)")
    assert shop.took("r5") == 6  # one of them ends now, and at infinity
    assert set(shop.load("m5", **ends)) == {str(number) for number in range(5, 102)}
    assert shop.took("r6") == 0
    shop.server.execute(f"INSERT INTO {shop.table} VALUES (1, 5, 'back', clock_timestamp())")
    assert (shop.took("r7"), shop.load("m7", **ends)["1"][2]) == (1, "back")


@pytest.mark.spark
def test_a_time_that_is_ahead_of_utc_ends_with_its_row(shop: Shop) -> None:
    shop.server.execute(f"ALTER TABLE {shop.table} ALTER COLUMN updated_at TYPE timestamp(3)")
    local = f"UPDATE {shop.table} SET note = 'local', updated_at = clock_timestamp() + interval '2 hours' WHERE id"
    shop.server.execute(f"{local} IN (1, 2)")
    shop.fetch("r1")
    assert len(shop.load("m1", **HARD)) == 100
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id IN (1, 50)", f"{local} = 3")
    assert shop.took("r2") == 3
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 3")
    assert shop.took("r3") == 1
    assert set(shop.load("m3", **HARD)) == {str(number) for number in range(1, 101)} - {"1", "3", "50"}  # 3: both in one batch


@pytest.mark.spark
def test_what_is_no_time_ends_with_the_greatest_value_that_ever_was(shop: Shop) -> None:
    asked, newest = {"incrementalBy": "amount"}, {**HARD, "latestBy": ["amount"]}
    assert (shop.took("r1", **asked), len(shop.load("m1", **newest))) == (100, 100)
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 100")  # it had the greatest value
    assert shop.took("r2", **asked) == 1
    assert "100" not in shop.load("m2", **newest)
    shop.server.execute(f"UPDATE {shop.table} SET amount = 99999.00 WHERE id = 99")
    assert shop.took("r3", **asked) == 1
    assert str(shop.load("m3", **newest)["99"][1]) == "99999.00"
    shop.server.execute(f"UPDATE {shop.table} SET amount = 1 WHERE id = 99")  # mistyped, and corrected: not read, it is below
    shop.fetch("r4", **asked)
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 99")
    assert shop.took("r5", **asked) == 2  # and 98, which has the greatest value now
    assert set(shop.load("m5", **newest)) == {str(number) for number in range(1, 99)}
    shop.server.execute(f"DELETE FROM {shop.table}")
    assert (shop.took("r6", **asked), shop.load("m6", **newest)) == (98, {})


class Behind(datetime):
    """Another machine's clock."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) - timedelta(hours=1)


def _with_arrival(shop: Shop, kind: str = "timestamp") -> dict[str, Any]:
    """The same tables with a column that says when a row was taken. What a fetch is given for it."""
    shop.prefix = shop.world.raw("orders_raw", f"{RAW}, seen {kind}", form="parquet")
    columns = "id bigint, amount decimal(12,2), note string, updated_at timestamp, deleted boolean, seen timestamp"
    shop.out = shop.world.iceberg("arrivals", columns, key=["id"])
    shop.world.tables["orders"] = shop.world.tables.pop("arrivals")
    return {"incrementalBy": "amount", "fetchedAt": "seen"}


@pytest.mark.spark
def test_rows_that_are_equally_new_are_told_apart_by_their_arrival(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, newest = _with_arrival(shop), {**HARD, "latestBy": ["amount", "seen"]}
    assert (shop.took("r1", **asked), len(shop.load("m1", **newest))) == (100, 100)
    shop.server.execute(f"UPDATE {shop.table} SET amount = 500 WHERE id = 1")
    assert shop.took("r2", **asked) == 1
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(extracts, "datetime", Behind)
        assert shop.took("r3", **asked) == 1
    assert "1" not in shop.load("m3", **newest), "the update and its end in one batch"
    shop.server.execute(f"INSERT INTO {shop.table} VALUES (1, 500, 'back', now())")
    assert shop.took("r4", **asked) == 2  # and 100, which had the greatest value meanwhile
    assert "1" in shop.load("m4", **newest), "the end and its return in two"
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 1")
    assert shop.took("r5", **asked) == 1
    shop.server.execute(f"INSERT INTO {shop.table} VALUES (1, 500, 'again', now())")
    assert shop.took("r6", **asked) == 2
    assert (shop.took("r7", **asked), "1" in shop.load("m7", **newest)) == (0, True), "in one"
    landed = shop.landed()
    for run in ("r1", "r5", "r6"):  # every step again: the same files
        shop.fetch(run, **asked)
    assert shop.landed() == landed


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["string", "timestamp_ntz"])
def test_a_row_that_is_gone_before_the_keys_are_read_is_older_than_its_end(shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, newest = _with_arrival(shop, kind), {**HARD, "latestBy": ["amount", "seen"]}
    shop.fetch("r1", **asked)
    shop.server.execute(f"UPDATE {shop.table} SET amount = 500 WHERE id = 1")
    with monkeypatch.context() as patch:
        looks = jdbc._with_deleted

        def late(*given: Any) -> Any:
            shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 1")
            return looks(*given)

        patch.setattr(jdbc, "_with_deleted", late)
        assert shop.took("r2", **asked) == 2
    assert set(shop.load("m2", **newest)) == {str(number) for number in range(2, 101)}


@pytest.mark.spark
def test_rows_that_nothing_tells_apart_fail_the_merge(shop: Shop) -> None:
    asked, newest = {"incrementalBy": "amount"}, {**HARD, "latestBy": ["amount"]}
    shop.fetch("r1", **asked)
    shop.server.execute(f"UPDATE {shop.table} SET amount = 500 WHERE id = 1")
    shop.fetch("r2", **asked)
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 1")
    shop.fetch("r3", **asked)
    with pytest.raises(DataError, match=r"different rows with the same key \(id\); found: id=1 \(2 rows\)"):
        shop.load("m3", **newest)
    assert shop.world.rows(shop.out) == []


@pytest.mark.spark
def test_a_text_whose_type_has_a_length_is_compared_whole(shop: Shop) -> None:
    shop.server.execute(f"UPDATE {shop.table} SET note = (20260000 + id)::text", f"ALTER TABLE {shop.table} ALTER COLUMN note TYPE char(8)")
    asked, newest = {"incrementalBy": "note"}, {**HARD, "latestBy": ["note"]}
    assert (shop.took("r1", **asked), len(shop.load("m1", **newest))) == (100, 100)
    shop.server.execute(f"DELETE FROM {shop.table} WHERE id = 100", f"UPDATE {shop.table} SET note = '2099z' WHERE id = 99")
    assert shop.took("r2", **asked) == 2
    left = shop.load("m2", **newest)
    assert ("100" in left, left["99"][2].strip()) == (False, "2099z")


@pytest.mark.spark
def test_a_run_killed_anywhere_loses_nothing_and_lands_nothing_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []

    def dies(*asked: Any, **more: Any) -> bool:
        copied.append("")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(jdbc.Extracts, "keep", dies)  # everything is read, nothing noted: the watermark stands where it was
        with pytest.raises(KeyboardInterrupt):
            shop.fetch("r1")
    assert shop.landed() == []
    shop.server.execute(f"UPDATE {shop.table} SET note = 'between', updated_at = '2026-03-01' WHERE id = 7")
    with monkeypatch.context() as patch:
        patch.setattr(jdbc, "copy_once", dies)  # noted, and no file landed
        with pytest.raises(KeyboardInterrupt):
            shop.fetch("r1")
    shop.server.execute(f"UPDATE {shop.table} SET note = 'after', updated_at = '2026-03-02' WHERE id = 8")
    shop.fetch("r1")
    first = shop.load("m1")
    assert (len(first), first["7"][2], first["8"][2]) == (100, "between", "n'ote 8")
    shop.fetch("r2")
    assert shop.load("m2")["8"][2] == "after"


@pytest.mark.spark
def test_a_changed_column_is_for_the_contract_to_judge(shop: Shop) -> None:
    shop.fetch("r1")
    assert len(shop.load("m1")) == 100
    shop.server.execute(f"ALTER TABLE {shop.table} ADD COLUMN channel text DEFAULT 'web'")
    with pytest.raises(SchemaMismatchError, match=r"it has channel \(contract.columns: freeze\)"):
        shop.fetch("r2")
    assert shop.world.outbox("r2", "ingest_orders")["state"] == "failed"
    shop.server.execute(f"ALTER TABLE {shop.table} RENAME COLUMN note TO remark")
    with pytest.raises(SchemaMismatchError, match="it has remark, channel and it lacks note"):
        shop.fetch("r2")
    shop.server.execute(f"ALTER TABLE {shop.table} RENAME COLUMN remark TO note", f"ALTER TABLE {shop.table} DROP COLUMN channel")
    # Another type breaks nothing: values come as text, and whether one fits is judged where the contract stands.
    shop.server.execute(
        f"ALTER TABLE {shop.table} ALTER COLUMN amount TYPE text USING amount::text",
        f"UPDATE {shop.table} SET amount = '12.34', updated_at = '2026-04-01' WHERE id = 9",
    )
    shop.fetch("r2")
    assert str(shop.load("m2")["9"][1]) == "12.34"
    gate = {"table": "orders_raw", "digest": "0" * 64, "allow_empty": False, "contract": {"columns": "discard_value"}, "rules": []}
    shop.world.tables["orders_raw"]["gate"] = gate
    shop.server.execute(f"ALTER TABLE {shop.table} ADD COLUMN channel text DEFAULT 'web'")
    shop.fetch("r3")
    assert len(shop.load("m3")) == 100


@pytest.mark.spark
def test_without_an_incremental_column_only_changes_land(shop: Shop) -> None:
    whole = {"incrementalBy": "", "deletes": None, "splitBy": "", "parts": 1}
    shop.world.raw("orders_raw", COLUMNS + ", deleted boolean", form="json", partition=[])
    shop.world.tables["orders_raw"]["columns"] = [c for c in shop.world.tables["orders_raw"]["columns"] if c["name"] != "deleted"]
    shop.fetch("r1", **whole)
    shop.server.execute(f"UPDATE {shop.table} SET note = 'new' WHERE id = 1")  # its time stays as it was
    shop.fetch("r2", **whole)
    shop.world.start({"reads": [{"table": "orders_raw"}]}, "")
    rows = read_table(shop.spark, "orders_raw").collect()
    assert (len(rows), sorted(row["note"] for row in rows if row["id"] == "1")) == (101, ["n'ote 1", "new"])


@pytest.mark.spark
def test_credentials_reach_the_connection_and_nothing_else(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.fetch("r1")
    everything = [*shop.world.s3.list_objects_v2(Bucket=bucket("raw"), Prefix=f"{shop.world.project}/_pages").get("Contents", [])]
    notes = [item["Key"] for item in everything if item["Key"].endswith(".json")]
    assert notes
    texts = [shop.world.s3.get_object(Bucket=bucket("raw"), Key=key)["Body"].read().decode() for key in notes]
    shop.secrets.put_secret_value(SecretId=shop.secret, SecretString=json.dumps({"username": "shop", "password": "wr0ng"}))
    with pytest.raises(Exception, match="authentication failed") as failed:
        shop.fetch("r2")
    said = capfd.readouterr()
    told = f"{failed.value} {said.out} {said.err} {texts} {shop.world.outbox('r2', 'ingest_orders')}"
    assert [word for word in (PASSWORD, "wr0ng") if word in told] == []
    shop.secrets.put_secret_value(SecretId=shop.secret, SecretString="no object")
    with pytest.raises(ConfigError, match="no JSON object with username and password"):
        shop.fetch("r3")
    with pytest.raises(ConfigError, match="no connection 'elsewhere'"):
        shop.fetch("r4", connection="elsewhere")


def test_moments_follow_each_other_whatever_the_clock_says() -> None:
    assert extracts.next_moment("2999-12-31T23:59:59.999999Z") == "3000-01-01T00:00:00.000000Z"
    first = extracts.next_moment("")
    assert (len(first), extracts.next_moment(first) > first) == (len("2026-11-20T06:00:00.000001Z"), True)


def test_names_and_values_stay_what_they_are_in_sql() -> None:
    assert (identifier('public.a"b'), literal("it's")) == ('"public"."a""b"', "'it''s'")
    assert since("t", "date", "", "", 0) == ""
    assert since("t", "bigint", "1'", "2", 0) == "(\"t\" >= '1'''::bigint AND \"t\" <= '2'::bigint) OR \"t\" IS NULL"
    assert since("t", "timestamp", "1'", "2", 60) == "(\"t\" >= '1'''::timestamp - interval '60 seconds') OR \"t\" IS NULL"


@pytest.mark.parametrize(("low", "high", "parts"), [("1", "100", 3), ("-5", "5", 4), ("1", "2", 8), ("7", "7", 4), ("0.5", "9.9", 2)])
def test_ranges_take_every_number_once(low: str, high: str, parts: int) -> None:
    cut = split_by(low, high, parts)
    values = [float(low) + step * (float(high) - float(low)) / 50 for step in range(51)]
    for value in values:
        held = [
            text.replace('"__split"', str(value))
            .replace(" OR " + str(value) + " IS NULL", "")
            .replace(" AND ", " and ")
            .replace(" OR ", " or ")
            for text in cut
        ]
        assert not cut or sum(bool(eval(text)) for text in held) == 1
    assert len(cut) <= parts
