"""docs/reference/manifest.md against the models that read a manifest."""

from __future__ import annotations

import re
from pathlib import Path

from meshplane.model.manifest import schema
from meshplane_cli.manifest_reference import page

PAGE = Path(__file__).parents[3] / "docs/reference/manifest.md"


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew: python -m meshplane_cli.manifest_reference"


def test_every_map_of_the_manifest_has_a_section_with_all_its_fields() -> None:
    """By the schema alone: each definition's fields stand together under one heading."""
    sections = [set(re.findall(r"^\| \**`(\w+)`", part, re.MULTILINE)) for part in page().split("\n## ")]
    for name, node in schema()["$defs"].items():
        for each in node.get("anyOf", [node]):
            if "properties" in each and name != "Type":
                assert any(set(each["properties"]) <= fields for fields in sections), f"{name} is nowhere on the page"


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    headings = {re.sub(r"[^a-z0-9_-]", "", title.lower().replace(" ", "-")) for title in re.findall(r"^## (.+)$", page(), re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page())) <= headings
