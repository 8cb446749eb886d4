"""One repaired moto server and one Spark JVM for all tests of the job library; each test has a project of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dp_foundation import storage
from dp_foundation.run.current import begin
from tests.jobs.job_world import ACCOUNT, REGION, World, bucket

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)  # before the first module begins: what is set within one ends with it
def aws() -> Iterator[str]:
    """The endpoint of a moto server with the repairs of the embedded AWS, in this process, on loopback."""
    from moto.server import ThreadedMotoServer

    from meshplane_cli.local import repairs

    repairs.apply()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line per request drowns a failure's report
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        settings = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "x", "ENV": "local"}
        settings |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "MOTO_ACCOUNT_ID": ACCOUNT}
        settings |= {"MESHPLANE_JARS": os.environ.get("MESHPLANE_JARS", str(ROOT / ".meshplane" / "jars"))}
        for key, value in settings.items():
            patch.setenv(key, value)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        storage.client.cache_clear()
        clients: Any = boto3  # the stubs want literal Regions
        s3, glue = clients.client("s3"), clients.client("glue")
        for layer in ("raw", "refined", "curated"):
            s3.create_bucket(Bucket=bucket(layer), CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=bucket(layer), VersioningConfiguration={"Status": "Enabled"})
            glue.create_database(DatabaseInput={"Name": f"f01_de_{layer}"})
        yield settings["AWS_ENDPOINT_URL"]
        storage.client.cache_clear()
    server.stop()


@pytest.fixture
def world(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(monkeypatch)
    yield made
    made.end()


@pytest.fixture
def spark(world: World) -> Any:
    """The session that a job of this test gets; one JVM for all of them."""
    from dp_foundation.spark.session import get_spark

    session = get_spark(app_name="tests")
    session.sparkContext.setLogLevel("ERROR")
    begin.cache_clear()
    return session
