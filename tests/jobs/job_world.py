"""A project in the embedded AWS and the process as Glue starts it: what the tests of the job library arrange and look at."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import pytest
from pyiceberg.catalog.glue import GlueCatalog

from dp_foundation.config.arguments import invocation
from dp_foundation.run.current import at_exit, begin
from tests.jobs.spark_ddl import fields, schema

REGION, ACCOUNT = "eu-central-1", "390403879405"
_projects = itertools.count(1)


def bucket(purpose: str) -> str:
    return f"f01-{purpose}-{ACCOUNT}-de-dev"


class World:
    """A project in the embedded AWS: its tables, its files, and the process as Glue would start it for one run."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.project = f"p{next(_projects)}"
        self.patch = patch
        self.tables: dict[str, dict[str, Any]] = {}
        clients: Any = boto3  # the stubs want literal names
        self.s3, self.glue = clients.client("s3"), clients.client("glue")
        properties: dict[str, Any] = {"client.region": REGION, "s3.region": REGION, "s3.endpoint": os.environ["AWS_ENDPOINT_URL"]}
        self.catalog = GlueCatalog("glue", **properties)

    def iceberg(
        self, name: str, columns: str, key: Sequence[str] = (), layer: str = "refined", partition: str = "", declared: bool = True
    ) -> str:
        """Create an Iceberg table as the plane does, and declare it. Returns its identifier in Spark."""
        physical, database = f"{self.project}_{name}", f"f01_de_{layer}"
        location = f"s3://{bucket(layer)}/{self.project}/iceberg/{name}"
        table = self.catalog.create_table(
            f"{database}.{physical}", schema(columns, key), location=location, properties={"format-version": "2"}
        )
        if partition:
            with table.update_spec() as update:
                update.add_field(*partition.split(":"))  # column:transform
        if declared:
            self.tables[name] = self._declared(physical, layer, location, "iceberg", columns, key)
        return f"glue_catalog.{database}.{physical}"

    def raw(self, name: str, columns: str, form: str = "csv", partition: Sequence[str] = (), **csv: object) -> str:
        """Declare a raw table of files. Returns its prefix in the raw bucket."""
        location = f"s3://{bucket('raw')}/{self.project}/{name}/"
        told = self._declared(f"{self.project}_{name}", "raw", location, form, columns, ())
        self.tables[name] = {**told, "hive_partition": list(partition), "csv": csv}
        return f"{self.project}/{name}/"

    def _declared(self, name: str, layer: str, location: str, form: str, columns: str, key: Sequence[str]) -> dict[str, Any]:
        told = [{"name": n, "type": t, "required": required or n in key} for n, t, required in fields(columns)]
        names = {"project": self.project, "layer": layer, "database": f"f01_de_{layer}", "name": name, "location": location, "format": form}
        return {**names, "hive_partition": [], "key": list(key), "columns": told}

    def put(self, key: str, text: str | bytes) -> None:
        """A file arrives in the raw bucket."""
        self.s3.put_object(Bucket=bucket("raw"), Key=key, Body=text.encode() if isinstance(text, str) else text)

    def start(self, job: Mapping[str, Any], run_id: str = "r1", attempt: int | str = 0, **run: Any) -> None:
        """This process becomes a new one: the job's run, as Glue starts it. An empty run id: no run at all."""
        self.end()
        domain = {"name": "retail", "abbr": "f01", "region": REGION, "country_code": "de", "account_id": ACCOUNT}
        told = {
            "schema": 1,
            "domain": domain,
            "env": "dev",
            "project": self.project,
            "job": "load",
            "tables": self.tables,
            "reads": [],
            "writes": [],
        }
        told |= {"use": "", "with": {}, "sql": "", "secrets": {}, **job}
        argv: list[str] = ["job.py", "--meshplane-job", json.dumps(told)]
        if run_id:
            said = {"schema": 1, "run_id": run_id, "project": self.project, "pipeline": "daily", "params": {}, **run}
            argv += ["--meshplane-run", json.dumps(said), "--meshplane-step", str(told["job"]), "--meshplane-attempt", str(attempt)]
        self.patch.setattr(sys, "argv", argv)

    def end(self) -> None:
        """The process ends without any goodbye."""
        atexit.unregister(at_exit)
        self.patch.setattr(sys, "excepthook", sys.__excepthook__)
        invocation.cache_clear()
        begin.cache_clear()

    def ends(self) -> None:
        """The process ends as one does that raised nothing."""
        current = begin()
        if current is not None:
            at_exit(current)
        self.end()

    def outbox(self, run_id: str = "r1", step: str = "load") -> dict[str, Any]:
        body = self.s3.get_object(Bucket=bucket("refined"), Key=f"{self.project}/_runs/{run_id}/{step}.json")["Body"].read()
        return dict(json.loads(body))

    def ledger(self) -> dict[str, dict[str, Any]]:
        """run id → entry."""
        prefix = f"{self.project}/_runs/_ledger/load/"
        found = self.s3.list_objects_v2(Bucket=bucket("refined"), Prefix=prefix).get("Contents", [])
        keys = [item["Key"] for item in found]
        return {
            key[len(prefix) : -len(".json")]: json.loads(self.s3.get_object(Bucket=bucket("refined"), Key=key)["Body"].read())
            for key in keys
        }

    def rows(self, identifier: str) -> list[tuple[Any, ...]]:
        """The table's rows as pyiceberg reads them, without Spark."""
        table = self.catalog.load_table(identifier.removeprefix("glue_catalog.")).scan().to_arrow()
        return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)

    def summaries(self, identifier: str) -> list[dict[str, str]]:
        """Snapshot summaries, oldest first."""
        table = self.catalog.load_table(identifier.removeprefix("glue_catalog."))
        return [dict(s.summary.additional_properties) for s in table.metadata.snapshots if s.summary]
