"""The archive of Spark's classes: a JVM that is started with it takes them from there, and one that it does not fit starts without."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshplane_cli.local import class_archive, jars
from meshplane_cli.local.jvm import Jvm, Wish

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.local, pytest.mark.spark, pytest.mark.timeout(180)]


def test_a_jvm_takes_sparks_classes_from_the_archive(tmp_path: Path) -> None:
    folder = jars.resolve(ROOT)
    class_archive.make(folder)
    told = tmp_path / "classes.log"
    jvm = Jvm(folder, Wish(), "eu-central-1", tmp_path, (*class_archive.option(folder), f"-Xlog:class+load:file={told}"))
    jvm.end(30)
    jvm.kill()
    (server,) = [
        line for line in told.read_text(encoding="utf-8").splitlines() if " org.apache.spark.api.python.Py4JServer source:" in line
    ]
    assert server.endswith("source: shared objects file (top)")


def test_an_archive_of_other_jars_is_no_option(tmp_path: Path) -> None:
    folder = jars.resolve(ROOT)
    class_archive.make(folder)
    other = tmp_path / "jars"
    other.mkdir()
    for jar in folder.glob("*.jar"):
        (other / jar.name).hardlink_to(jar)
    (other / "more.jar").write_bytes(b"")
    assert class_archive.option(other) == ()
    jvm = Jvm(other, Wish(), "eu-central-1", tmp_path, class_archive.option(folder))  # as if somebody had moved it there
    jvm.end(30)
    assert not jvm.alive
    jvm.kill()
