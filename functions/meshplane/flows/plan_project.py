"""What would a manifest change? Called by `handlers.plan_project`; the caller sends manifest and release index. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from meshplane.errors import ManifestInvalid, PlaneError, Rejected
from meshplane.flows.converge import Task, Tools, look
from meshplane.flows.preparation import Surroundings
from meshplane.model.manifest import joined, load
from meshplane.model.naming import is_project
from meshplane.model.project import Policy
from meshplane.model.release import Release
from meshplane.model.resource import Owner
from meshplane.plan.compile import Desired
from meshplane.plan.compile import compile as compile_project
from meshplane.plan.consumers import impacts
from meshplane.plan.guard import guard
from meshplane.plan.record import Record, release_of
from meshplane.plan.render import Header, markdown, text, to_json
from meshplane.ports import States


@dataclass(frozen=True, slots=True)
class PlanPorts:
    """What planning needs of the world: reads only."""

    states: States
    surroundings: Surroundings
    tools: Tools


def plan_project(ports: PlanPorts, request: Mapping[str, Any]) -> dict[str, Any]:
    """`request`: project, manifest (text), release (the index's JSON text, or empty), files (the text of state machine
    and contract files, by path, that may not have been published yet), delete (true: as if the manifest were deleted).

    The answer holds the plan as JSON with its `text` and `markdown`; for a manifest that is not valid `problems`, else `error`.
    """
    project = str(request.get("project", ""))
    try:
        if not is_project(project):
            raise Rejected(f"'{project}' is no project's name: 2 to 20 lower-case letters and digits, beginning with a letter")
        return _planned(ports, project, request)
    except ManifestInvalid as invalid:
        return {"project": project, "problems": [asdict(problem) for problem in invalid.problems], "text": str(invalid)}
    except PlaneError as error:
        told = {"reason": error.reason, "message": str(error), "fault": error.fault, "retryable": error.retryable}
        return {"project": project, "error": told}


def _planned(ports: PlanPorts, project: str, request: Mapping[str, Any]) -> dict[str, Any]:
    here, record = ports.surroundings.here, ports.states.peek(project)
    removing = bool(request.get("delete"))
    task = _removal(ports, record) if removing else _change(ports, record, request)
    _, plan = look(ports.tools, task, record.inventory)
    verdict = guard(plan, task.policy.approve, record.approved, removing)
    index = str(request.get("release") or "")
    digest = _release(index).digest if index else record.release.digest
    header = Header(project, here.naming.env, here.naming.account_id, digest, ports.tools.clock.now())
    return {**to_json(plan, verdict, header), "text": text(plan, verdict, header), "markdown": markdown(plan, verdict, header)}


def _change(ports: PlanPorts, record: Record, request: Mapping[str, Any]) -> Task:
    here = ports.surroundings.here
    name = record.project
    text, file = str(request.get("manifest", "")), f"projects/{name}/project.yaml"
    project = load(text, file=file, env=here.naming.env, project=name, domain=here.domain)
    index = str(request.get("release") or "")
    release = _release(index) if index else record.release
    prepared = ports.surroundings.with_release(project, release, record, _files(request))
    context = replace(prepared.context, today=ports.tools.clock.now().date())
    project = joined(project, context.contract_files)
    desired = compile_project(project, context, ports.tools.kinds)
    felt = impacts(project, context, record.shares)
    return Task(desired, context.owner(name), project.policy, release.provenance, record.inventory, impacts=felt)


def _files(request: Mapping[str, Any]) -> Mapping[str, str]:
    files = request.get("files") or {}
    if not isinstance(files, Mapping):
        raise Rejected("`files` holds the text of each file that the plane reads itself, by its path")
    return {str(path): str(text) for path, text in files.items()}


def _release(index: str) -> Release:
    try:
        return release_of(json.loads(index))
    except (ValueError, TypeError, AttributeError) as wrong:
        raise Rejected(f"`release` is no release index ({wrong}): send what `meshplane publish` writes, or leave it out") from wrong


def _removal(ports: PlanPorts, record: Record) -> Task:
    here = ports.surroundings.here
    policy = replace(Policy(), manage=record.manage)  # type: ignore[arg-type]  # the verbs as the last valid manifest had them
    owner = Owner(here.domain.domain_name, here.naming.env, record.project)
    return Task(Desired(record.project), owner, policy, inventory=record.inventory, removing=True)
