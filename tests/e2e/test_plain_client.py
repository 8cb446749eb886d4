"""What the plane does for somebody who has nothing but `aws s3 cp`: the real template, handlers in processes of their own, no Spark."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from meshplane.kinds.iceberg_table import ownership_properties
from meshplane.model.resource import Owner
from tests.e2e.dump import changes, dump
from tests.e2e.plane import HEAD, Plane

pytestmark = pytest.mark.local

STOCK = """tables:
  counts_raw: { layer: raw, format: json, partition: dt, columns: { sku: string, pieces: string } }
  counts: { layer: refined, key: [sku], columns: { sku: string, pieces: long } }
jobs:
  load_counts: { script: jobs/load_counts.py, modules: [lib/], reads: counts_raw, writes: counts }
pipelines:
  daily: { triggers: { landed: { files: counts_raw } }, steps: [load_counts] }
"""

ORDERS = """tables:
  orders:
    layer: refined
    key: [id]
    columns:
      id: long
      ccy: string
      pieces: int
      weight: float
      amount: decimal(10,2)
      flag: string
      note: string
"""
EVOLVED = """tables:
  orders:
    layer: refined
    key: [id]
    columns:
      id: long
      note: string
      amount: decimal(12,2)
      currency: { type: string, renamedFrom: ccy }
      pieces: long
      weight: double
      channel: string
    dropped: [flag]
"""
ROWS = [
    {"id": 1, "ccy": "EUR", "pieces": 3, "weight": 0.5, "amount": Decimal("12.50"), "flag": "x", "note": "first"},
    {"id": 2, "ccy": "CHF", "pieces": 2_000_000_000, "weight": None, "amount": Decimal("99999999.99"), "flag": None, "note": None},
]


def test_a_manifest_waits_for_its_files_and_goes_on_when_they_arrive(plane: Plane) -> None:
    plane.put("stock", HEAD.format(name="stock") + STOCK)
    assert plane.synced("stock") == ("False", "FileMissing")
    assert "waits for files that are nowhere: jobs/load_counts.py, lib/" in plane.text("stock")
    assert "put the file beside the manifest" in plane.text("stock")
    assert "Name" in plane.table("refined", "stock_counts"), "what needs no file is there already"
    files = {"jobs/load_counts.py": "import lib.counting\n", "lib/counting.py": "ONE = 1\n"}
    plane.write("stock", HEAD.format(name="stock") + STOCK, files)
    plane.sync("stock")
    plane.advance(minutes=5)
    assert plane.synced("stock") == ("True", "Applied"), plane.text("stock")
    job = plane.client("glue").get_job(JobName=plane.stack.naming.job("stock", "load_counts"))["Job"]
    bucket, _, key = job["Command"]["ScriptLocation"].removeprefix("s3://").partition("/")
    assert bucket == plane.bucket("artifacts")
    assert plane.read(key) == "import lib.counting\n"


def test_a_file_beside_the_manifest_that_changes_alone_is_seen_by_the_sweep(plane: Plane) -> None:
    script = plane.folder / "projects/stock/jobs/load_counts.py"
    script.write_text("import lib.counting  # better\n", encoding="utf-8")
    plane.aws("s3", "cp", str(script), plane.at("stock", "jobs/load_counts.py"))
    plane.advance(minutes=5)
    job = plane.client("glue").get_job(JobName=plane.stack.naming.job("stock", "load_counts"))["Job"]
    assert plane.read(job["Command"]["ScriptLocation"].partition("/")[2].partition("/")[2].partition("/")[2]).endswith("# better\n")


def test_five_changes_of_columns_in_one_upload_keep_the_rows(plane: Plane) -> None:
    plane.put("shop", HEAD.format(name="shop") + ORDERS)
    before = plane.catalog.load_table((plane.stack.naming.database("refined"), "shop_orders"))
    before.append(pa.Table.from_pylist(ROWS, schema=before.schema().as_arrow()))
    ids = {field.name: field.field_id for field in before.schema().fields}
    plane.put("shop", HEAD.format(name="shop") + EVOLVED)
    assert plane.synced("shop") == ("True", "Applied"), plane.text("shop")
    after = plane.catalog.load_table((plane.stack.naming.database("refined"), "shop_orders"))
    assert [(field.name, str(field.field_type), field.field_id) for field in after.schema().fields] == [
        ("id", "long", ids["id"]),
        ("note", "string", ids["note"]),
        ("amount", "decimal(12, 2)", ids["amount"]),
        ("currency", "string", ids["ccy"]),
        ("pieces", "long", ids["pieces"]),
        ("weight", "double", ids["weight"]),
        ("channel", "string", max(ids.values()) + 1),
    ]
    kept = [{"id": r["id"], "note": r["note"], "amount": r["amount"], "currency": r["ccy"], "pieces": r["pieces"]} for r in ROWS]
    found = sorted(after.scan().to_arrow().to_pylist(), key=lambda row: row["id"])
    assert found == [{**row, "weight": old["weight"], "channel": None} for row, old in zip(kept, ROWS, strict=True)]
    live = [
        column["Name"]
        for column in plane.table("refined", "shop_orders")["StorageDescriptor"]["Columns"]
        if column["Parameters"]["iceberg.field.current"] == "true"
    ]
    assert live == ["id", "note", "amount", "currency", "pieces", "weight", "channel"]


def test_an_invalid_manifest_changes_nothing_and_says_what_validate_says(plane: Plane) -> None:
    before = dump(plane.client)
    broken = EVOLVED.replace("decimal(12,2)", "decimal(40,2)").replace("double", "varchar").replace("key: [id]", "key: [nr]")
    plane.put("shop", HEAD.format(name="shop") + broken)
    told = plane.meshplane("validate", "shop")
    assert told.returncode == 1
    assert told.stdout.count("projects/shop/project.yaml:") == 3
    assert told.stdout in plane.text("shop"), "the same text, to the letter"
    assert plane.synced("shop") == ("False", "ManifestInvalid")
    assert changes(before, dump(plane.client)) == {}


def test_mended_it_goes_on(plane: Plane) -> None:
    plane.put("shop", HEAD.format(name="shop") + EVOLVED.replace("    dropped: [flag]\n", ""))
    assert plane.synced("shop") == ("True", "Applied"), "a column that left need not be named for ever"


def test_a_breaking_change_is_held_until_exactly_that_plan_is_approved(plane: Plane) -> None:
    head = HEAD.format(name="till") + "tables:\n"
    slips = "  slips: { layer: raw, format: json, partition: dt, columns: { id: long } }\n"
    more = "  more: { layer: refined, columns: { id: long } }\n"
    plane.put("till", head + slips + more)
    before = dump(plane.client)
    broken = slips.replace("partition: dt", "partition: day") + more.replace("long }", "long, v: string }")
    held = plane.put("till", head + broken)
    assert plane.synced("till") == ("False", "Held")
    assert f"policy.approve: {held['plan']}" in plane.text("till")
    assert changes(before, dump(plane.client)) == {}, "not even what would have been harmless"
    plane.put("till", head + broken + "policy: { approve: plan-00000000 }\n")
    assert plane.synced("till") == ("False", "Held")
    assert changes(before, dump(plane.client)) == {}
    plane.put("till", head + broken + f"policy: {{ approve: {held['plan']} }}\n")
    assert plane.synced("till") == ("True", "Applied"), plane.text("till")
    changed = changes(before, dump(plane.client))
    database = plane.stack.naming.database
    assert set(changed) == {
        f"glue table {database('raw')}.till_slips",
        f"glue table {database('refined')}.till_more",
        f"iceberg metadata {database('refined')}.till_more",
    }
    plane.put("till", head + slips + more + f"policy: {{ approve: {held['plan']} }}\n")
    assert plane.synced("till") == ("False", "Held"), "an approval is of one plan, not of a kind of change"


def test_a_foreign_resource_of_the_wanted_name_is_never_touched(plane: Plane) -> None:
    glue = plane.client("glue")
    naming = plane.stack.naming
    name = naming.job("guest", "load")
    theirs = dict(ownership_properties(Owner("retail", "dev", "finance")))
    glue.create_job(Name=name, Role="arn:aws:iam::390403879405:role/theirs", Command={"Name": "glueetl", "ScriptLocation": "s3://x/y.py"})
    glue.create_table(DatabaseName=naming.database("raw"), TableInput={"Name": "guest_landed", "Parameters": theirs})
    before = dump(plane.client)
    text = """tables:
  landed: { layer: raw, format: json, columns: { id: long } }
  rows: { layer: refined, key: [id], columns: { id: long } }
jobs:
  load: { use: merge, reads: landed, writes: rows }
  again: { use: merge, reads: landed, writes: rows }
"""
    plane.put("guest", HEAD.format(name="guest") + text)
    assert plane.synced("guest") == ("False", "Conflict")
    told = plane.text("guest")
    assert "glue_job load: exists already and belongs to nobody that Meshplane knows" in told
    assert "hive_table landed: exists already and belongs to the project finance (retail, dev)" in told
    after = dump(plane.client)
    for untouched in (f"glue job {name}", f"glue table {naming.database('raw')}.guest_landed"):
        assert after[untouched] == before[untouched]
    assert f"glue job {naming.job('guest', 'again')}" not in after, "it would read what is not ours"
    assert f"glue table {naming.database('refined')}.guest_rows" in after, "siblings go on"
    glue.delete_job(JobName=name)
    glue.delete_table(DatabaseName=naming.database("raw"), Name="guest_landed")
    plane.advance(minutes=10)
    assert plane.synced("guest") == ("True", "Applied"), plane.text("guest")


@pytest.mark.parametrize(
    ("policy", "creates", "updates", "deletes"),
    [
        ("[observe]", False, False, False),
        ("[]", False, False, False),
        ("[observe, create, update]", True, True, False),
    ],
)
def test_pause_observe_only_and_no_delete(plane: Plane, policy: str, creates: bool, updates: bool, deletes: bool) -> None:
    head = HEAD.format(name="quiet")
    text = "tables:\n  a: { layer: refined, columns: { id: long } }\n  b: { layer: refined, columns: { id: long } }\n"
    plane.put("quiet", head + text)
    assert plane.synced("quiet") == ("True", "Applied"), plane.text("quiet")
    before = dump(plane.client)
    changed = "tables:\n  a: { layer: refined, columns: { id: long, v: string } }\n  c: { layer: refined, columns: { id: long } }\n"
    plane.put("quiet", head + changed + f"policy: {{ manage: {policy} }}\n")
    assert plane.synced("quiet") == ("False", "Paused")
    refined = plane.stack.naming.database("refined")
    after = changes(before, dump(plane.client))
    assert (f"glue table {refined}.quiet_c" in after) is creates
    assert (f"glue table {refined}.quiet_a" in after) is updates
    assert (f"glue table {refined}.quiet_b" in after) is deletes
    axes = {condition["type"]: condition for condition in plane.status("quiet")["conditions"]}
    assert axes["Healthy"]["status"] == ("True" if creates else "False"), "all three axes are computed also now"
    assert axes["Drifted"]["status"] == "False"
    plane.put("quiet", head + text)
    plane.aws("s3", "rm", plane.at("quiet"))
    plane.after("quiet")
