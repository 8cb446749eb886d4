"""Readies a JVM before the first job run needs it: reads a csv by S3A, makes an Iceberg table by GlueCatalog, merges into it.

Runs in a process of its own beside a tiny AWS of its own, so that nothing of it is seen in the embedded AWS: no bucket, no call.
`warm` is called by the worker in the background; `main` is that process.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from meshplane_cli.local.glue_runs import session
from meshplane_cli.local.glue_runs.process import environment
from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.java import SetupError
from meshplane_cli.local.jvm import PATIENCE, JvmPool, Wish
from meshplane_cli.local.role_credentials import of_role

log = logging.getLogger("meshplane.glue_runs")

PATIENCE_MEANWHILE = 45.0  # seconds a run waits for the JVM that is being readied: less than a cold start beside it would take
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
    key = of_role("warm-up", "000000000000")
    try:
        wanted = session.properties(CONF, "warm-up", settings.endpoint, settings.region, key)
        with jvms.lend(Wish(), wanted, lambda _, line: log.debug("warm-up: %s", line)) as (gateway, killed):
            gate = {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.secret}
            env = environment(settings.endpoint, settings.region, key, [Path(entry) for entry in sys.path if entry], gate)
            process = subprocess.Popen(
                [sys.executable, "-m", __name__], env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
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
    spark.stop()
    server.stop()


if __name__ == "__main__":
    main()
