"""Glue job definitions: one BatchGetJobs for all. UpdateJob replaces the whole definition, so the whole is what is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, owner_in, prove
from meshplane.errors import NotFound
from meshplane.kinds.glue_job import GlueJobSpec
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want

BATCH = 100  # names per BatchGetJobs; the API states no limit


class GlueJobAdapter:
    """Ownership: tags, found by the shared index; a job that the index does not know is asked itself."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.glue = opening.clients("glue")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[GlueJobSpec]]:
        """The wanted and the indexed ones, read in full."""
        indexed = {arn.rpartition("/")[2]: tags for arn, tags in self.opening.listings.tagged(owner, "glue:job").items()}
        asked = {each.name: each for each in ids}
        names = sorted({*asked, *indexed})
        jobs: list[Mapping[str, Any]] = []
        for start in range(0, len(names), BATCH):
            with translated("glue:BatchGetJobs"):
                jobs += self.glue.batch_get_jobs(JobNames=names[start : start + BATCH])["Jobs"]
        found = []
        for job in jobs:
            name = job["Name"]
            tags = indexed[name] if name in indexed else self._tags(name)
            found.append(Seen(asked.get(name, Id("glue_job", name)), _spec(job), owner=owner_in(tags)))
        return found

    def create(self, want: Want[GlueJobSpec], owner: Owner) -> Done | Wait:
        """One call, tags included."""
        with translated("glue:CreateJob", want.id.name):
            self.glue.create_job(Name=want.id.name, Tags=dict(self.opening.tags(owner)), **_definition(want.spec))
        return Done()

    def update(self, seen: Seen[GlueJobSpec], to: GlueJobSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """The whole definition: what is left out would be reset."""
        name = seen.id.name
        prove(owner_in(self._tags(name)), owner, seen.id)
        with translated("glue:UpdateJob", name):
            self.glue.update_job(JobName=name, JobUpdate=_definition(to))
        self._tag(name, self.opening.provenance.tags())
        return Done()

    def claim(self, seen: Seen[GlueJobSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        self._tag(seen.id.name, self.opening.tags(owner))
        return Done()

    def delete(self, seen: Seen[GlueJobSpec], owner: Owner) -> Done | Wait:
        """A run that goes on keeps its definition (flows wait for open runs before). Absent is done."""
        try:
            prove(owner_in(self._tags(seen.id.name)), owner, seen.id)
        except NotFound:
            return Done()
        with translated("glue:DeleteJob", seen.id.name):
            self.glue.delete_job(JobName=seen.id.name)
        return Done()

    def _tags(self, name: str) -> Mapping[str, str]:
        """Read directly, with proof that the job is there: GetTags answers for names that are not."""
        with translated("glue:GetTags", name):
            tags: Mapping[str, str] = self.glue.get_tags(ResourceArn=self._arn(name))["Tags"]
        if not tags:
            with translated("glue:GetJob", name):
                self.glue.get_job(JobName=name)
        return tags

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("glue:TagResource", name):
            self.glue.tag_resource(ResourceArn=self._arn(name), TagsToAdd=dict(tags))

    def _arn(self, name: str) -> str:
        return self.opening.naming.arn("glue", f"job/{name}")


def _definition(spec: GlueJobSpec) -> dict[str, Any]:
    """The spec as CreateJob and UpdateJob take it. What is empty is left out: that is how Glue resets it."""
    optional: dict[str, Any] = {
        "Description": spec.description,
        "Connections": {"Connections": list(spec.connections)} if spec.connections else None,
        "SecurityConfiguration": spec.security_configuration,
        "MaintenanceWindow": spec.maintenance_window,
        "NonOverridableArguments": dict(spec.fixed_arguments),
        "NotificationProperty": {"NotifyDelayAfter": spec.notify_delay_minutes} if spec.notify_delay_minutes else None,
    }
    return {
        "Role": spec.role,
        "Command": {"Name": spec.command, "ScriptLocation": spec.script, "PythonVersion": spec.python_version},
        "DefaultArguments": dict(spec.arguments),
        "GlueVersion": spec.glue_version,
        "WorkerType": spec.worker_type,
        "NumberOfWorkers": spec.workers,
        "Timeout": spec.timeout_minutes,
        "MaxRetries": spec.max_retries,
        "ExecutionProperty": {"MaxConcurrentRuns": spec.max_concurrent_runs},
        "ExecutionClass": spec.execution_class,
        "JobRunQueuingEnabled": spec.queuing,
        **{key: value for key, value in optional.items() if value},
    }


def _spec(job: Mapping[str, Any]) -> GlueJobSpec:
    """What Glue says, its defaults filled in. An unset GlueVersion stays empty, and is drift: Glue would choose 6.0 (aws-facts C1)."""
    command = job.get("Command", {})
    return GlueJobSpec(
        role=job.get("Role", ""),
        script=command.get("ScriptLocation", ""),
        arguments=job.get("DefaultArguments", {}),
        connections=tuple((job.get("Connections") or {}).get("Connections", ())),
        worker_type=job.get("WorkerType", ""),
        workers=job.get("NumberOfWorkers", 0),
        timeout_minutes=job.get("Timeout", 0),
        max_concurrent_runs=(job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns", 1),
        description=job.get("Description") or "",
        glue_version=job.get("GlueVersion") or "",
        command=command.get("Name", ""),
        python_version=command.get("PythonVersion", ""),
        max_retries=job.get("MaxRetries") or 0,
        execution_class=job.get("ExecutionClass") or "STANDARD",
        queuing=bool(job.get("JobRunQueuingEnabled")),
        security_configuration=job.get("SecurityConfiguration") or "",
        maintenance_window=job.get("MaintenanceWindow") or "",
        notify_delay_minutes=(job.get("NotificationProperty") or {}).get("NotifyDelayAfter") or 0,
        fixed_arguments=job.get("NonOverridableArguments") or {},
    )


def adapter(opening: Opening) -> GlueJobAdapter:
    """Opened for one reconcile."""
    return GlueJobAdapter(opening)
