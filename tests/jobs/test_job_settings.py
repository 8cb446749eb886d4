"""`get_config`: its keys, and each of the five sources changed in turn (REQUIREMENTS J2)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.config.settings import get_config as first_generation
from dp_foundation.config.arguments import invocation
from dp_foundation.config.settings import KEYS, get_config
from dp_foundation.errors import ConfigError

JOB = {
    "schema": 1,
    "domain": {"name": "retail", "abbr": "f01", "region": "eu-west-1", "country_code": "de", "account_id": "111111111111"},
    "env": "prod",
    "project": "sales",
    "job": "load",
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    for name in ("ENV", "CONFIG_PATH", "CUSTOMER_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["job.py"])
    invocation.cache_clear()
    yield lambda *argv: monkeypatch.setattr(sys, "argv", ["job.py", *argv])
    invocation.cache_clear()


def _arguments(monkeypatch: pytest.MonkeyPatch, *more: str, **changed: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["job.py", "--meshplane-job", json.dumps({**JOB, **changed}), *more])
    invocation.cache_clear()


def test_defaults_come_from_domain_json_and_name_everything() -> None:
    config = get_config(overrides={"env": "dev", "project": "sales"})
    assert dict(config) == {
        "env": "dev",
        "aws_region": "eu-central-1",
        "account_id": "390403879405",
        "domain_name": "retail",
        "domain_abbr": "f01",
        "country_code": "de",
        "project": "sales",
        **{f"s3_{p}_bucket": f"f01-{p}-390403879405-de-dev" for p in ("raw", "refined", "curated", "artifacts", "logs")},
        **{f"iceberg_database_{layer}": f"f01_de_{layer}" for layer in ("raw", "refined", "curated")},
        **{f"{layer}_db": f"f01_de_{layer}" for layer in ("raw", "refined", "curated")},
        "iceberg_warehouse_refined": "s3://f01-refined-390403879405-de-dev/sales/iceberg/",
        "iceberg_warehouse_curated": "s3://f01-curated-390403879405-de-dev/sales/iceberg/",
        "log_level": "INFO",
        "log_format": "json",
    }
    assert set(KEYS) == set(config)
    assert config.source("s3_raw_bucket") == "defaults"
    assert first_generation is get_config


def test_each_source_wins_over_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = [(get_config()["log_level"], get_config().source("log_level"))]
    _arguments(monkeypatch, "--log_level", "arguments")
    seen.append((get_config()["log_level"], get_config().source("log_level")))
    (tmp_path / "c.json").write_text('{"LOG_LEVEL": "file"}')
    monkeypatch.setenv("CONFIG_PATH", str(tmp_path / "c.json"))
    seen.append((get_config()["log_level"], get_config().source("log_level")))
    monkeypatch.setenv("F01_LOG_LEVEL", "environment")
    seen.append((get_config()["log_level"], get_config().source("log_level")))
    config = get_config(overrides={"log_level": "overrides"})
    seen.append((config["log_level"], config.source("log_level")))
    assert seen == [
        ("DEBUG", "defaults"),
        ("arguments", "job arguments"),
        ("file", "config file"),
        ("environment", "environment"),
        ("overrides", "overrides"),
    ]


def test_glue_passes_on_customer_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_F01_S3_RAW_BUCKET", "mine")
    assert get_config()["s3_raw_bucket"] == "mine"
    monkeypatch.setenv("F01_S3_RAW_BUCKET", "nearer")
    assert get_config()["s3_raw_bucket"] == "nearer"


def test_what_the_plane_passes_shapes_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _arguments(monkeypatch)
    config = get_config()
    assert (config["env"], config["project"], config["aws_region"]) == ("prod", "sales", "eu-west-1")
    assert config["s3_refined_bucket"] == "f01-refined-111111111111-de-prod"
    assert config["iceberg_warehouse_refined"] == "s3://f01-refined-111111111111-de-prod/sales/iceberg/"


@pytest.mark.parametrize(("given", "asked"), [("refined_db", "iceberg_database_refined"), ("iceberg_database_refined", "refined_db")])
def test_both_generations_spellings_are_one_value(given: str, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_config(overrides={given: "other"})[asked] == "other"
    monkeypatch.setenv(f"F01_{asked.upper()}", "lower")
    assert get_config(overrides={given: "other"})[asked] == "other"


def test_a_laptop_stands_in_for_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "local")
    config = get_config()
    assert (config["env"], config["s3_raw_bucket"]) == ("local", "f01-raw-390403879405-de-dev")
    assert (config["log_level"], config["log_format"]) == ("DEBUG", "text")
    monkeypatch.setenv("ENV", "prod")
    assert get_config()["s3_raw_bucket"] == "f01-raw-390403879407-de-prod"


def test_unknown_keys_of_overrides_and_file_are_kept_and_others_are_key_errors() -> None:
    config = get_config(overrides={"Threshold": 3})
    assert config["threshold"] == 3
    assert "threshold" in config
    assert config.get("nothing") is None
    with pytest.raises(KeyError, match="nothing is not a setting; the settings are env, aws_region"):
        config["nothing"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "{", "cannot read"),
        ("a.json", "[1]", "holds list"),
        ("absent.json", None, "cannot read"),
        ("a.yaml", "a: [", "is not YAML"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_said(
    name: str, text: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("CONFIG_PATH", str(tmp_path / name))
    with pytest.raises(ConfigError, match=told):
        get_config()


def test_yaml_is_read_where_pyyaml_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.yml").write_text("raw_db: from_yaml\n")
    monkeypatch.setenv("CONFIG_PATH", str(tmp_path / "c.yml"))
    assert get_config()["iceberg_database_raw"] == "from_yaml"
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match="PyYAML is not installed; mend: write it as JSON"):
        get_config()


def test_the_account_is_asked_for_only_where_nothing_names_it(aws: str) -> None:
    config = get_config(overrides={"env": "lab"})  # domain.json has no account for it
    assert config["s3_raw_bucket"] == "f01-raw-390403879405-de-lab"
    assert config.source("account_id") == "defaults"
