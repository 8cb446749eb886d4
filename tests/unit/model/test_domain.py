"""domain.json: what it may say, and how it is told what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshplane.errors import ManifestInvalid
from meshplane.model.domain import Domain
from meshplane.model.naming import check_length

ROOT = Path(__file__).parents[3]
FULL = {
    "domain_name": "retail",
    "domain_abbr": "f01",
    "aws_region": "eu-central-1",
    "country_code": "de",
    "accounts": {"dev": "390403879405"},
    "api_hosts": ["api.example.org", "*.rates.example.org"],
    "reachable": {"shop": {"kind": "postgresql", "host": "db.example.org", "port": 5432, "database": "shop"}},
    "rule_defaults": {"not_null": 0.001},
    "lineage": {"target": "eventbridge", "bus": "f01-lineage"},
    "library": {"path": "lib/own-1.0-py3-none-any.whl", "sha256": "a" * 64},
}


def test_the_committed_domain_reads() -> None:
    domain = Domain.read((ROOT / "domain.json").read_text(encoding="utf-8"))
    assert domain.naming("dev").bucket("raw") == f"{domain.domain_abbr}-raw-{domain.accounts['dev']}-{domain.country_code}-dev"


def test_everything_optional_is_read() -> None:
    domain = Domain.read(json.dumps(FULL, indent="\t"))
    assert domain.reachable["shop"].port == 5432
    assert domain.library is not None
    assert domain.lineage.bus == "f01-lineage"
    assert Domain.model_validate_json(json.dumps(FULL)) == domain


def test_every_fault_is_named_with_its_place() -> None:
    text = '{\n  "domain_name": "retail",\n  "domain_abbrev": "f01",\n  "aws_region": "frankfurt",\n  "accounts": {"qa": "1"}\n}\n'
    with pytest.raises(ManifestInvalid) as caught:
        Domain.read(text)
    assert [(p.code, p.path, p.line) for p in caught.value.problems] == [
        ("missing-key", "", 1),
        ("missing-key", "", 1),
        ("unknown-key", "domain_abbrev", 3),
        ("text-form", "aws_region", 4),
        ("text-form", "accounts.qa", 5),
    ]
    assert caught.value.problems[2].mend == "did you mean 'domain_abbr'?"


@pytest.mark.parametrize("target", ["http", "datazone"])
def test_a_target_of_lineage_that_is_not_served_is_refused(target: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Domain.read(json.dumps({**FULL, "lineage": {"target": target}}, indent=1))
    [problem] = caught.value.problems
    assert (problem.code, problem.path, problem.found, problem.allowed) == ("not-delivered", "lineage.target", target, "s3, eventbridge")


def test_a_country_is_never_guessed() -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Domain.read(json.dumps({key: value for key, value in FULL.items() if key != "country_code"}))
    assert [str(problem).splitlines()[0] for problem in caught.value.problems] == ["domain.json:1:1  'country_code' is missing"]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1,}', "[1]", '{"a": 1, "a": 2}', "{'a': 1}"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Domain.read(text)
    assert all(problem.file == "domain.json" and problem.line for problem in caught.value.problems)


def test_lengths_are_counted_not_cut() -> None:
    assert check_length("role", "x" * 64) == 0
    assert check_length("role", "x" * 70) == 6
