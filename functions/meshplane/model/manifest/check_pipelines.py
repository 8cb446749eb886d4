"""Pipelines judged as a whole: steps, triggers, parameters, and that none triggers itself. Called by `judging`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from meshplane.model.manifest.check_jobs import check_arguments
from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.pipelines import ParamPart, PipelinePart, StepPart, TriggerPart, sources_of
from meshplane.model.manifest.scope import Scope
from meshplane.model.problems import Loc, did_you_mean

_TOPIC = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"
_ARN = r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws|):\S+"
KINDS = ("schedule", "files", "pipeline", "table")


def check(scope: Scope) -> None:
    """Notes every fault of every accepted pipeline, and every circle among them."""
    for name, part in scope.document.pipelines.items():
        loc: Loc = ("pipelines", name)
        _work(scope, loc, part)
        for index, step in enumerate(part.steps or ()):
            _step(scope, (*loc, "steps", index), step, part)
        for trigger, form in part.triggers.items():
            _trigger(scope, (*loc, "triggers", trigger), form)
        for param, declared in part.params.items():
            _param(scope, (*loc, "params", param), param, declared)
        if part.on_failure and part.on_failure.notify != "domain" and not re.fullmatch(_TOPIC, part.on_failure.notify):
            found = part.on_failure.notify
            scope.findings.add(
                "notify",
                (*loc, "onFailure", "notify"),
                "nobody can be told there",
                found=found,
                allowed="domain, or the ARN of an SNS topic",
            )
        for index, target in enumerate(part.asl.targets if part.asl else ()):
            if not re.fullmatch(_ARN, target) or "*" in target:
                scope.findings.add(
                    "asl-target", (*loc, "asl", "targets", index), "a target is one full ARN", found=target, allowed="arn:…, without *"
                )
    _circles(scope)


def _work(scope: Scope, loc: Loc, part: PipelinePart) -> None:
    given = [key for key in ("steps", "asl") if scope.findings.written((*loc, key))]
    if len(given) != 1:
        message = "a pipeline has either steps or an own state machine"
        scope.findings.add("pipeline-work", loc, message, found=" and ".join(given) or "neither", allowed="steps: […], or asl: { file: … }")


def _step(scope: Scope, loc: Loc, step: StepPart, pipeline: PipelinePart) -> None:
    kinds = [key for key in ("job", "ingest", "parallel", "sequence") if getattr(step, key) is not None]
    if len(kinds) != 1:
        if not scope.findings.is_lost(loc):
            found = " and ".join(kinds) or "none of them"
            scope.findings.add(
                "step-form",
                loc,
                "a step is exactly one of job, ingest, parallel, sequence",
                found=found,
                allowed="- job, - { job: …, retry: 2 }, - ingest: source, - parallel: […]",
            )
        return
    extra = sorted(step.model_fields_set & {"retry", "retry_after", "arguments"})
    if kinds == ["ingest"]:
        extra = [word for word in extra if word == "arguments"]
    if kinds != ["job"] and extra:
        words = ", ".join(StepPart.model_fields[word].alias or word for word in extra)
        scope.findings.add(
            "step-form", loc, f"only a job is retried or takes arguments, not a {kinds[0]}", found=words, mend="put it on the jobs inside"
        )
    for kind in ("parallel", "sequence"):
        for index, inner in enumerate(getattr(step, kind) or ()):
            # A sequence written as a list has no key of its own.
            at = (*loc, kind, index) if scope.findings.written((*loc, kind)) else (*loc, index)
            _step(scope, at, inner, pipeline)
    if step.ingest is not None and step.ingest not in (sources := scope.names("sources")):
        message = f"no source '{step.ingest}' in this project"
        scope.findings.add("ref-source", (*loc, "ingest"), message, mend=did_you_mean(step.ingest, sources))
    if step.job is None:
        return
    names = scope.names("jobs")
    if step.job not in names:
        scope.findings.add("ref-job", (*loc, "job"), f"no job '{step.job}' in this project", mend=did_you_mean(step.job, names))
    check_arguments(scope, (*loc, "arguments"), step.arguments)
    job = scope.document.jobs.get(step.job)
    if job and not pipeline.window and any(write.mode == "overwrite_window" for write in job.writes):
        message = f"job '{step.job}' overwrites the run's window, and this pipeline has none"
        scope.findings.add("window-missing", (*loc, "job"), message, mend="window: day")


def _trigger(scope: Scope, loc: Loc, part: TriggerPart) -> None:
    add = scope.findings.add
    given = [kind for kind in KINDS if scope.findings.written((*loc, kind))]
    if len(given) != 1:
        if not scope.findings.is_lost(loc):
            add(
                "trigger-kind",
                loc,
                "a trigger is exactly one of schedule, files, pipeline, table",
                found=" and ".join(given) or "none of them",
                allowed=", ".join(KINDS),
            )
        return
    for key, kind in (("timezone", "schedule"), ("settle", "files")):
        if key in part.model_fields_set and kind not in given:
            add("trigger-option", (*loc, key), f"'{key}' belongs to a trigger by {kind}", found=key, mend="leave it out", at_key=True)
    if part.files is not None:
        names = scope.names("tables")
        table = scope.table(part.files)
        if part.files not in names:
            add("ref-table", (*loc, "files"), f"no table '{part.files}' in this project", mend=did_you_mean(part.files, names))
        elif table and (table.layer != "raw" or format_of(table) == "iceberg"):
            message = f"files arrive in raw tables of files, '{part.files}' is none"
            add("files-trigger", (*loc, "files"), message, found=part.files, allowed="layer: raw with format csv, json or parquet")
    if part.pipeline is not None:
        _pipeline_reference(scope, (*loc, "pipeline"), part.pipeline)
    if part.table is not None:
        _published_table(scope, (*loc, "table"), part.table)


def _published_table(scope: Scope, loc: Loc, reference: str) -> None:
    owner, dot, name = reference.partition(".")
    names = scope.names("tables")
    if dot:
        if not (re.fullmatch(r"[a-z][a-z0-9]{1,19}", owner) and re.fullmatch(r"[a-z][a-z0-9_]*", name)):
            scope.findings.add("ref-form", loc, f"'{reference}' names no table", found=reference, allowed="table, or project.table")
        elif owner == scope.project:
            scope.findings.add("ref-own", loc, "an own table is named without the project", found=reference, mend=name)
        return
    table = scope.table(reference)
    if reference not in names:
        scope.findings.add("ref-table", loc, f"no table '{reference}' in this project", mend=did_you_mean(reference, names))
    elif table and (table.layer == "raw" or not any(w.table == reference for job in scope.document.jobs.values() for w in job.writes)):
        message = f"only refined and curated tables that a job writes are published, '{reference}' is none"
        scope.findings.add(
            "table-trigger", loc, message, found=reference, allowed="layer: refined or curated, and named in the `writes` of a job"
        )


def _pipeline_reference(scope: Scope, loc: Loc, reference: str) -> None:
    owner, dot, name = reference.partition(".")
    names = scope.names("pipelines")
    if not dot:
        if reference not in names:
            scope.findings.add("ref-pipeline", loc, f"no pipeline '{reference}' in this project", mend=did_you_mean(reference, names))
    elif not (re.fullmatch(r"[a-z][a-z0-9]{1,19}", owner) and re.fullmatch(r"[a-z][a-z0-9_-]*", name)):
        scope.findings.add("ref-form", loc, f"'{reference}' names no pipeline", found=reference, allowed="pipeline, or project.pipeline")
    elif owner == scope.project:
        scope.findings.add("ref-own", loc, "an own pipeline is named without the project", found=reference, mend=name)


def _param(scope: Scope, loc: Loc, name: str, part: ParamPart) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        message = f"'{name}' cannot name a parameter"
        scope.findings.add(
            "name-pattern", loc, message, found=name, allowed="lower-case letters, digits and _, beginning with a letter", at_key=True
        )
    value = part.default
    fits = value is None or {
        "string": lambda text: True,
        "int": lambda text: bool(re.fullmatch(r"[-+]?\d{1,18}", text)),
        "boolean": lambda text: text in ("true", "false"),
        "date": _is_date,
    }[part.type](value)
    if not fits:
        allowed = {"int": "a whole number", "boolean": "true, false", "date": "yyyy-mm-dd"}[part.type]
        scope.findings.add("param-default", (*loc, "default"), f"the default is no {part.type}", found=str(value), allowed=allowed)


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def jobs_of(steps: tuple[StepPart, ...]) -> Iterator[str]:
    """Every job that these steps run, nested ones included."""
    for step in steps:
        if step.job is not None:
            yield step.job
        yield from jobs_of(step.parallel or ())
        yield from jobs_of(step.sequence or ())


def _circles(scope: Scope) -> None:
    """No pipeline may start itself: directly, through others, or through files or tables that its own steps write (P7)."""
    pipelines = scope.document.pipelines
    starts: dict[str, list[tuple[str, str]]] = {name: [] for name in pipelines}  # who starts what, by which trigger
    for name, part in pipelines.items():
        for trigger, form in part.triggers.items():
            if form.pipeline in pipelines:
                starts[str(form.pipeline)].append((name, trigger))
            for writer, other in pipelines.items() if form.files or form.table else ():
                written = {
                    write.table
                    for job in jobs_of(other.steps or ())
                    if job in scope.document.jobs
                    for write in scope.document.jobs[job].writes
                } | {scope.document.sources[source].into for source in sources_of(other.steps or ()) if source in scope.document.sources}
                if (form.files or form.table) in written:
                    starts[writer].append((name, trigger))
    reported: set[frozenset[str]] = set()
    for name in pipelines:
        circle = _way_back(starts, name)
        if not circle or frozenset(each for each, _ in circle) in reported:
            continue
        reported.add(frozenset(each for each, _ in circle))
        way = " → ".join([name, *(each for each, _ in circle)])
        last = circle[-1][1]
        code, message = (
            ("trigger-self", "this pipeline triggers itself")
            if len(circle) == 1
            else ("trigger-circle", "these pipelines trigger each other")
        )
        scope.findings.add(
            code, ("pipelines", name, "triggers", last), message, found=way, mend="take one of the triggers out", at_key=True
        )


def _way_back(starts: dict[str, list[tuple[str, str]]], origin: str) -> list[tuple[str, str]]:
    """The shortest way from a pipeline back to itself, as (pipeline, its trigger); empty when there is none."""
    ways: list[list[tuple[str, str]]] = [[step] for step in starts[origin]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        at = way[-1][0]
        if at == origin:
            return way
        if at not in seen:
            seen.add(at)
            ways.extend([*way, step] for step in starts[at])
    return []
