"""Columns of SQL files: which column comes from which column of which read, what is left out, and the way from publish to an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from dp_foundation import storage
from dp_foundation.config.arguments import parse
from dp_foundation.lineage.columns import made_of
from meshplane.model.context import Context
from meshplane.model.job_arguments import JobFiles
from meshplane.model.manifest import load
from meshplane_cli.local_jobs import description
from meshplane_cli.releases import build
from meshplane_cli.sql_lineage import columns_of
from meshplane_cli.surroundings import Checkout, Target
from tests.unit.kinds.sample import BASELINE, DOMAIN, NAMING, PLANE, PLATFORM

ROOT = Path(__file__).parents[2]

READS = {
    "orders": {"id": "bigint", "customer_id": "bigint", "amount": "decimal(12,2)", "Ordered_At": "timestamp"},
    "crm.people": {"customer_id": "bigint", "country": "string"},
}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT id, amount total FROM orders", {"id": [("orders", "id", False)], "total": [("orders", "amount", False)]}),
        ("SELECT sum(amount) AS total, count(*) AS n, 'x' AS x FROM orders", {"total": [("orders", "amount", True)]}),
        ("SELECT c.country FROM orders o JOIN crm.people c USING (customer_id)", {"country": [("crm.people", "country", False)]}),
        ("SELECT country, amount FROM orders JOIN crm.people", {
            "country": [("crm.people", "country", False)], "amount": [("orders", "amount", False)]}),
        ("WITH d AS (SELECT *, date(ordered_at) AS day FROM orders WHERE id > :low) SELECT day, max(id) AS id FROM d GROUP BY 1", {
            "day": [("orders", "Ordered_At", True)], "id": [("orders", "id", True)]}),
        ("SELECT id FROM orders UNION ALL SELECT customer_id + 1 FROM crm.people", {
            "id": [("orders", "id", False), ("crm.people", "customer_id", True)]}),
        ("SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY amount ORDER BY id) AS place FROM orders) WHERE place = 1", {
            "id": [("orders", "id", False)]}),
        ("SELECT get_json_object(`a`.`country`, '$.id') AS id FROM crm.people a", {"id": [("crm.people", "country", True)]}),
        ("SELECT somewhere.x FROM elsewhere.somewhere", {}),
        ("SELECT id FROM", {}),
        ("-- nothing", {}),
    ],
)  # fmt: skip
def test_a_column_names_what_it_is_made_of(sql: str, columns: dict[str, list[tuple[str, str, bool]]]) -> None:
    assert columns_of(sql, READS) == columns


def test_of_a_read_that_names_no_columns_only_what_is_sure_is_told() -> None:
    reads = {**READS, "crm.people": {}}
    found = columns_of("SELECT country, id, c.name FROM orders JOIN crm.people c", reads)  # country may be of either
    assert found == {
        "id": [("orders", "id", False)],
        "name": [("crm.people", "name", False)],
    }
    several: Mapping[str, Mapping[str, str]] = {"a.one": {}, "b.two": {}}
    assert columns_of("SELECT x, two.y FROM a.one CROSS JOIN b.two", several) == {}


class Bucket:
    """The artifacts bucket, where `run-local` puts what a SQL job reads."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def __call__(self, service: str) -> Bucket:
        assert service == "s3"
        return self

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803  boto3's names
        assert Bucket == NAMING.bucket("artifacts")
        self.contents[Key] = Body


@pytest.mark.parametrize("by", ["publish", "run-local"])
def test_what_the_command_line_reads_from_a_file_is_what_the_run_tells(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    folder = ROOT / "tests/snippets/projects/orders"
    project = load((folder / "project.yaml").read_text(encoding="utf-8"), file="project.yaml", env="dev", project="orders")
    built = build(folder, project, NAMING, print)
    context = Context(DOMAIN, NAMING, BASELINE, PLATFORM, PLANE, built.release)
    told, contents = JobFiles.of(project.jobs["count_days"], project, context).description(), built.contents
    if by == "run-local":
        checkout, bucket = Checkout(ROOT / "tests/snippets"), Bucket()
        monkeypatch.setitem(checkout.__dict__, "domain", DOMAIN)
        target = Target(checkout, "dev", NAMING, local=True)
        monkeypatch.setitem(target.__dict__, "clients", bucket)
        told, contents = description(target, project, project.jobs["count_days"]), bucket.contents
    jsonschema.validate(told, json.loads((ROOT / "schemas/job.schema.json").read_text(encoding="utf-8")))
    assert "columns" not in JobFiles.of(project.jobs["load_items"], project, context).description()

    def read(bucket: str, key: str) -> Any:
        assert bucket == NAMING.bucket("artifacts")
        return json.loads(contents[key])

    monkeypatch.setattr(storage, "read_json", read)
    job = parse(["--meshplane-job", json.dumps(told)]).job
    assert job
    assert made_of(job, job.tables["items_per_day"], []) == {"day": [("items", "updated_at", True)]}, (
        "a number of rows is made of no column"
    )
