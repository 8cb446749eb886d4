"""`get_spark`: the session as Glue configured it, or, with `ENV=local`, one built here with Iceberg, the Glue catalog and S3 (J3).

`catalog.json` beside this module is the one table of catalog settings: the plane passes the same ones to Glue in `--conf`.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

from dp_foundation.config.settings import Config, get_config
from dp_foundation.errors import ConfigError
from dp_foundation.run.current import begin

CATALOG = "glue_catalog"
JARS_VARIABLE = "MESHPLANE_JARS"
DEFAULT_JARS = ".meshplane/jars"


def get_spark(app_name: str = "dp_foundation") -> Any:
    """The SparkSession of this process, UTC unless the job's own `spark:` settings say otherwise.

    Raises ConfigError with `ENV=local` when the jars directory is empty.
    """
    from pyspark.sql import SparkSession

    # Every job asks AWS next, and the import takes as long as the JVM takes for a context.
    Thread(target=import_module, args=("boto3",), name="boto3").start()
    config = get_config()
    builder = SparkSession.builder.appName(app_name)
    if config["env"] == "local":
        for key, value in local_settings(config).items():
            builder = builder.config(key, value)
    spark = builder.getOrCreate()
    if spark.sparkContext.getConf().get("spark.sql.session.timeZone") is None:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    begin()
    return spark


def catalog_settings(warehouse: str) -> dict[str, str]:
    """The catalog settings with this warehouse (`s3://…/`), exactly as Glue gets them."""
    table = json.loads(files("dp_foundation.spark").joinpath("catalog.json").read_text(encoding="utf-8"))
    return {key: value.format(warehouse=warehouse) for key, value in table.items()}


def endpoint_settings(endpoint: str) -> dict[str, str]:
    """What points Iceberg and `s3://` (S3A) at another endpoint; nothing of it is needed on AWS."""
    catalog = f"spark.sql.catalog.{CATALOG}"
    return {
        f"{catalog}.glue.endpoint": endpoint,
        f"{catalog}.s3.endpoint": endpoint,
        f"{catalog}.s3.path-style-access": "true",
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "true" if endpoint.startswith("https") else "false",
    }


def local_settings(config: Config) -> dict[str, str]:
    """Everything a session on a laptop needs: jars, catalog, `s3://` by S3A, and the endpoint that the AWS variables name."""
    settings = {
        "spark.master": "local[2]",
        "spark.jars": ",".join(str(jar) for jar in _jars()),
        **catalog_settings(str(config["iceberg_warehouse_refined"])),
        "spark.sql.session.timeZone": "UTC",
        f"spark.sql.catalog.{CATALOG}.client.region": str(config["aws_region"]),
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint.region": str(config["aws_region"]),
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        # A short job is mostly class loading: the light compiler and collector take a third off it (spark-local §2).
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        settings |= endpoint_settings(endpoint)
    if os.environ.get("AWS_ACCESS_KEY_ID") and not os.environ.get("AWS_SESSION_TOKEN"):
        settings["spark.hadoop.fs.s3a.aws.credentials.provider"] = "com.amazonaws.auth.EnvironmentVariableCredentialsProvider"
    return settings


def _jars() -> list[Path]:
    """What MESHPLANE_JARS names: a folder of jars, and behind it, as in a path variable, jars of the job's own."""
    folder, *own = (os.environ.get(JARS_VARIABLE) or DEFAULT_JARS).split(os.pathsep)
    jars = sorted(Path(folder).resolve().glob("*.jar"))
    if not jars:
        raise ConfigError(f"no jars in {folder} ({JARS_VARIABLE}); mend: ./dev fetches them once, checked by hash")
    return [*jars, *(Path(jar).resolve() for jar in own)]
