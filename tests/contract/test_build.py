"""What `sam build` ships: the code root as its Python builder copies it (links by content, no requirements file), and its settings."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = json.loads((ROOT / "domain.json").read_text())
ASK = """
from meshplane import wiring
from meshplane.model import naming
print(wiring.domain().model_dump_json())
print(naming.patterns()["bucket"])
"""


def test_domain_and_names_are_shipped_beside_the_code(tmp_path: Path) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    built = tmp_path / "built"
    shutil.copytree(ROOT / template["Globals"]["Function"]["CodeUri"], built, ignore=shutil.ignore_patterns("__pycache__"))
    assert not [path for path in built.rglob("*") if path.is_symlink()]
    assert not (built / "requirements.txt").exists(), "SAM would ship the dependencies a second time, beside the layer's"
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env={"PYTHONPATH": str(built)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    domain, bucket = done.stdout.splitlines()
    assert json.loads(domain)["domain_abbr"] == DOMAIN["domain_abbr"]
    assert "{purpose}" in bucket


def test_every_function_is_built_from_the_one_code_root() -> None:
    functions = {
        name: resource["Properties"]
        for name, resource in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert functions
    for name, properties in functions.items():
        assert "CodeUri" not in properties, name
        assert (ROOT / "functions" / Path(*properties["Handler"].split(".")[:-1])).with_suffix(".py").is_file(), name


def test_sams_settings_name_nothing_that_domain_json_says() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    said = [DOMAIN["domain_abbr"], DOMAIN["domain_name"], *DOMAIN.get("accounts", {}).values()]
    assert [word for word in said if word in text] == []
    assert set(tomllib.loads(text)) == {"version", "default"}, "a section of another environment would inherit nothing"
