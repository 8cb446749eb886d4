"""Every reason that a status can show has its place in docs/troubleshooting.md, and no other has."""

import re
from pathlib import Path

from meshplane.model.status import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_each_reason_is_explained_once() -> None:
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == sorted(REASONS)


def test_the_anchor_that_plans_name_is_there() -> None:
    assert '<a id="held"></a>' in PAGE
