"""Every state machine that is deployed passes statelint and has JSONata that parses: those of the examples in every environment, and
those of the template. And the check finds faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from meshplane.model import asl
from meshplane.model.manifest import load
from tests.contract.state_machine_lint import findings
from tests.unit.kinds import sample

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for where in ("projects", "examples/projects") for path in ROOT.glob(f"{where}/[a-z]*/project.yaml"))


@pytest.mark.parametrize("env", ["dev", "int", "prod"])
@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_the_machines_of_the_examples(folder: Path, env: str) -> None:
    text = (folder / "project.yaml").read_text(encoding="utf-8")
    project = load(text, file="project.yaml", env=env, project=folder.name)
    assert project.pipelines
    for pipeline in project.pipelines.values():
        own = (folder / pipeline.asl.file).read_text(encoding="utf-8") if pipeline.asl else ""
        assert findings(own or asl.compile_steps(pipeline, project, sample.CONTEXT)) == [], pipeline.name


def test_the_machines_of_the_template_are_files_and_each_file_is_one() -> None:
    resources = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"].values()
    machines = [
        one["Properties"] for one in resources if one["Type"] in ("AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine")
    ]
    named = {ROOT / machine["DefinitionUri"] for machine in machines}
    assert named == set(ROOT.glob("statemachines/*.asl.json"))
    for path in named:
        assert findings(path.read_text(encoding="utf-8")) == [], path.name


GOOD = {
    "QueryLanguage": "JSONata",
    "StartAt": "One",
    "States": {"One": {"Type": "Pass", "Output": "{% $states.input.rows %}", "Next": "Two"}, "Two": {"Type": "Succeed"}},
}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"Next": "Three"}, "Three"),
        ({"End": True}, "Next"),
        ({"Output": "{% $states.input.[ %}"}, "$.States.One.Output"),
        ({"Parameters": {"a": 1}}, "Parameters"),
        ({"Typ": "Pass"}, "Typ"),
    ],
)
def test_a_fault_is_found(state: dict[str, object], told: str) -> None:
    assert findings(json.dumps(GOOD)) == []
    broken = json.loads(json.dumps(GOOD))
    broken["States"]["One"].update(state)
    assert any(told in line for line in findings(json.dumps(broken)))
