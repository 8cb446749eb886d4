"""The Dockerfile's versions are Glue 5.1's, which are those that tests and laptops run with."""

from __future__ import annotations

import re
from pathlib import Path

from meshplane.model.project import Job

ROOT = Path(__file__).parents[2]


def _labels() -> dict[str, str]:
    return dict(re.findall(r'([a-z]+)\.version="([^"]+)"', (ROOT / "Dockerfile").read_text(encoding="utf-8")))


def test_the_image_is_named_after_the_glue_version_of_the_jobs() -> None:
    assert _labels()["glue"] == Job.__dataclass_fields__["glue_version"].default


def test_spark_is_the_locked_one() -> None:
    lock = (ROOT / "requirements/dev.lock").read_text(encoding="utf-8")
    assert re.search(r"^pyspark==(\S+)", lock, re.MULTILINE)[1] == _labels()["spark"]  # type: ignore[index]


def test_iceberg_is_the_locked_one() -> None:
    jars = (ROOT / "glue_jobs/jars.lock").read_text(encoding="utf-8")
    found = set(re.findall(r"^org\.apache\.iceberg:[^:]+:(\S+)", jars, re.MULTILINE))
    assert found == {_labels()["iceberg"]}


def test_python_and_java_are_those_of_the_image() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM python:{_labels()['python']}-" in text
    assert f"openjdk-{_labels()['java']}-jre" in text
