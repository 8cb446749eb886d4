"""The manifest's checks and the job library name the columns that a merge fills, and the options of built-ins, alike."""

from __future__ import annotations

from typing import get_args

from dp_foundation.builtin import maintain, merge
from dp_foundation.io import history
from meshplane.model.manifest import check_transforms
from meshplane.model.manifest.jobs import Options, Task


def test_columns_and_words_are_the_same_in_both_runtimes() -> None:
    assert (history.FROM, history.TO, history.CURRENT) == check_transforms.VERSION_COLUMNS
    assert merge.SOFT == check_transforms.SOFT_COLUMN
    assert {"type": "string", "enum": list(history.LATE)} in Options.model_json_schema()["properties"]["late"]["anyOf"]
    assert set(maintain._TASKS) == set(get_args(Task))
