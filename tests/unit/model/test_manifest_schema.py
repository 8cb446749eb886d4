"""The committed JSON Schema: up to date, and of one mind with the loader about shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from ruamel.yaml import YAML

from meshplane.model import manifest

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs/manifest.schema.json"
TWINS = sorted((ROOT / "tests/broken").glob("*.fixed.yaml"))
# Faults of shape that a schema can see; references, YAML and meaning are the loader's.
SHAPE = (
    "unknown-key",
    "not-delivered",
    "missing-key",
    "want-text",
    "want-true-false",
    "want-map",
    "want-list",
    "not-one-of",
    "out-of-range",
    "type-other-word",
    "type-unsupported",
    "duration-unit",
    "worker-type",
    "name-pattern",
    "overlay-fixed",
)


def plain(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(
        path.read_text(encoding="utf-8").replace("2024-01-01", "'2024-01-01'").replace(" 2027-01-31", " '2027-01-31'")
    )


def test_the_committed_schema_is_the_generated_one() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == manifest.schema(), (
        "run: python -m meshplane.model.manifest > docs/manifest.schema.json"
    )


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(manifest.schema())


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.name)
def test_what_the_loader_accepts_the_schema_accepts(path: Path) -> None:
    jsonschema.validate(plain(path), manifest.schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("code", SHAPE)
def test_faults_of_shape_are_seen_in_the_editor(code: str) -> None:
    (path,) = (ROOT / "tests/broken").glob(f"[0-9][0-9][0-9]-{code}.yaml")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain(path), manifest.schema(), cls=jsonschema.Draft202012Validator)


def test_every_field_says_what_it_means() -> None:
    silent = [
        f"{name}.{key}"
        for name, part in {**manifest.schema()["$defs"], "Document": manifest.schema()}.items()
        for form in [part, *part.get("anyOf", [])]
        for key, field in form.get("properties", {}).items()
        if name != "Type" and not field.get("description") and "$ref" not in field
    ]
    assert silent == []


def test_marks_of_the_overlay_are_in_the_schema() -> None:
    job = manifest.schema()["$defs"]["JobPart"]["properties"]
    assert {key for key, field in job.items() if field.get("x-overlay")} == {
        "workers",
        "timeout",
        "spark",
        "arguments",
        "maxConcurrentRuns",
    }
