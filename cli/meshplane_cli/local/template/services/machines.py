"""AWS::StepFunctions::StateMachine: the platform's own machines (those of projects are the reconciler's)."""

from __future__ import annotations

import json

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target


def _machine(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    states = target.client("stepfunctions")
    name = properties.get("StateMachineName") or target.name(logical)
    definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
    for key, value in properties.get("DefinitionSubstitutions", {}).items():
        definition = definition.replace(f"${{{key}}}", str(value))
    arn = target.arn("states", f"stateMachine:{name}")
    if earlier == arn:
        states.update_state_machine(stateMachineArn=arn, definition=definition, roleArn=properties["RoleArn"])
    else:
        kind = properties.get("StateMachineType", "STANDARD")
        states.create_state_machine(name=name, definition=definition, roleArn=properties["RoleArn"], type=kind)
    return Made(arn, {"Arn": arn, "Name": name})


def _remove(target: Target, ref: str) -> None:
    target.client("stepfunctions").delete_state_machine(stateMachineArn=ref)


HANDLERS = {"AWS::StepFunctions::StateMachine": Handler(_machine, _remove)}
