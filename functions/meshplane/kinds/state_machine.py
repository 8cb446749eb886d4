"""A pipeline as a Step Functions state machine: Standard, logged to its own encrypted group. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshplane.kinds.comparing import differences
from meshplane.kinds.glue_job import job_id
from meshplane.kinds.log_group import log_group_id
from meshplane.kinds.role import role_id
from meshplane.model import asl, own_asl
from meshplane.model.access import TARGET_ACTIONS
from meshplane.model.asl_ingest import sources_of
from meshplane.model.context import Context
from meshplane.model.gating import gated_writes, publish_function
from meshplane.model.own_gate import Gates
from meshplane.model.project import OwnAsl, Pipeline, Project
from meshplane.model.resource import Difference, Id, Seen, Want

NAME = "state_machine"


@dataclass(frozen=True, slots=True)
class StateMachineSpec:
    """`definition` is canonical ASL. `log_group` is a group's ARN; the level is Step Functions' (ALL, ERROR, FATAL, OFF).

    `tracing` stays off: X-Ray needs `*` grants, and the execution history already says what ran when.
    """

    definition: str
    role: str
    log_group: str
    log_level: str = "ALL"
    log_data: bool = True
    tracing: bool = False


def machine_id(project: str, pipeline: str, context: Context) -> Id:
    """`f01-sales-pipeline-daily-dev`."""
    return Id("state_machine", context.naming.state_machine(project, pipeline), pipeline)


class StateMachine:
    """One per pipeline."""

    name = NAME

    def desired(self, project: Project, context: Context) -> Iterable[Want[StateMachineSpec]]:
        """Compiled from `steps`, or the project's own file with its references filled in."""
        return [self._want(pipeline, project, context) for pipeline in project.pipelines.values()]

    def _want(self, pipeline: Pipeline, project: Project, context: Context) -> Want[StateMachineSpec]:
        naming = context.naming
        definition, refused, waits = "", "", ""
        scripts = {source.rest.script for source in sources_of(pipeline.steps) if source.rest.script}
        files = {path: context.release.file_key(naming, project.name, path) for path in sorted(scripts)}
        if absent := [path for path, key in files.items() if not key]:
            waits = f"FileMissing: {', '.join(absent)} is in no release of this project; mend: meshplane publish {project.name}"
        if pipeline.asl is None:
            definition = asl.compile_steps(pipeline, project, context)
            jobs = {step.job for _, step in asl.step_names(pipeline)}
        else:
            definition, refused, waits = _own(pipeline.asl, project, context)
            jobs = set(project.jobs)
        group = log_group_id(project.name, pipeline.name, context)
        spec = StateMachineSpec(definition, naming.role_arn("pipeline", project.name), naming.arn("logs", f"log-group:{group.name}"))
        needs = {role_id("pipeline", project.name, context), group, *(job_id(project.name, job, context) for job in jobs)}
        return Want(
            machine_id(project.name, pipeline.name, context),
            spec,
            frozenset(needs),
            refused,
            waits,
            frozenset(filter(None, files.values())),
        )

    def compare(self, want: StateMachineSpec, seen: StateMachineSpec) -> tuple[Difference, ...]:
        """Every field; the definition by meaning."""
        return differences(want, seen)

    def resting(self, seen: Seen[StateMachineSpec]) -> StateMachineSpec | None:
        """Deleted; its running executions would end at their next transition, so flows wait for open runs before."""
        return None


def _own(own: OwnAsl, project: Project, context: Context) -> tuple[str, str, str]:
    """Definition, refusal, wait of an own file: exactly one of them says something."""
    if own.file not in context.asl_files:
        return "", "", f"FileMissing: {own.file} is in no release of this project; mend: meshplane publish {project.name}"
    impossible = [target for target in own.targets if target.split(":")[2:3] not in [[service] for service in TARGET_ACTIONS]]
    if impossible:
        return "", f"asl.targets: {', '.join(impossible)} cannot be called; allowed are ARNs of {', '.join(TARGET_ACTIONS)}", ""
    naming, gates = context.naming, Gates(gated_writes(project), publish_function(context.naming))
    filled = own_asl.fill(
        context.asl_files[own.file], own.file, project.jobs, own.targets, lambda job: naming.job(project.name, job), gates
    )
    if filled.problems:
        return "", "\n".join(map(str, filled.problems)), ""
    return asl.canonical(filled.definition), "", ""


KIND = StateMachine()
