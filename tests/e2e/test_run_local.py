"""`meshplane run-local`: a built-in and a script, on a Spark session that the library builds itself, against the AWS that is up."""

from __future__ import annotations

import json

import pytest

from tests.e2e.plane import ROOT, Plane

pytestmark = [pytest.mark.spark, pytest.mark.local]

MANIFEST = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: shop }
tables:
  items_raw: { layer: raw, format: csv, partition: dt, columns: { id: string, name: string } }
  items: { layer: refined, columns: { id: long, name: string }, key: id }
  names: { layer: curated, columns: { name: string, items: long }, key: name }
jobs:
  load: { use: merge, reads: items_raw, writes: items }
  count: { script: jobs/count.py, reads: items, writes: { table: names, mode: merge } }
"""
SCRIPT = """\
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.spark.session import get_spark

spark = get_spark("count")
items = read_table(spark, "items")
write_iceberg(items.groupBy("name").count().withColumnRenamed("count", "items"), "names", mode="merge")
"""


@pytest.fixture(scope="module", autouse=True)
def _shop(plane: Plane) -> None:
    for part in ("glue_jobs", "functions"):  # a checkout has them
        (plane.folder / part).symlink_to(ROOT / part)
    plane.write("shop", MANIFEST, {"jobs/count.py": SCRIPT})
    plane.sync("shop")
    assert plane.synced("shop") == ("True", "Applied"), plane.text("shop")


def test_a_built_in_and_a_script_run_here(plane: Plane) -> None:
    landed = plane.folder / "items.csv"
    landed.write_text("id,name\n1,apple\n2,pear\n3,apple\n", encoding="utf-8")
    plane.aws("s3", "cp", str(landed), f"s3://{plane.bucket('raw')}/shop/items_raw/dt=2026-01-01/items.csv")
    for job in ("load", "count"):
        done = plane.meshplane("run-local", f"shop.{job}")
        assert done.returncode == 0, done.stdout + done.stderr
    database = plane.stack.naming.database("curated")
    rows = plane.catalog.load_table(f"{database}.shop_names").scan().to_arrow().to_pylist()
    assert sorted((row["name"], row["items"]) for row in rows) == [("apple", 2), ("pear", 1)]


def test_files_of_ones_own_are_read_instead_of_the_tables(plane: Plane) -> None:
    """A raw table from a folder, an Iceberg table from a file; what the tables themselves hold is neither read nor consumed."""
    mine = plane.folder / "mine"
    mine.mkdir()
    (mine / "a.csv").write_text("id,name\n10,plum\n", encoding="utf-8")
    (mine / "b.csv").write_text("name,id\nplum,11\n", encoding="utf-8")
    raw = plane.keys("raw", "shop/items_raw/")
    done = plane.meshplane("run-local", "shop.load", "--data", f"items_raw={mine}", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["rows"] == {"items": 2}
    (plane.folder / "items.json").write_text('{"id": 1, "name": "fig"}\n{"id": 2, "name": "fig"}\n', encoding="utf-8")
    done = plane.meshplane("run-local", "shop.count", "--data", f"items={plane.folder / 'items.json'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'meshplane query "select * from shop.names"' in done.stderr
    names = plane.catalog.load_table(f"{plane.stack.naming.database('curated')}.shop_names").scan().to_arrow().to_pylist()
    assert [row["items"] for row in names if row["name"] == "fig"] == [2]
    assert plane.keys("raw", "shop/items_raw/") == raw


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("items.csv", "'items.csv' is not TABLE=PATH"),
        ("items_raw=nowhere.csv", "there is no nowhere.csv"),
        ("items=projects", "load does not read items"),
        ("items_raw=projects", "must hold files of one format"),
    ],
)
def test_data_that_cannot_be_is_refused(plane: Plane, data: str, text: str) -> None:
    done = plane.meshplane("run-local", "shop.load", "--data", data)
    assert done.returncode == 2
    assert text in done.stderr


def test_a_project_that_was_not_published_is_told(plane: Plane) -> None:
    plane.write("fresh", MANIFEST.replace("shop", "fresh"), {"jobs/count.py": SCRIPT})
    done = plane.meshplane("run-local", "fresh.load", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["mend"] == "meshplane publish fresh"
