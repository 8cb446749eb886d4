"""A vendor's file drop, as vendors make them: ISO-8859-1, semicolons, decimal commas, compressed, with broken lines. Each run twice."""

from __future__ import annotations

import bz2
import gzip
import json
from typing import Any

import pytest

from dp_foundation.builtin import files, merge
from dp_foundation.contracts.quarantine import COLUMNS
from dp_foundation.errors import DataError, SchemaMismatchError
from dp_foundation.io.readers import read_table
from meshplane.model.rules import Gate, Rule, implied
from tests.jobs.job_world import World, bucket

pytestmark = pytest.mark.spark

HEADER = "Nr;Bezeichnung;Preis;Stand\n"
GOOD = '1;Müller "extra";1.234,50;31.12.2029\n2;"Größe; lang";0,10;01.01.2030\n'
BROKEN = '3;zu wenig\n4;zu;viel;01.01.2030;!;!\n5;"nie zu;9,99;01.01.2030\n'
BAD_VALUE = "6;Preis fehlt;viel;01.01.2030\n"
MAP = {"nr": "Nr", "name": "Bezeichnung", "price": "replace(replace(Preis, '.', ''), ',', '.')", "as_of": "to_date(Stand, 'dd.MM.yyyy')"}


class Vendor:
    """A drop of csv files, their raw table, the refined one, its quarantine."""

    def __init__(self, world: World, spark: Any) -> None:
        self.world, self.spark = world, spark
        columns = "Nr string, Bezeichnung string, Preis string, Stand string"
        self.prefix = world.raw("prices_raw", columns, delimiter=";", encoding="ISO-8859-1", escape='"')
        self.out = world.iceberg("prices", "nr bigint, name string, price decimal(12,2), as_of date", key=["nr"])
        named = Rule("named", "not_null", ("name",)), Rule("priced", "range", ("price",), {"min": "0", "max": "10000"})
        world.tables["prices"]["gate"] = Gate("prices", implied(["nr", "name", "price", "as_of"], ["nr"]) + named).to_json()
        simple = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items() if name != "reasons")
        self.aside = world.iceberg("prices_quarantine", simple, declared=False)
        spark.sql(f"ALTER TABLE {self.aside} ADD COLUMN reasons {COLUMNS['reasons']} FIRST")

    def drop(self, name: str, text: str) -> None:
        body = text.encode("iso-8859-1")
        self.world.put(f"{self.world.project}/inbox/{name}", gzip.compress(body) if name.endswith(".gz") else body)

    def land(self, run_id: str) -> list[str]:
        given = {"from": "inbox/", "format": "csv", "pattern": "*.csv*"}
        job = {"job": "ingest_prices", "use": "files", "with": given, "writes": [{"table": "prices_raw", "mode": "append"}]}
        self.world.start(job, run_id)
        files.run()
        found = self.world.s3.list_object_versions(Bucket=bucket("raw"), Prefix=self.prefix).get("Versions", [])
        return sorted(f"{item['Key']}@{item['VersionId']}" for item in found)

    def load(self, run_id: str) -> list[tuple[Any, ...]]:
        job = {"job": "load", "use": "merge", "reads": [{"table": "prices_raw"}], "writes": [{"table": "prices", "mode": "merge"}]}
        self.world.start({**job, "with": {"map": MAP, "latestBy": ["as_of"]}}, run_id)
        merge.run()
        return [(row[0], row[1], str(row[2]), str(row[3])) for row in self.world.rows(self.out)]

    def kept(self) -> list[tuple[str, str]]:
        self.spark.catalog.refreshTable(self.aside)
        rows = self.spark.table(self.aside).collect()
        return sorted((json.loads(r["row"]).get("__line") or json.loads(r["row"])["Nr"], r["reasons"][0]["entity"]) for r in rows)


@pytest.fixture
def vendor(world: World, spark: Any) -> Vendor:
    return Vendor(world, spark)


def test_broken_lines_are_kept_and_the_others_land(vendor: Vendor) -> None:
    vendor.drop("a.csv", HEADER + GOOD + BROKEN)
    vendor.drop("b.csv.gz", HEADER + BAD_VALUE + "7;später;5,00;02.01.2030\n")
    landed = vendor.land("r1")
    assert len(landed) == 2
    vendor.drop("readme.txt", "not taken")
    rows = [(1, 'Müller "extra"', "1234.50", "2029-12-31"), (2, "Größe; lang", "0.10", "2030-01-01"), (7, "später", "5.00", "2030-01-02")]
    assert vendor.load("m1") == rows
    kept = [("3;zu wenig", "line"), ("4;zu;viel;01.01.2030;!;!", "line"), ('5;"nie zu;9,99;01.01.2030', "line"), ("6", "types")]
    assert vendor.kept() == sorted(kept)
    sources = {row["source_object"].rpartition("/")[2].partition("-")[0] for row in vendor.spark.table(vendor.aside).collect()}
    assert sources == {"a", "b"}
    record = vendor.world.outbox("m1")
    assert record["inputs"][0]["rows"] == 3
    assert [(told["passed"], told["rows"], told["quarantined"]) for told in record["verdicts"] if told["table"] == "prices"] == [
        (True, 3, 4)
    ]
    assert (vendor.land("r2"), vendor.load("m2"), vendor.kept()) == (landed, rows, sorted(kept))
    vendor.drop("a.csv", HEADER + GOOD.replace("0,10", "0,20") + "3;zu wenig;1,00;03.01.2030\n")  # put right, under the same name
    assert len(vendor.land("r3")) == 3
    assert [row[2] for row in vendor.load("m3")] == ["1234.50", "0.20", "1.00", "5.00"]


def test_without_a_quarantine_a_broken_line_fails_the_job(vendor: Vendor) -> None:
    vendor.drop("a.csv", HEADER + GOOD + BROKEN)
    vendor.land("r1")
    vendor.world.glue.delete_table(DatabaseName="f01_de_refined", Name=f"{vendor.world.project}_prices_quarantine")
    with pytest.raises(Exception, match="Malformed records are detected"):
        vendor.load("m1")
    assert vendor.world.rows(vendor.out) == []


def test_a_contract_that_freezes_types_freezes_lines(vendor: Vendor) -> None:
    vendor.world.tables["prices"]["gate"]["contract"]["types"] = "freeze"
    vendor.drop("a.csv", HEADER + GOOD + BROKEN)
    vendor.land("r1")
    with pytest.raises(DataError, match=r"the file: 3 row\(s\) break line, which the contract leaves at freeze"):
        vendor.load("m1")


def test_broken_json_is_kept_as_it_stands(world: World, spark: Any) -> None:
    prefix = world.raw("lines_raw", "id string, v string", form="json")
    out = world.iceberg("lines", "id bigint, v string", key=["id"])
    simple = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items() if name != "reasons")
    aside = world.iceberg("lines_quarantine", simple, declared=False)
    spark.sql(f"ALTER TABLE {aside} ADD COLUMN reasons {COLUMNS['reasons']} FIRST")
    world.put(f"{prefix}a.json.gz", gzip.compress(b'{"id": "1", "v": "x"}\n{"id": "2", "v": \n{"id": "3", "v": "z"}\n'))
    world.start({"use": "merge", "reads": [{"table": "lines_raw"}], "writes": [{"table": "lines", "mode": "merge"}], "with": {}})
    merge.run()
    assert world.rows(out) == [(1, "x"), (3, "z")]
    spark.catalog.refreshTable(aside)
    assert [json.loads(row["row"]) for row in spark.table(aside).collect()] == [{"__line": '{"id": "2", "v": '}]


def test_a_header_is_read_however_it_is_packed(world: World, spark: Any) -> None:
    prefix = world.raw("packed", "id string, v string")
    world.put(f"{prefix}a.csv.bz2", bz2.compress(b"v,id\nx,1\n"))
    world.put(f"{prefix}b.csv.gz", gzip.compress(b"id,v\n2,y\n"))
    world.start({}, run_id="")
    assert sorted(tuple(row) for row in read_table(spark, "packed").collect()) == [("1", "x"), ("2", "y")]
    world.put(f"{prefix}c.csv.zst", b"x")
    with pytest.raises(SchemaMismatchError, match=r"compressed as .gz or .bz2; found: .zst"):
        read_table(spark, "packed")
