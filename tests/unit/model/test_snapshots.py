"""Which commits of operation `replace` are compaction: those whose summaries prove that the rows stayed."""

from __future__ import annotations

from typing import Any

import pytest

from meshplane.model.publishing import PROPERTY, unjudged
from meshplane.model.snapshots import replaced

PARENT = {"operation": "append", "total-records": "10", "total-data-files": "4", "total-delete-files": "0"}
DELETES = {**PARENT, "total-delete-files": "2", "total-position-deletes": "3", "total-equality-deletes": "0"}
EQUALITY = {**DELETES, "total-equality-deletes": "1"}


def table(parent: dict[str, str], **summary: str) -> dict[str, Any]:
    told = {"operation": "replace", **{name.replace("_", "-"): value for name, value in summary.items()}}
    made = [
        {"snapshot-id": 1, "summary": parent},
        {"snapshot-id": 2, "parent-snapshot-id": 1, "summary": told},
    ]
    refs = {"main": {"type": "branch", "snapshot-id": 2}}
    return {"snapshots": made, "refs": refs, "properties": {PROPERTY: '{"snapshot": 1}'}}


@pytest.mark.parametrize(
    ("parent", "summary", "stays"),
    [
        (PARENT, {"added_records": "10", "deleted_records": "10", "total_records": "10"}, True),
        (PARENT, {"total_records": "10", "manifests_created": "1"}, True),  # manifests written anew
        (PARENT, {"added_records": "9", "deleted_records": "10", "total_records": "9"}, False),
        (PARENT, {"added_records": "11", "deleted_records": "10", "total_records": "11"}, False),
        (PARENT, {"added_records": "10", "deleted_records": "10", "total_records": "9"}, False),
        (PARENT, {"total_records": "11"}, False),
        (PARENT, {"added_data_files": "1", "deleted_data_files": "4"}, False),  # it does not say how many
        (PARENT, {"total_records": "many"}, False),
        (PARENT, {"total_records": "10", "added_equality_deletes": "1"}, False),
        (PARENT, {"total_records": "10", "added_position_deletes": "2"}, False),
        (DELETES, {"added_records": "7", "deleted_records": "10", "total_records": "7"}, True),
        (DELETES, {"added_records": "6", "deleted_records": "10", "total_records": "6"}, False),
        (DELETES, {"added_position_deletes": "3", "removed_position_deletes": "3", "total_records": "10"}, True),
        (EQUALITY, {"added_records": "2", "deleted_records": "10", "total_records": "2"}, True),  # one may hide any number of rows
        ({"operation": "append"}, {"added_records": "4", "deleted_records": "4"}, True),
        ({"operation": "append"}, {"added_records": "4"}, False),
    ],
)
def test_a_replace_counts_as_compaction_where_its_summary_proves_it(parent: dict[str, str], summary: dict[str, str], stays: bool) -> None:
    raw = table(parent, **summary)
    assert replaced({one["snapshot-id"]: one for one in raw["snapshots"]}, 2) is stays
    assert (unjudged(raw) == "") is stays


def test_one_whose_parent_has_expired_is_told_by_its_own_numbers() -> None:
    raw = table(PARENT, added_records="4", deleted_records="4", total_records="4")
    raw["snapshots"] = raw["snapshots"][1:]
    assert unjudged(raw) == ""
