"""A repaired moto server of this process with a real job worker: what the tests of job runs, state machines and optimizers stand on."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from meshplane_cli.local import jars, role_credentials
from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.glue_runs.standby import Standby
from meshplane_cli.local.glue_runs.worker import Worker, start

ROOT = Path(__file__).parents[2]
REGION, ACCOUNT = "eu-central-1", "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/meshplane/projects/f01-glue-sales-dev"
OPEN = {"STARTING", "RUNNING", "STOPPING", "WAITING"}
CATALOG = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.glue_catalog": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.glue_catalog.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
    "spark.sql.catalog.glue_catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.catalog.glue_catalog.warehouse": "s3://data/tables/",
}
CONF = " --conf ".join(f"{key}={value}" for key, value in CATALOG.items())


class Stack:
    """Clients of the server, its worker, the events it emitted, and the few steps that every test takes."""

    def __init__(self, endpoint: str, worker: Worker, events: list[dict[str, Any]]) -> None:
        self.endpoint, self.worker, self.events = endpoint, worker, events
        self.glue, self.s3, self.logs, self.sfn = (self.client(name) for name in ("glue", "s3", "logs", "stepfunctions"))

    def client(self, service: str) -> Any:
        session: Any = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint)

    def job(self, name: str, script: str, arguments: dict[str, str] | None = None, **more: Any) -> None:
        self.s3.put_object(Bucket="artifacts", Key=f"scripts/{name}.py", Body=script.encode())
        command = {"Name": "glueetl", "ScriptLocation": f"s3://artifacts/scripts/{name}.py"}
        given = {"--conf": CONF, "--datalake-formats": "iceberg", **(arguments or {})}
        self.glue.create_job(Name=name, Role=ROLE, Command=command, GlueVersion="5.1", DefaultArguments=given, **more)

    def start(self, name: str, **arguments: str) -> str:
        return str(self.glue.start_job_run(JobName=name, Arguments={f"--{key}": value for key, value in arguments.items()})["JobRunId"])

    def run(self, name: str, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]
        return found

    def await_state(self, name: str, run_id: str, states: set[str], seconds: float = 90) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while (found := self.run(name, run_id))["JobRunState"] not in states:
            assert time.monotonic() < until, f"{name} is still {found['JobRunState']}"
            time.sleep(0.05)
        return found

    def finish(self, name: str, run_id: str, seconds: float = 90) -> dict[str, Any]:
        return self.await_state(name, run_id, {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"}, seconds)

    def do(self, name: str, **arguments: str) -> dict[str, Any]:
        return self.finish(name, self.start(name, **arguments))

    def log(self, run_id: str, group: str, expect: str = "", seconds: float = 10) -> str:
        """The lines of a run's stream, waiting until `expect` is among them."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
                events = self.logs.get_log_events(logGroupName=f"/aws-glue/jobs/{group}", logStreamName=run_id)["events"]
                text = "\n".join(event["message"] for event in events)
                if expect in text or time.monotonic() > until:
                    return text
            assert time.monotonic() < until, f"no log of {run_id}"
            time.sleep(0.1)

    def said(self, run_id: str) -> Any:
        """What a script printed as its one line of JSON."""
        lines = [line for line in self.log(run_id, "output", "{").splitlines() if line.startswith("{")]
        return json.loads(lines[-1])


@contextlib.contextmanager
def stack(state: Path, slots: int = 2) -> Iterator[Stack]:
    """Up, with an empty account; down again at the end. The repairs stay in this process, as everywhere."""
    from moto.core.base_backend import BackendDict
    from moto.server import ThreadedMotoServer

    from meshplane_cli.local import repairs
    from meshplane_cli.local.repairs import glue_job_runs, stepfunctions

    events: list[dict[str, Any]] = []
    repairs.apply()
    glue_job_runs.apply(lambda _account, _region, event: events.append(dict(event)))
    stepfunctions.apply(lambda _account, _region, event: events.append(dict(event)))
    for backends in list(BackendDict._instances):
        for _, _, backend in list(backends.iter_backends()):
            backend.reset()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["MOTO_PORT"] = str(port)
    settings = Settings(f"http://{host}:{port}", REGION, state, jars.resolve(ROOT), slots=slots, warm=0)
    worker = Worker(Standby(settings))
    start(worker)
    found = Stack(settings.endpoint, worker, events)
    try:
        for bucket in ("artifacts", "data"):
            found.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        found.glue.create_database(DatabaseInput={"Name": "db"})
        yield found
    finally:
        worker.stop()
        server.stop()


KEY = role_credentials.of_role(ROLE)
