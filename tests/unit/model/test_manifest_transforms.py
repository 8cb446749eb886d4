"""Deletions, versions, `check` and `maintain` in the manifest: what is accepted, what the job is told, every fault at once."""

from __future__ import annotations

import json

import pytest

from meshplane.errors import ManifestInvalid
from meshplane.model import manifest
from meshplane.model.manifest import check_transforms
from meshplane.model.project import Project
from meshplane.model.rules import Rule

HEAD = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: sales }\n"
TABLES = """
tables:
  orders_raw: { layer: raw, format: csv, columns: { id: string, at: string, status: string } }
  orders:
    layer: refined
    columns:
      id: long
      status: string
      at: { type: timestamptz, required: true }
      is_deleted: boolean
      valid_from: { type: timestamptz, required: true }
      valid_to: timestamptz
      is_current: { type: boolean, required: true }
    key: [id]
    sort: [id, at desc]
    optimizers: { compaction: { enabled: false, strategy: z-order }, retention: { days: 30, keep: 5 } }
"""
MERGE = "jobs:\n  load: { use: merge, reads: orders_raw, writes: orders, with: { latestBy: [at], %s } }\n"


def load(text: str) -> Project:
    return manifest.load(HEAD + text, file="project.yaml", env="dev", project="sales")


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ManifestInvalid) as caught:
        load(text)
    return [(problem.code, problem.path) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("pattern: x", None),
        ("deletes: { when: status = 'x', as: hard }", {"deletes": {"when": "status = 'x'", "as": "hard"}}),
        ("mode: scd2", {"mode": "scd2", "late": "rewrite"}),
        (
            "mode: scd2, late: ignore, deletes: { when: status = 'x', as: soft }",
            {"mode": "scd2", "late": "ignore", "deletes": {"when": "status = 'x'", "as": "soft"}},
        ),
    ],
)
def test_what_a_merge_is_told(written: str, told: dict[str, object] | None) -> None:
    if told is None:
        assert faults(TABLES + MERGE % written) == [("with-option", "jobs.load.with.pattern")]
        return
    assert load(TABLES + MERGE % written).jobs["load"].options == {"map": {}, "latestBy": ["at"], **told}


def test_the_key_of_versions_is_unique_among_current_rows() -> None:
    plain, versions = (load(TABLES + MERGE % how).tables["orders"].gate for how in ("map: {}", "mode: scd2"))
    assert plain.rules[2] == Rule("implied_key_unique", "unique", ("id",))
    assert versions.rules[2] == Rule("implied_key_unique", "unique", ("id",), filter="is_current")
    assert plain.digest != versions.digest


def test_a_table_of_newest_rows_needs_no_columns_of_ours() -> None:
    text = TABLES.replace("      is_deleted: boolean\n", "")
    assert faults(text + MERGE % "deletes: { when: status = 'x', as: soft }") == [("merge-deletes", "jobs.load.with.deletes.as")]
    assert load(text + MERGE % "deletes: { when: status = 'x', as: hard }").jobs["load"].options["latestBy"] == ["at"]


def test_every_fault_at_once() -> None:
    text = TABLES.replace("at: { type: timestamptz, required: true }", "at: timestamptz").replace(
        "valid_to: timestamptz", "valid_to: { type: date, required: true }"
    )
    text = text.replace("      is_current: { type: boolean, required: true }\n", "")
    text += MERGE % "map: { valid_from: at, is_deleted: 'false' }, mode: scd2, deletes: { when: 'id in (select 1)', as: hard }"
    text += "  other: { use: merge, reads: orders_raw, writes: orders }\n"
    text += "  last: { script: jobs/x.py, writes: { table: orders, mode: merge } }\n"
    assert faults(text) == [
        ("merge-versions", "tables.orders.columns.valid_to"),
        ("merge-versions", "tables.orders.columns.valid_to"),
        ("merge-versions", "jobs.load.with.latestBy"),
        ("merge-versions", "jobs.load.with.map.valid_from"),
        ("merge-versions", "jobs.load.with.mode"),
        ("rule-sql", "jobs.load.with.deletes.when"),
        ("merge-deletes", "jobs.load.with.deletes.as"),
        ("versions-writer", "jobs.other.writes"),
        ("versions-writer", "jobs.last.writes"),
    ]


@pytest.mark.parametrize(
    ("latest", "column"),
    [("[]", "at: timestamptz"), ("[at, status]", "at: timestamptz"), ("[status]", "at: { type: timestamptz, required: true }")],
)
def test_versions_begin_at_one_time(latest: str, column: str) -> None:
    text = TABLES.replace("at: { type: timestamptz, required: true }", column) + MERGE.replace("[at]", latest) % "mode: scd2"
    assert [code for code, _ in faults(text)] == ["merge-versions"]


def test_soft_marks_a_boolean_of_its_own() -> None:
    text = TABLES.replace("is_deleted: boolean", "is_deleted: string")
    text += MERGE % "map: { is_deleted: 'false' }, deletes: { when: status = 'x', as: soft }"
    assert faults(text) == [("merge-deletes", "tables.orders.columns.is_deleted"), ("merge-deletes", "jobs.load.with.map.is_deleted")]


def test_a_refused_word_is_blamed_once() -> None:
    assert faults(TABLES + MERGE % "deletes: { when: status = 'x', as: gone }") == [("not-one-of", "jobs.load.with.deletes.as")]
    assert faults(TABLES + MERGE % "mode: scd3, late: ignore")[0] == ("not-one-of", "jobs.load.with.mode")


def test_check_reads_own_judged_tables_and_writes_none() -> None:
    assert load(TABLES + "jobs:\n  judge: { use: check, reads: orders }\n").jobs["judge"].options == {}
    text = TABLES + "jobs:\n  judge: { use: check, reads: [orders_raw, crm.contacts], writes: orders, with: { tasks: retention } }\n"
    assert [code for code, _ in faults(text)] == ["built-in-tables", "check-table", "check-table", "with-option"]


def test_maintain_does_what_the_optimizers_of_its_tables_say() -> None:
    job = load(TABLES + "jobs:\n  tend: { use: maintain, writes: orders, with: { tasks: [compaction, orphans] } }\n").jobs["tend"]
    sort = [{"column": "id", "descending": False}, {"column": "at", "descending": True}]
    how = {"strategy": "z-order", "min_input_files": 100, "sort": sort, "days": 30, "keep": 5, "orphan_days": 3}
    assert job.options == {"tasks": ["compaction", "orphans"], "tables": {"orders": how}}
    assert json.loads(json.dumps(job.options)) == job.options
    text = (
        TABLES
        + "jobs:\n  tend: { use: maintain, reads: orders, writes: { table: orders, mode: append }, with: { tasks: [orphans, orphans] } }\n"
    )
    assert [code for code, _ in faults(text)] == ["built-in-tables", "built-in-mode", "listed-twice"]


def test_the_columns_of_versions_are_three() -> None:
    assert (*check_transforms.VERSION_COLUMNS, check_transforms.SOFT_COLUMN) == ("valid_from", "valid_to", "is_current", "is_deleted")
