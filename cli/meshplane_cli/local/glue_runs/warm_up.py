"""Readies a JVM before the first job run needs it: reads a csv by S3A, makes an Iceberg table by GlueCatalog, merges into it.

Runs in a process of its own beside a tiny AWS of its own, so that nothing of it is seen in the embedded AWS: no bucket, no call.
`warm` is called by `standby` in the background, `exercise` by `class_archive`; `main` is that process, which loads while the JVM starts.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from meshplane_cli.local.glue_runs import session
from meshplane_cli.local.glue_runs.process import environment
from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.java import SetupError
from meshplane_cli.local.jvm import PATIENCE, Gateway, Jvm, JvmPool, Wish
from meshplane_cli.local.role_credentials import of_role

log = logging.getLogger("meshplane.glue_runs")

PATIENCE_MEANWHILE = 45.0  # seconds a run waits for the JVM that is being readied: less than a cold start beside it would take
EXERCISE_SECONDS = 120.0
_KEY = of_role("warm-up", "000000000000")
_CATALOG = "spark.sql.catalog.glue_catalog"
CONF = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    _CATALOG: "org.apache.iceberg.spark.SparkCatalog",
    f"{_CATALOG}.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
    f"{_CATALOG}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    f"{_CATALOG}.warehouse": "s3://warm-up/tables/",
}


def warm(jvms: JvmPool, settings: Settings, closing: Callable[[], bool]) -> None:
    """Borrow a JVM, run `main` on it, give it back. A failure costs only the warmth."""
    jvms.patience = PATIENCE_MEANWHILE
    process = _started(settings.endpoint, settings.region)
    try:
        wanted = _properties(settings.endpoint, settings.region)
        with jvms.lend(Wish(), wanted, lambda _, line: log.debug("warm-up: %s", line), fresh=True) as (gateway, killed):
            _tell(process, gateway)
            while process.poll() is None and not closing():
                try:
                    process.communicate(timeout=0.2)
                except subprocess.TimeoutExpired:
                    continue
            if process.returncode != 0:
                process.kill()
                killed()
                log.info("the warm-up of local Spark did not finish")
    except SetupError:
        log.info("no JVM could be readied", exc_info=True)
    finally:
        jvms.patience = PATIENCE
        process.kill()
        process.communicate()


def exercise(jvm: Jvm, region: str) -> None:
    """The same on this JVM, and more of what jobs do, so that their classes are loaded (`class_archive`). SetupError when it fails."""
    nowhere = "http://127.0.0.1:9"
    gateway = jvm.lend(_properties(nowhere, region), lambda _, line: log.debug("warm-up: %s", line))
    process = _started(nowhere, region, "--whole")
    _tell(process, gateway)
    _, told = process.communicate(timeout=EXERCISE_SECONDS)
    jvm.take_back(killed=False)
    if process.returncode != 0:
        raise SetupError(f"the warm-up failed\n{told.decode(errors='replace')}")


def _properties(endpoint: str, region: str) -> Mapping[str, str]:
    return session.properties(CONF, "warm-up", endpoint, region, _KEY)


def _started(endpoint: str, region: str, *words: str) -> subprocess.Popen[bytes]:
    env = environment(endpoint, region, _KEY, [Path(entry) for entry in sys.path if entry], {})
    command = [sys.executable, "-m", "meshplane_cli.local.glue_runs.warm_up", *words]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _tell(process: subprocess.Popen[bytes], gateway: Gateway) -> None:
    """Which JVM. A process that ended meanwhile tells why by its code."""
    told = {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.secret}
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()


def main() -> None:
    """The work itself, against a moto server of this process."""
    import os

    import boto3
    from moto.server import ThreadedMotoServer
    from pyspark.sql import SparkSession

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    s3, glue = boto3.client("s3"), boto3.client("glue")
    s3.create_bucket(Bucket="warm-up", CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})  # type: ignore[typeddict-item]
    s3.put_object(Bucket="warm-up", Key="in/a.csv", Body=b"id;v;at\n1;a;2020-01-01\n2;b;2020-01-02\n")
    glue.create_database(DatabaseInput={"Name": "warm"})
    os.environ |= json.loads(sys.stdin.readline())
    builder = SparkSession.builder.config("spark.hadoop.fs.s3a.endpoint", endpoint)
    for name in ("glue.endpoint", "s3.endpoint"):
        builder = builder.config(f"{_CATALOG}.{name}", endpoint)
    spark = builder.getOrCreate()
    frame = (
        spark.read.option("header", True)
        .option("sep", ";")
        .csv("s3://warm-up/in/")
        .selectExpr("cast(id as bigint) id", "v", "to_date(at) at")
    )
    table = "glue_catalog.warm.t"
    spark.sql(f"create table {table} (id bigint not null, v string, at date) using iceberg partitioned by (months(at))")
    frame.writeTo(table).append()
    frame.createOrReplaceTempView("news")
    spark.sql(f"merge into {table} t using news s on t.id = s.id when matched then update set * when not matched then insert *")
    spark.sql(f"select count(*), max(v) from {table} group by at").collect()  # noqa: S608
    if "--whole" in sys.argv:
        _whole(spark, frame, table)
    spark.stop()
    server.stop()


def _whole(spark: Any, frame: Any, table: str) -> None:
    """What contracts, gates, quarantine and replay ask of Spark beside the above."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    line = Window.partitionBy("id").orderBy(F.col("at").desc_nulls_last())
    marked = frame.withColumn("n", F.row_number().over(line)).withColumn("row", F.when(F.col("id") < 0, F.to_json(F.struct("id", "v"))))
    held = marked.selectExpr("*", "try_cast(v as decimal(12,2)) d", "regexp_replace(upper(trim(v)), 'A', 'B') w").persist()
    held.agg(F.count(F.when(F.col("d").isNull(), 1)), F.max("at"), F.sum("id")).collect()
    spark.sql(f"alter table {table} create branch if not exists b")
    held.drop("n", "row", "d", "w").writeTo(f"{table}.branch_b").append()
    spark.read.schema("id bigint").json("s3://warm-up/in/").limit(1).collect()
    other = spark.table(table)
    joined = held.join(other.select("id", F.col("v").alias("u")), "id").groupBy("u").agg(F.count("*").alias("c"))
    joined.where(F.col("c").isin(1, 2)).orderBy("u").dropDuplicates(["u"]).collect()
    spark.sql(f"update {table} set v = 'x' where id = 1")  # noqa: S608
    spark.sql(f"select snapshot_id from {table}.snapshots").collect()  # noqa: S608
    held.unpersist()


if __name__ == "__main__":
    main()
