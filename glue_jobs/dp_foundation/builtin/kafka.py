"""What a source of the shape `kafka` runs: the records of a topic, appended to a raw Iceberg table as they came, each exactly once.

Spark's checkpoint, `{raw}/{project}/_checkpoints/{source}/`, says which offsets a batch holds; a batch and its stream stand in the summary
of the commit that brought it. So a batch that is played again after a crash is known, and not written again. A checkpoint that was removed
begins the topic anew: a record that stands in the table already, equal in every column, is then left out.
"""

from __future__ import annotations

import time
from functools import partial, reduce
from typing import Any

from dp_foundation import storage
from dp_foundation.builtin.declared import connection, job, one_write, options, recorded
from dp_foundation.config.secrets import get_secret
from dp_foundation.config.settings import get_config
from dp_foundation.errors import ConfigError
from dp_foundation.io.commits import once
from dp_foundation.io.tables import Target, find, writable
from dp_foundation.logging.logger import get_logger
from dp_foundation.run.current import begin
from dp_foundation.sources import kafka
from dp_foundation.spark.session import get_spark

WORDS = ("source", "connection", "topic", "format", "batch", "listen")
_MANAGER = "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"
PAUSE = 5.0  # seconds between two looks at a topic that is listened to


@recorded()
def run() -> None:
    """The whole job: what is there; with `listen`, again and again for so many seconds. Nothing new: nothing is written."""
    given, target = options(*WORDS), writable(find(one_write().logical))
    spark = get_spark(app_name=f"kafka {given['topic']}")
    # The other manager asks Hadoop for a file context, and S3A's takes no address that begins with s3://.
    spark.conf.set("spark.sql.streaming.checkpointFileManagerClass", _MANAGER)
    ends = time.monotonic() + int(given["listen"])
    while True:
        _drain(spark, given, target)
        if time.monotonic() + PAUSE > ends:
            return
        time.sleep(PAUSE)


def _drain(spark: Any, given: Any, target: Target) -> None:
    """Everything that the topic holds at this moment, in batches. A query that has ended left a whole checkpoint."""
    secret = get_secret("source") if "source" in job().secrets else ""
    asked = kafka.options(connection(given["connection"]), given["topic"], int(given["batch"]), secret)
    assert target.table is not None  # noqa: S101  it is one of the job's writes
    rows = spark.readStream.format("kafka").options(**asked).load().selectExpr(*kafka.record(target.table.columns, given["format"]))
    bucket = get_config().names.bucket("raw")
    checkpoint = get_config().names.of("checkpoint_prefix", project=job().project, source=given["source"])
    writer = rows.writeStream.foreachBatch(partial(_append, target, bucket, checkpoint))
    query = writer.option("checkpointLocation", f"s3://{bucket}/{checkpoint}").trigger(availableNow=True).start()
    query.awaitTermination()


def _append(target: Target, bucket: str, checkpoint: str, batch: Any, number: int) -> None:
    """One batch, one commit; none where it stands already."""
    stream = (storage.read_json(bucket, f"{checkpoint}metadata") or {}).get("id")
    if not stream:
        raise ConfigError(f"s3://{bucket}/{checkpoint}metadata names no stream; mend: docs/sources.md, a stuck checkpoint")
    held = batch.persist()
    try:
        low, high, count = held.selectExpr("min(offset)", "max(offset)", "count(1)").first()
        if not count:
            return
        fresh = _unknown(held, target, low, high)
        told = {"meshplane.stream": str(stream), "meshplane.batch": str(number)}
        snapshot = once(held.sparkSession, target, lambda: fresh.writeTo(target.ref).option("check-nullability", "false").append(), told)
        current = begin()
        if current is not None and snapshot is not None:
            topic = f"{job().options['connection']}:{job().options['topic']}"
            current.files[topic], current.rows[topic] = (), current.rows.get(topic, 0) + count
        get_logger(__name__).info("%s: batch %d of %d records", target.identifier, number, count)
    finally:
        held.unpersist()


def _unknown(batch: Any, target: Target, low: int, high: int) -> Any:
    """The records that the table does not hold. Offsets only grow, so but for a topic that is read anew none are in that range."""
    spark = batch.sparkSession
    spark.catalog.refreshTable(target.identifier)
    known = spark.table(target.ref).where(f"offset BETWEEN {low} AND {high}")
    same = reduce(lambda a, b: a & b, (batch[f"`{name}`"].eqNullSafe(known[f"`{name}`"]) for name in batch.columns))
    return batch.join(known, same, "left_anti")
