"""Logs of jobs, and secrets by the manifest's names."""

from __future__ import annotations

import json
import logging

import boto3
import pytest

from core.logging.logger import get_logger
from dp_foundation.config.secrets import get_secret
from dp_foundation.errors import ConfigError
from tests.jobs.job_world import World


def test_json_lines_carry_the_run_and_the_root_logger_is_left_alone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    world.start({}, "r7", attempt=1)
    logger = get_logger("tests.json", log_format="json")
    assert get_logger("tests.json").handlers == logger.handlers
    try:
        raise ValueError("found X")
    except ValueError:
        logger.exception("no %s", "rate", extra={"rows": 3})
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["message"], line["rows"], line["run_id"], line["attempt"], line["project"]) == (
        "ERROR",
        "no rate",
        3,
        "r7",
        1,
        world.project,
    )
    assert "ValueError: found X" in line["exception"]
    assert get_logger("root") is not root
    assert (root.level, list(root.handlers)) == before


def test_text_on_a_laptop_at_the_level_of_the_settings(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("F01_LOG_LEVEL", "warning")
    logger = get_logger("tests.text")
    logger.info("quiet")
    logger.warning("loud")
    assert capsys.readouterr().out.split(" ", 1)[1] == "WARNING tests.text  loud\n"


def test_a_secret_by_the_name_that_the_manifest_gives_it(world: World) -> None:
    boto3.client("secretsmanager").create_secret(Name=f"f01/dev/{world.project}/fx-api", SecretString="s3cret")
    world.start({"secrets": {"rates": f"f01/dev/{world.project}/fx-api"}})
    get_secret.cache_clear()
    assert get_secret("rates") == "s3cret"
    with pytest.raises(ConfigError, match=r"no secret 'fx' in jobs\.load\.secrets; declared: rates"):
        get_secret("fx")
