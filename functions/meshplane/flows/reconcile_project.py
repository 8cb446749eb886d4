"""Make AWS match one project's newest manifest. Called by `handlers.reconcile_project` for every message of the queue.

    begin (lease) → newest manifest → load → prepare → compile → converge (look, plan, guard, apply) → close → finish

An event only says *look at this project*. What went wrong, the author's faults included, becomes status; only faults of the plane raise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from meshplane.errors import NotReady, PlaneError, Stale
from meshplane.flows.closing import Ended, Writer
from meshplane.flows.converge import Converged, Task, Tools, converge
from meshplane.flows.preparation import Prepared, Surroundings
from meshplane.flows.remove_project import Removal, remove
from meshplane.kinds.state_machine import machine_id
from meshplane.model.gating import gates, publish_function
from meshplane.model.manifest import joined, load
from meshplane.model.naming import is_project
from meshplane.model.project import Project
from meshplane.model.runs import PipelinePolicy
from meshplane.model.windows import iso
from meshplane.plan.compile import Desired
from meshplane.plan.compile import compile as compile_project
from meshplane.plan.conditions import judge, past_the_gate, unjudged, with_commits, with_watches
from meshplane.plan.consumers import impacts
from meshplane.plan.guard import Verdict
from meshplane.plan.outcome import State
from meshplane.plan.planner import Plan
from meshplane.plan.retry import given_up
from meshplane.plan.shares import references, shares
from meshplane.ports import Begun, DeletedManifest, Manifest, Manifests, OpenRuns, ReconcileQueue, States

LEASE = timedelta(seconds=210)  # outlives the function's timeout of 180 s


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the reconcile needs of the world."""

    states: States
    manifests: Manifests
    queue: ReconcileQueue
    runs: OpenRuns
    surroundings: Surroundings
    tools: Tools


@dataclass(frozen=True, slots=True)
class Report:
    """What one reconcile did: the fields of its one log line, and the numbers of its metrics."""

    project: str
    result: str
    fields: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def reconcile_message(ports: Ports, body: str, holder: str) -> Report:
    """A message of the queue: the rule's S3 event, or ours in its shape. Only its object key counts, and only a manifest's."""
    key = str(json.loads(body).get("detail", {}).get("object", {}).get("key", ""))
    name = key.split("/")[1] if key.count("/") == 2 else ""
    if not is_project(name) or key != ports.surroundings.here.naming.manifest_key(name):
        return Report(name, "ignored", {"key": key})  # the rule's wildcard matches deeper keys too
    return reconcile_project(ports, name, holder)


def reconcile_project(ports: Ports, project: str, holder: str = "") -> Report:
    """One look at one project. `holder` names the message, so that its redelivery after a crash need not wait for the lease."""
    started = ports.tools.clock.now()
    begun = ports.states.begin(project, holder, started, LEASE)
    if begun is None:
        return Report(project, "busy")
    writer = Writer(ports.states, ports.manifests, ports.tools.clock, ports.surroundings.here.naming, begun)
    try:
        ended = _look(ports, begun, writer)
        dirty = ports.states.finish(begun, ended.record)
    except Stale as overtaken:
        return _overtaken(ports, begun, overtaken)
    seconds = (ports.tools.clock.now() - started).total_seconds()
    fields = {**ended.fields, **_told(ports, project, ended, dirty), "result": ended.result, "due_at": ended.record.due_at}
    return Report(project, ended.result, fields, {"Seconds": seconds, **ended.metrics})


def _told(ports: Ports, project: str, ended: Ended, dirty: bool) -> Mapping[str, str]:
    """Ask for the looks that follow. The record is whole: what cannot be asked for now is for the sweep, and only the log says so."""
    try:
        # record_run wakes whoever waits; one that ended before our wait could be read has woken nobody.
        missed = ended.record.awaits_runs and not any(run.status == "RUNNING" for run in ports.runs.open(project))
        if dirty or ended.again or missed:
            ports.queue.send([project])
        if ended.wake:
            ports.queue.send(sorted({due.project for due in ports.states.due() if project in due.refers and due.phase == "active"}))
    except PlaneError as error:
        return {"unasked": str(error)}
    return {}


def _overtaken(ports: Ports, begun: Begun, why: Stale) -> Report:
    """Somebody newer goes on. If that is only a newer manifest, the lease is still ours to give back, and we look again at once."""
    project = begun.record.project
    try:
        ports.states.finish(begun, begun.record)
        ports.queue.send([project])
    except PlaneError:
        pass  # another holder has begun; or it could not be asked for, and the sweep sees the newer manifest
    return Report(project, "overtaken", {"why": str(why)})


def _look(ports: Ports, begun: Begun, writer: Writer) -> Ended:
    project = begun.record.project
    try:
        if not begun.record.observed:  # a first look, or one after the state was wiped
            ports.runs.restore(project, ports.surroundings.here.naming.state_machine(project, "*"))
        manifest = ports.manifests.newest(project)
    except PlaneError as error:
        return writer.unread(error)
    match manifest:
        case Manifest():
            return _declared(ports, begun, manifest, writer)
        case DeletedManifest():
            step = Removal(ports.states, ports.manifests, ports.runs, ports.tools, ports.surroundings.here, begun, writer)
            return remove(step, manifest.version)
    return writer.absent()


def _declared(ports: Ports, begun: Begun, manifest: Manifest, writer: Writer) -> Ended:
    """The ladder for a manifest that is there."""
    name, here = begun.record.project, ports.surroundings.here
    writer = writer.observing(manifest.version, manifest.release)
    try:
        project = load(manifest.text, file=f"projects/{name}/project.yaml", env=here.naming.env, project=name, domain=here.domain)
    except PlaneError as error:
        return writer.refused(unjudged(error, writer.before), error)
    writer = writer.knowing(
        refers=tuple(sorted(references(project))), manage=project.policy.manage, while_running=project.policy.while_running
    )
    try:
        prepared = ports.surroundings.prepare(project, manifest, begun.record)
        project = joined(project, prepared.context.contract_files)
    except Stale:
        raise
    except PlaneError as error:
        return writer.refused(unjudged(error, writer.before), error)
    desired = compile_project(project, prepared.context, ports.tools.kinds)
    return _matched(ports, begun, writer, project, prepared, desired)


def _matched(ports: Ports, begun: Begun, writer: Writer, project: Project, prepared: Prepared, desired: Desired) -> Ended:
    record, now = begun.record, ports.tools.clock.now()
    task = Task(
        desired,
        prepared.context.owner(project.name),
        project.policy,
        prepared.context.release.provenance,
        record.inventory,
        frozenset(record.approved),
        given_up(record.failures, now),
        writer.settling(),
        impacts=impacts(project, replace(prepared.context, today=now.date()), record.shares),
        runs=ports.runs,
        bring=_bringing(ports.manifests, project.name, prepared),
    )

    def confirm(plan: Plan, verdict: Verdict) -> None:
        """Nothing destructive on the strength of an old manifest or a lost lease."""
        newest = ports.manifests.version(project.name)
        if newest != writer.record.observed:
            raise Stale(f"{project.name} has a newer manifest, {newest}")
        ports.states.confirm(begun, verdict.approved)

    converged = converge(ports.tools, task, confirm)
    judged = judge(converged.plan, converged.verdict, converged.outcomes, converged.wrote, writer.stalled(converged))
    past = past_the_gate(converged.plan, _gated_names(record.gates), record.unjudged)
    judged = with_watches(with_commits(judged, past), record.watched, record.gates)
    if prepared.missing and not converged.verdict.held:
        judged = writer.files_missing(judged, prepared.missing)
    writer = writer.knowing(release=prepared.context.release, loose=prepared.loose, beside=prepared.beside, unjudged=past)
    if not converged.verdict.held:
        naming, standing = prepared.context.naming, _standing(converged)
        writer = writer.knowing(
            shares=shares(project, naming, standing, record.shares),
            pipelines=_pipelines(project, prepared, desired, record.pipelines, iso(now)),
            gates=gates(project, naming, standing, record.gates),
        )
    return writer.converged(judged, converged)


def _bringing(manifests: Manifests, project: str, prepared: Prepared) -> Callable[[frozenset[str]], None]:
    """Copies the files that an action's definition names, as its first write: what is held, paused or only planned copies nothing."""
    release, naming = prepared.context.release, prepared.context.naming
    own = {release.file_key(naming, project, path): path for path in release.files}
    own |= {release.module_key(naming, project, path): path for path in release.bundles}

    def bring(keys: frozenset[str]) -> None:
        for key in sorted(keys & own.keys()):
            if key in prepared.copies:
                manifests.keep(key, prepared.copies[key]())
            elif not release.digest and not manifests.has(key):  # beside the manifest until a plan was held, and gone since
                raise NotReady(f"FileMissing: {own[key]} is nowhere; put it beside the manifest, or run `meshplane publish {project}`")

    return bring


def _with_scripts(sources: Mapping[str, Any], prepared: Prepared, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each source with the content of its script. One that is nowhere yet leaves the source as it was."""
    files, found = prepared.context.release.files, dict(sources)
    for name, source in sources.items():
        if path := source["rest"]["script"]:
            whole = {**source, "rest": {**source["rest"], "script_sha256": files.get(path, "")}}
            found[name] = whole if path in files else before.get(name, whole)
    return found


def _gated_names(gates: Mapping[str, Any]) -> frozenset[str]:
    """`database.table` of every table that is published through a gate."""
    return frozenset(f"{gate['database']}.{gate['name']}" for gate in gates.values())


def _standing(converged: Converged) -> frozenset[str]:
    return frozenset(o.action.id.name for o in converged.outcomes if o.state is State.DONE or o.stands)


def _pipelines(project: Project, prepared: Prepared, desired: Desired, before: Mapping[str, object], now: str) -> dict[str, object]:
    """What start_run reads. A trigger that did not change keeps the moment since when it is as it is."""
    naming = prepared.context.naming
    policies: dict[str, object] = {}
    for pipeline in project.pipelines.values():
        machine = naming.arn("states", f"stateMachine:{naming.state_machine(project.name, pipeline.name)}")
        stored = before.get(pipeline.name)
        old = PipelinePolicy.from_json(stored) if isinstance(stored, Mapping) else None
        late = {one.name: {"by": one.by, "timezone": one.timezone} for one in project.alarms.expected(pipeline.name)}
        want = desired.by_id.get(machine_id(project.name, pipeline.name, prepared.context))
        definition = want.spec.definition if want else ""
        # An own file that is nowhere yet compiles to nothing: the machine of before stands, and so does what is known of it.
        publishes = publish_function(naming) in definition if definition else bool(old and old.publishes)
        policy = replace(PipelinePolicy.of(pipeline, machine), late=late, publishes=publishes)
        policy = replace(policy, sources=_with_scripts(policy.sources, prepared, old.sources if old else {}))
        policies[pipeline.name] = policy.carry_since(old, now).to_json()
    return policies
