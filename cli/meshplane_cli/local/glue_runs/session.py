"""The Spark session as Glue's runtime configures it, for the laptop: defaults that `SparkSession.builder.getOrCreate()` finds.

From the job come its `--conf` pairs and `--datalake-formats`. The laptop's own facts are added here, never in a job definition:
endpoint, path style, cores, and the run's role as credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from meshplane_cli.local.glue_runs.arguments import listed, spark_conf
from meshplane_cli.local.jvm import Wish
from meshplane_cli.local.role_credentials import RoleKey

CORES = 2
_CATALOG = re.compile(r"spark\.sql\.catalog\.(\w+)$")
_JVM_OPTIONS = "spark.driver.extraJavaOptions"


def wish(arguments: Mapping[str, str], jars: tuple[Path, ...]) -> Wish:
    """What this run needs of its JVM: without `--datalake-formats iceberg` it has no Iceberg, as in Glue."""
    options = spark_conf(arguments.get("--conf", "")).get(_JVM_OPTIONS, "")
    return Wish("iceberg" in listed(arguments.get("--datalake-formats", "")), jars, tuple(options.split()))


def properties(conf: Mapping[str, str], name: str, endpoint: str, region: str, key: RoleKey) -> dict[str, str]:
    """System properties for one borrower: SparkConf reads `spark.*` as defaults, AWS's SDKs (1 and 2) read `aws.*`."""
    settings = {**_runtime(name), **_s3a(endpoint, region, key), **conf}
    settings.pop(_JVM_OPTIONS, None)
    for catalog in [found[1] for found in map(_CATALOG.match, conf) if found]:
        prefix = f"spark.sql.catalog.{catalog}"
        settings |= {
            f"{prefix}.glue.endpoint": endpoint,
            f"{prefix}.s3.endpoint": endpoint,
            f"{prefix}.s3.path-style-access": "true",
            f"{prefix}.client.region": region,
        }
    aws = {"aws.accessKeyId": key.access_key, "aws.secretAccessKey": key.secret_key, "aws.secretKey": key.secret_key}
    return {**settings, **aws, "aws.region": region}


def _runtime(name: str) -> dict[str, str]:
    return {
        "spark.master": f"local[{CORES}]",
        "spark.app.name": name,
        "spark.submit.deployMode": "client",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(CORES),
        "spark.sql.catalogImplementation": "in-memory",
    }


def _s3a(endpoint: str, region: str, key: RoleKey) -> dict[str, str]:
    """`s3://` by S3A, which is Glue 5.1's connector too."""
    return {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        "spark.hadoop.fs.s3a.access.key": key.access_key,
        "spark.hadoop.fs.s3a.secret.key": key.secret_key,
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    }
