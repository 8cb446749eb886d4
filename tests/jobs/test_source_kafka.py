"""A source of the shape `kafka` against a real broker: out of order, twice, poison, a restart, killed between two writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from dp_foundation.builtin import kafka, merge
from dp_foundation.config.arguments import Column, Connection
from dp_foundation.config.secrets import get_secret
from dp_foundation.contracts.quarantine import COLUMNS
from dp_foundation.errors import ConfigError
from dp_foundation.sources.kafka import options, record
from meshplane.model.rules import Gate, Rule, implied
from tests.jobs.job_world import World, bucket
from tests.jobs.servers import Broker, broker

RAW = "key string, payload string, offset bigint!, partition_id int!, topic string, published_at timestamp, fault string"
POISON = (b'{"id": 9, "state": "trunc', b"not json \xff\xfe", b"[1, 2]")


@pytest.fixture(scope="module")
def server() -> Iterator[Broker]:
    with broker() as running:
        yield running


class Events:
    """A topic, and a project that drains it."""

    def __init__(self, world: World, spark: Any, server: Broker) -> None:
        self.world, self.spark, self.server, self.topic = world, spark, server, f"orders-{world.project}"
        self.raw = world.iceberg("events_raw", RAW, layer="raw")
        self.out = world.iceberg("orders", "id bigint, state string, at timestamp", key=["id"])
        states = Rule("states", "in_set", ("state",), {"values": ["new", "paid"]})
        world.tables["orders"]["gate"] = Gate("orders", (*implied(["id", "state", "at"], ["id"]), states)).to_json()
        simple = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items() if name != "reasons")
        self.aside = world.iceberg("orders_quarantine", simple, declared=False)
        spark.sql(f"ALTER TABLE {self.aside} ADD COLUMN reasons {COLUMNS['reasons']} FIRST")
        self.given = {"source": "events", "connection": "events", "topic": self.topic, "format": "json", "batch": 500_000, "listen": 0}

    def send(self, *records: tuple[str, bytes | None, int]) -> None:
        """(key, payload, partition)"""
        rows = [(key.encode(), payload, partition) for key, payload, partition in records]
        frame = self.spark.createDataFrame(rows, "key binary, value binary, partition int").coalesce(1)
        frame.write.format("kafka").option("kafka.bootstrap.servers", f"127.0.0.1:{self.server.port}").option("topic", self.topic).save()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A producer of the Java client in a transaction that is open; who leaves without a word ends it as a crash does."""
        jvm = self.spark._jvm
        given = {"bootstrap.servers": f"127.0.0.1:{self.server.port}", "transactional.id": f"shop-{self.topic}"}
        bytes_ = jvm.org.apache.kafka.common.serialization.ByteArraySerializer
        producer = jvm.org.apache.kafka.clients.producer.KafkaProducer(given, bytes_(), bytes_())
        try:
            producer.initTransactions()
            producer.beginTransaction()
            yield producer
        finally:
            producer.close(jvm.java.time.Duration.ZERO)

    def say(self, producer: Any, *records: tuple[str, bytes, int]) -> None:
        """(key, payload, partition), and they stand in the broker's log."""
        made = self.spark._jvm.org.apache.kafka.clients.producer.ProducerRecord
        for key, payload, partition in records:
            producer.send(made(self.topic, partition, key.encode(), payload)).get()

    def drain(self, run_id: str, attempt: int = 0, **more: Any) -> None:
        place = {"kind": "kafka", "host": "127.0.0.1", "port": self.server.port, "database": ""}
        job = {"job": "ingest_events", "use": "kafka", "with": {**self.given, **more}, "connections": {"events": place}}
        self.world.start({**job, "writes": [{"table": "events_raw", "mode": "append"}]}, run_id, attempt)
        get_secret.cache_clear()
        kafka.run()

    def load(self, run_id: str) -> list[tuple[Any, ...]]:
        """On into refined: the newest event of each order."""
        taken = {"id": "get_json_object(payload, '$.id')", "state": "get_json_object(payload, '$.state')"}
        given = {"map": {**taken, "at": "get_json_object(payload, '$.at')"}, "latestBy": ["at"]}
        job = {"job": "load", "use": "merge", "reads": [{"table": "events_raw"}], "writes": [{"table": "orders", "mode": "merge"}]}
        self.world.start({**job, "with": given}, run_id)
        merge.run()
        self.judged = next(told for told in self.world.outbox(run_id)["verdicts"] if told["table"] == "orders")
        return [(row[0], row[1]) for row in self.world.rows(self.out)]

    def positions(self) -> Sequence[tuple[int, int]]:
        names = ["key", "payload", "offset", "partition_id", "topic", "published_at", "fault"]
        return sorted((row[names.index("partition_id")], row[names.index("offset")]) for row in self._raw())

    def _raw(self) -> list[Any]:
        self.spark.catalog.refreshTable(self.raw)
        return list(self.spark.table(self.raw).collect())

    def checkpoint(self) -> list[str]:
        prefix = f"{self.world.project}/_checkpoints/events/"
        return [item["Key"] for item in self.world.s3.list_objects_v2(Bucket=bucket("raw"), Prefix=prefix).get("Contents", [])]


@pytest.fixture
def events(world: World, spark: Any, server: Broker) -> Events:
    return Events(world, spark, server)


def said(number: int, state: str, minute: int) -> bytes:
    return json.dumps({"id": number, "state": state, "at": f"2030-01-01T00:{minute:02}:00Z"}).encode()


@pytest.mark.spark
def test_each_record_lands_once_and_the_newest_wins(events: Events) -> None:
    late = ("1", said(1, "paid", 5), 0), ("1", said(1, "new", 1), 1)
    twice = ("2", said(2, "new", 2), 0), ("2", said(2, "new", 2), 0)
    events.send(*late, *twice, *(("x", payload, 1) for payload in POISON), ("gone", None, 0))
    events.drain("r1")
    assert len(events.positions()) == len(set(events.positions())) == 8
    rows = events.spark.table(events.raw).selectExpr("cast(payload as binary) AS bytes", "fault").collect()
    assert {bytes(row["bytes"]) for row in rows if row["fault"]} == set(POISON)
    assert events.load("m1") == [(1, "paid"), (2, "new")]
    assert (events.judged["passed"], events.judged["rows"], events.judged["quarantined"]) == (True, 2, 4)
    aside = events.world.rows(events.aside)
    assert len(aside) == 4  # the three poison ones and the one without a payload
    before = events.positions(), events.world.summaries(events.raw)
    events.drain("r2")
    assert (events.positions(), events.world.summaries(events.raw)) == before
    assert events.world.outbox("r2", "ingest_events")["state"] == "nothing"
    events.drain("r1", attempt=1)
    assert events.world.summaries(events.raw) == before[1]
    assert events.load("m2") == [(1, "paid"), (2, "new")]
    assert len(events.world.rows(events.aside)) == 4


@pytest.mark.spark
def test_a_restart_of_the_broker_and_small_batches(events: Events) -> None:
    events.send(*((str(n), said(n, "new", 1), n % 2) for n in range(20)))
    events.drain("r1", batch=8)
    assert len(events.world.summaries(events.raw)) > 1
    events.server.stop()
    events.server.start()
    events.send(*((str(n), said(n, "paid", 2), n % 2) for n in range(10, 30)))
    events.drain("r2", batch=8)
    assert len(events.positions()) == len(set(events.positions())) == 40
    assert [state for _, state in sorted(events.load("m1"))] == ["new"] * 10 + ["paid"] * 20


@pytest.mark.spark
def test_a_batch_that_was_committed_is_not_committed_again(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    events.send(*((str(n), said(n, "new", 1), 0) for n in range(5)))
    real = kafka.once

    def dies_after(*asked: Any) -> Any:
        real(*asked)
        raise RuntimeError("killed between the commit and the checkpoint")

    with monkeypatch.context() as patch:
        patch.setattr(kafka, "once", dies_after)
        with pytest.raises(Exception, match="killed between"):
            events.drain("r1")
    committed = len(events.world.summaries(events.raw))
    assert (len(events.positions()), committed) == (5, 1)
    with monkeypatch.context() as patch:  # and killed before the commit
        patch.setattr(kafka, "once", lambda *asked: 1 / 0)
        with pytest.raises(Exception, match="division by zero"):
            events.drain("r2")
    events.send(("6", said(6, "new", 1), 0))
    events.drain("r3")
    assert [offset for _, offset in events.positions()] == [0, 1, 2, 3, 4, 5]
    batches = [(s["meshplane.batch"], s["run_id"]) for s in events.world.summaries(events.raw)]
    assert batches == [("0", "r1"), ("1", "r3")]


@pytest.mark.spark
def test_a_checkpoint_that_was_removed_brings_nothing_twice(events: Events) -> None:
    events.send(*((str(n), said(n, "new", 1), n % 2) for n in range(6)))
    events.drain("r1")
    for key in events.checkpoint():
        events.world.s3.delete_object(Bucket=bucket("raw"), Key=key)
    events.send(("7", said(7, "new", 1), 0))
    events.drain("r2")
    assert len(events.positions()) == len(set(events.positions())) == 7


@pytest.mark.spark
def test_only_what_a_transaction_committed_lands(events: Events) -> None:
    events.send(("0", said(0, "new", 1), 0), ("0", said(0, "new", 2), 1))
    with events.transaction() as producer:
        events.say(producer, *((str(n), said(n, "new", 1), n % 2) for n in range(1, 5)))
        producer.abortTransaction()
        producer.beginTransaction()
        events.say(producer, *((str(n), said(n, "paid", 1), n % 2) for n in range(3, 7)))
        producer.commitTransaction()
        producer.beginTransaction()
        events.say(producer, ("7", said(7, "new", 1), 1))
        producer.abortTransaction()  # and the log of one partition ends with what nobody is to see
        events.drain("r1", batch=3)
        taken = [(0, 0), (0, 4), (0, 5), (1, 0), (1, 4), (1, 5)]  # between them: the aborted, and the marks that ended them
        assert events.positions() == taken
        producer.beginTransaction()
        events.say(producer, ("8", said(8, "new", 1), 0))
        events.drain("r2")
        assert (events.positions(), events.world.outbox("r2", "ingest_events")["state"]) == (taken, "nothing")
        producer.commitTransaction()
    events.drain("r3")  # what was open holds back what came behind it, and nothing of it is passed over
    assert events.positions() == sorted([*taken, (0, 7)])
    assert sorted(events.load("m1")) == [(0, "new"), (3, "paid"), (4, "paid"), (5, "paid"), (6, "paid"), (8, "new")]


@pytest.mark.spark
def test_listening_takes_what_comes_meanwhile(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    events.send(("1", said(1, "new", 1), 0))
    clock = iter(range(0, 100, int(kafka.PAUSE)))  # time passes while it pauses, not while a busy machine reads
    now = [next(clock)]

    def pause(seconds: float) -> None:
        assert seconds == kafka.PAUSE
        events.send(("1", said(1, "paid", 2), 0))
        now[0] = next(clock)

    monkeypatch.setattr(kafka, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=pause))
    events.drain("r1", listen=int(kafka.PAUSE) + 1)
    assert len(events.world.summaries(events.raw)) == 2
    assert events.load("m1") == [(1, "paid")]


def test_a_broker_elsewhere_is_spoken_to_by_tls_only() -> None:
    here, there = Connection("e", "kafka", "127.0.0.1", 9092), Connection("e", "kafka", "b.example.org", 9094)
    assert options(here, "t", 1, "")["kafka.security.protocol"] == "PLAINTEXT"
    assert options(there, "t", 1, "")["kafka.security.protocol"] == "SSL"
    told = options(there, "t", 1, json.dumps({"username": "u", "password": 'p"w'}))
    assert (told["kafka.security.protocol"], 'password="p\\"w"' in told["kafka.sasl.jaas.config"]) == ("SASL_SSL", True)
    with pytest.raises(ConfigError, match="no JSON object with username and password"):
        options(there, "t", 1, "[]")


def test_a_raw_table_holds_what_a_record_has() -> None:
    made = record([Column("payload", "binary"), Column("offset", "bigint"), Column("fault", "string")], "text")
    assert made == ["CAST(value AS binary) AS `payload`", "CAST(offset AS bigint) AS `offset`", "CAST(NULL AS string) AS `fault`"]
    with pytest.raises(ConfigError, match="column amount: a record has key, payload"):
        record([Column("amount", "string")], "text")
