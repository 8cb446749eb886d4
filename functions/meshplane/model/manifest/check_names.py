"""Names: the project's, tables', and the lengths of all physical names (REQUIREMENTS D2). Called by `judging`. Pure."""

from __future__ import annotations

from meshplane.model.alarm_names import fresh
from meshplane.model.manifest.scope import Scope
from meshplane.model.manifest.source_jobs import job_name
from meshplane.model.naming import MAX_LENGTH, RESERVED_PROJECTS, Naming, check_length
from meshplane.model.problems import Loc


def check(scope: Scope) -> None:
    """Notes every name that cannot be."""
    name, found = scope.document.metadata.name, scope.findings
    if name in RESERVED_PROJECTS:
        message = f"'{name}' is reserved for the platform"
        found.add(
            "name-reserved", ("metadata", "name"), message, found=name, allowed=f"anything but {', '.join(sorted(RESERVED_PROJECTS))}"
        )
    elif name != scope.project:
        mend = "rename the folder, or the project"
        found.add(
            "name-folder", ("metadata", "name"), "the project's name is not its folder's", found=name, allowed=scope.project, mend=mend
        )
    _tables(scope)
    _lengths(scope)


def _tables(scope: Scope) -> None:
    for table in scope.names("tables"):
        if table.endswith("_quarantine"):
            message = "names that end in _quarantine belong to the plane"
            scope.findings.add("name-quarantine", ("tables", table), message, found=table, mend="another ending", at_key=True)


def _lengths(scope: Scope) -> None:
    """Too long is refused, never cut. Without a domain the shortest abbreviation there may be is taken: what is refused fits nowhere."""
    longest = max(scope.environments, key=len, default="prod")
    naming = scope.domain.naming(longest) if scope.domain else Naming("xx", "xx", "0" * 12, "xx", longest)
    project = scope.project

    def judge(resource: str, name: str, loc: Loc) -> None:
        over = check_length(resource, name)
        if over:
            message = f"the name of the {resource.replace('_', ' ')} would be too long: {name}"
            scope.findings.add("name-length", loc, message, found=f"{len(name)} characters", allowed=f"{MAX_LENGTH[resource]} characters",
                               mend=f"shorten it by {over}", at_key=True)  # fmt: skip

    for table in scope.names("tables"):
        judge("table", naming.of("quarantine_table", project=project, table=table), ("tables", table))
        accepted = scope.table(table)
        if accepted and any(rule.freshness for rule in accepted.rules.values()):
            judge("alarm", naming.alarm(project, fresh(table)), ("tables", table))
    for alarm in scope.names("alarms"):
        judge("alarm", naming.alarm(project, alarm), ("alarms", alarm))
    for job in scope.names("jobs"):
        judge("glue_job", naming.job(project, job), ("jobs", job))
    for source, form in scope.document.sources.items():
        if form.rest is None:
            judge("glue_job", naming.job(project, job_name(source)), ("sources", source))
    for pipeline in scope.names("pipelines"):
        judge("state_machine", naming.state_machine(project, pipeline), ("pipelines", pipeline))
        part = scope.document.pipelines.get(pipeline)
        for name, trigger in (part.triggers if part else {}).items():
            resource = "schedule" if trigger.schedule else "event_rule"
            physical = naming.of("schedule", pipeline=pipeline, trigger=name) if trigger.schedule else naming.rule(project, pipeline, name)
            judge(resource, physical, ("pipelines", pipeline, "triggers", name))
