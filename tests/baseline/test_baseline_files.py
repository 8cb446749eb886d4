"""The files of baseline_tf: formatted, valid, typed and described, with arguments that the provider has; Terraform's own tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.baseline import provider_schema
from tests.baseline.conftest import ROOT, Work
from tests.baseline.hcl import Block, blocks

SOURCE = ROOT / "baseline_tf"
MODULES = (SOURCE, SOURCE / "modules/naming")
_META = {"count", "for_each", "depends_on", "provider"}
_META_BLOCKS = {"lifecycle", "timeouts"}


def resources() -> list[Block]:
    return [block for _, block in blocks(SOURCE) if block.kind == "resource"]


def used() -> set[str]:
    """The types of resources in the baseline."""
    return {block.labels[0] for block in resources()}


def faults(block: Block, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """What the provider would refuse: unknown and missing arguments, at any depth."""
    known, nested = schema["arguments"], schema.get("blocks", {})
    yield from (f"{where}: unknown argument '{name}'" for name in block.arguments if name not in known and name not in _META)
    yield from (f"{where}: '{name}' is set by AWS" for name in block.arguments if known.get(name) == "computed")
    yield from (f"{where}: '{name}' is missing" for name, how in known.items() if how == "required" and name not in block.arguments)
    for inner in block.blocks:
        name, body = inner.kind, inner
        if inner.kind == "dynamic":
            name, body = inner.labels[0], next(one for one in inner.blocks if one.kind == "content")
        if name in _META_BLOCKS:
            continue
        if name not in nested:
            yield f"{where}: unknown block '{name}'"
        else:
            yield from faults(body, nested[name], f"{where}.{name}")


def test_formatted(work: Work) -> None:
    answer = work.run("fmt", "-check", "-recursive", "-diff")
    assert answer.returncode == 0, answer.stdout


def test_valid(initialised: Work) -> None:
    assert json.loads(initialised.done("validate", "-json"))["diagnostics"] == []


@pytest.mark.timeout(300)
def test_terraforms_own_tests(initialised: Work) -> None:
    told = initialised.done("test", "-no-color")
    assert "0 failed" in told, told


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_variable_and_output_is_typed_and_described(module: Path) -> None:
    for path, block in blocks(module):
        if block.kind in ("variable", "output"):
            wanted = {"type", "description"} if block.kind == "variable" else {"description", "value"}
            assert wanted <= set(block.arguments), f"{path.name}: {block.kind} {block.address}"
            assert len(block.arguments["description"]) > 10, f"{path.name}: {block.kind} {block.address}"


def test_the_naming_module_needs_no_provider() -> None:
    assert {block.kind for _, block in blocks(SOURCE / "modules/naming")} == {"terraform", "locals", "variable", "output"}


def test_each_environment_sets_only_what_is_a_variable() -> None:
    variables = {block.labels[0] for _, block in blocks(SOURCE) if block.kind == "variable"}
    for env in ("dev", "int", "prod"):
        lines = (SOURCE / f"environments/{env}.tfvars").read_text(encoding="utf-8").splitlines()
        names = {line.split("=")[0].strip() for line in lines if "=" in line and not line.startswith("#")}
        assert names, env
        assert names <= variables, env


def test_one_concern_per_file_and_few_lines() -> None:
    for path in SOURCE.rglob("*.tf"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 250, path.name
        if path.parent == SOURCE and path.name not in ("versions.tf", "variables.tf", "outputs.tf"):
            assert text.startswith("# "), f"{path.name} does not begin by saying its concern"


def test_what_must_not_be_lost_cannot_be_destroyed() -> None:
    """The plan's JSON does not show `lifecycle`; test_baseline_apply asks Terraform to destroy it."""
    lasting = {
        block.address
        for block in resources()
        if any(one.kind == "lifecycle" and "prevent_destroy" in one.arguments for one in block.blocks)
    }
    assert lasting == {"aws_s3_bucket.this", "aws_s3_bucket.state", "aws_kms_key.domain"}


def test_arguments_by_the_committed_schema() -> None:
    """Also where no provider can be had."""
    schema = json.loads(provider_schema.COMMITTED.read_text(encoding="utf-8"))
    assert provider_schema.COMMITTED.stat().st_size <= 60_000
    assert set(schema) == used(), "make it anew: python -m tests.baseline.provider_schema"
    assert [fault for block in resources() for fault in faults(block, schema[block.labels[0]], block.address)] == []


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ("enable_key_rotation", "enable_key_rotaton", "aws_kms_key.domain: unknown argument 'enable_key_rotaton'"),
        ("cidr_block           =", "cidr_range           =", "aws_vpc.this: unknown argument 'cidr_range'"),
        ("sse_algorithm     =", "algorithm     =", "'sse_algorithm' is missing"),
        ("  versioning_configuration {", "  versioning {", "unknown block 'versioning'"),
    ],
)
def test_the_committed_schema_finds_a_slip(tmp_path: Path, was: str, becomes: str, fault: str) -> None:
    for path in SOURCE.glob("*.tf"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8").replace(was, becomes, 1), encoding="utf-8")
    schema = json.loads(provider_schema.COMMITTED.read_text(encoding="utf-8"))
    found = [
        one for _, block in blocks(tmp_path) if block.kind == "resource" for one in faults(block, schema[block.labels[0]], block.address)
    ]
    assert any(fault in one for one in found), found


def test_the_committed_schema_is_the_providers(initialised: Work) -> None:
    whole = provider_schema.whole(lambda *words: initialised.done(*words, folder="provider"), initialised.source / "provider")
    assert provider_schema.COMMITTED.read_text(encoding="utf-8") == provider_schema.text(provider_schema.stripped(whole, used()))
