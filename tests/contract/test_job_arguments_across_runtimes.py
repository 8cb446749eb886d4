"""What `kinds/glue_job` writes is what `dp_foundation` reads: the two runtimes never import each other, this test imports both."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import pytest

from dp_foundation.config import arguments
from meshplane.kinds import glue_job
from tests.unit.kinds.sample import CONTEXT, SALES

WANTS = {want.id.label: want.spec for want in glue_job.KIND.desired(SALES, CONTEXT)}


@pytest.mark.parametrize("job", WANTS)
def test_the_library_reads_what_the_plane_tells_a_job(job: str) -> None:
    given = WANTS[job].arguments
    told: dict[str, Any] = json.loads(given["--meshplane-job"])
    read = arguments.parse([part for pair in given.items() for part in pair])
    assert read.job is not None
    assert (read.job.project, read.job.name) == ("sales", job)
    assert set(read.job.tables) == set(told["tables"])
    for name, table in read.job.tables.items():
        wanted = told["tables"][name]
        assert (table.database, table.name, table.location, table.format) == tuple(
            wanted[k] for k in ("database", "name", "location", "format")
        )
        assert [asdict(column) for column in table.columns] == wanted["columns"]
        if "csv" in wanted:
            assert asdict(table.csv) == wanted["csv"]


def test_a_session_in_glue_and_one_built_by_the_library_have_one_catalog() -> None:
    settings = json.loads(files("dp_foundation.spark").joinpath("catalog.json").read_text(encoding="utf-8"))
    conf = dict(part.split("=", 1) for part in WANTS["load_orders"].arguments["--conf"].split(" --conf "))
    warehouse = "s3://f01-refined-390403879405-de-dev/sales/iceberg/"
    assert conf == {key: value.format(warehouse=warehouse) for key, value in settings.items()}
