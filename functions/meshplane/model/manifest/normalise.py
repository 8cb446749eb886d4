"""From the authoring models to `model.project`: long forms, plain values, the file's order. Called by `manifest.load`. Pure.

It judges nothing: what comes here has passed the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meshplane.model import project as plain
from meshplane.model.domain import RuleDefaults
from meshplane.model.manifest import fetching, promises, source_jobs
from meshplane.model.manifest.document import Document
from meshplane.model.manifest.jobs import JobPart, Options, Read
from meshplane.model.manifest.monitoring import DashboardPart
from meshplane.model.manifest.parts import byte_size
from meshplane.model.manifest.pipelines import PipelinePart, StepPart, TriggerPart, sources_of
from meshplane.model.manifest.tables import Projected, TablePart
from meshplane.model.sources import Source
from meshplane.model.types import Field


def project(document: Document, defaults: RuleDefaults = promises.NO_DEFAULTS) -> plain.Project:
    """The validated project of one environment. `defaults`: what the domain says of rules that do not say it."""
    meta = document.metadata
    kept = (part for part in document.jobs.values() if part.use == "merge" and part.with_ and part.with_.mode == "scd2")
    versions = {write.table for part in kept for write in part.writes}
    sources = {name: fetching.source(name, part, part.rest, document.tables) for name, part in document.sources.items() if part.rest}
    fetched = [source_jobs.job(name, part, document.tables[part.into]) for name, part in document.sources.items()]
    alive = {name: found for name, part in document.sources.items() if (found := source_jobs.keep_alive(part))}
    return plain.Project(
        name=meta.name,
        title=meta.title,
        owner=meta.owner,
        description=meta.description,
        sources=sources,
        tables={name: replace(table(name, part, defaults), versions=name in versions) for name, part in document.tables.items()},
        jobs={
            **{name: job(meta.name, name, part, document.tables) for name, part in document.jobs.items()},
            **{made.name: made for made in fetched if made},
        },
        pipelines={name: pipeline(meta.name, name, part, sources, alive) for name, part in document.pipelines.items()},
        alarms=alarms(document),
        dashboard=dashboard(document.dashboard),
        policy=plain.Policy(**document.policy.model_dump()),
    )


def alarms(document: Document) -> plain.Alarms:
    """Own alarms, and the names of those that are switched off."""
    late = {name: form for name, form in document.alarms.items() if form.pipeline and form.not_done_by}
    return plain.Alarms(
        tuple(plain.Lateness(name, form.pipeline or "", form.not_done_by or "", form.timezone) for name, form in late.items()),
        tuple(name for name, form in document.alarms.items() if not form.enabled),
    )


def dashboard(part: DashboardPart) -> plain.Dashboard:
    """With its widgets in their long form."""
    own = (plain.Widget(one.title, one.metric or "", one.of, one.statistic or "", one.emitted or "") for one in part.widgets)
    return plain.Dashboard(part.enabled, part.standard, tuple(own))


def format_of(part: TablePart) -> plain.Format:
    """Iceberg unless a raw table says otherwise."""
    return part.format or "iceberg"


def table(name: str, part: TablePart, defaults: RuleDefaults = promises.NO_DEFAULTS) -> plain.Table:
    """A table; columns of the key are required."""
    iceberg = format_of(part) == "iceberg"
    key = {column.lower() for column in part.key}
    columns = tuple(
        Field(column, form.type, form.required or column.lower() in key, form.doc, form.renamed_from)
        for column, form in part.columns.items()
    )
    return plain.Table(
        name=name,
        layer=part.layer,
        format=format_of(part),
        columns=columns,
        description=part.description,
        csv=plain.CsvFormat(**part.csv.model_dump()) if part.csv else plain.CsvFormat(),
        hive_partition=() if iceberg else tuple(field.column for field in part.partition),
        projection={column: _projection(form) for column, form in part.projection.items()},
        dropped=part.dropped,
        key=part.key,
        partition=part.partition if iceberg else (),
        sort=part.sort,
        optimizers=_optimizers(part),
        readers=part.readers,
        properties={key: str(byte_size(value)) if key.endswith("-bytes") else value for key, value in part.properties.items()},
        rules=tuple(promises.rule(each, form, defaults) for each, form in part.rules.items()),
        contract=promises.contract(part.contract),
        has_contract="contract" in part.model_fields_set,
        allow_empty=part.allow_empty,
        contract_file=part.contract.file or "",
        deprecate={column: form.until for column, form in part.deprecate.items()},
        allow_breaking=part.allow_breaking,
    )


def _projection(form: Projected) -> plain.Projection:
    return plain.Projection(form.type, form.range, form.format or ("yyyy-MM-dd" if form.type == "date" else ""), form.interval, form.unit)


def _optimizers(part: TablePart) -> plain.Optimizers:
    compaction, retention, orphans = part.optimizers.compaction, part.optimizers.retention, part.optimizers.orphans
    return plain.Optimizers(
        plain.Compaction(compaction.enabled, compaction.strategy, compaction.min_input_files, compaction.delete_file_threshold),
        plain.Retention(retention.enabled, retention.days, retention.keep, _hours(retention.every), retention.clean_expired_files),
        plain.Orphans(orphans.enabled, orphans.days, _hours(orphans.every)),
    )


def _hours(length: Any) -> int:
    return int(length.total_seconds()) // 3600


def read(own: str, part: Read) -> plain.TableRef:
    """`orders` or `customers.contacts`."""
    owner, dot, name = part.table.partition(".")
    return plain.TableRef(owner if dot else own, name if dot else owner, part.columns)


def job(own: str, name: str, part: JobPart, tables: Mapping[str, TablePart]) -> plain.Job:
    """A job."""
    return plain.Job(
        name=name,
        script=part.script or "",
        sql=part.sql or "",
        use=part.use or "",
        reads=tuple(read(own, each) for each in part.reads),
        writes=tuple(plain.Write(each.table, each.mode or ("merge" if part.use == "merge" else "append")) for each in part.writes),
        options=options(part, tables),
        worker_type=part.workers.type,
        workers=part.workers.count,
        timeout=part.timeout,
        packages=part.packages,
        modules=part.modules,
        jars=part.jars,
        spark=part.spark,
        secrets=part.secrets,
        arguments=part.arguments,
        max_concurrent_runs=part.max_concurrent_runs,
        glue_version=part.glue_version,
        description=part.description,
    )


def options(part: JobPart, tables: Mapping[str, TablePart]) -> dict[str, object]:
    """`with:` of a built-in as plain JSON values, keys as they are written, defaults filled in."""
    given = part.with_ or Options()
    if part.use == "merge":
        return {"map": dict(given.map), "latestBy": list(given.latest_by), **_changes(given)}
    if part.use == "files":
        form = given.format or format_of(tables[part.writes[0].table])
        return {"from": given.from_ or "", "format": form, "pattern": given.pattern}
    if part.use == "maintain":
        return {"tasks": list(given.tasks), "tables": {each.table: _tending(tables[each.table]) for each in part.writes}}
    return {}


def _changes(given: Options) -> dict[str, object]:
    """Deletions and versions of a merge, as far as they are asked for."""
    deletes = {"deletes": {"when": given.deletes.when, "as": given.deletes.as_}} if given.deletes else {}
    return {**deletes, **({"mode": given.mode, "late": given.late or "rewrite"} if given.mode else {})}


def _tending(part: TablePart) -> dict[str, object]:
    """What the table's optimizers would do, for a job that does it in their place."""
    own = _optimizers(part)
    compaction = {"strategy": own.compaction.strategy, "min_input_files": own.compaction.min_input_files}
    sort = [{"column": each.column, "descending": each.descending} for each in part.sort]
    return {**compaction, "sort": sort, "days": own.retention.days, "keep": own.retention.keep, "orphan_days": own.orphans.days}


def pipeline(
    own: str, name: str, part: PipelinePart, sources: Mapping[str, Source], alive: Mapping[str, plain.ScheduleTrigger]
) -> plain.Pipeline:
    """A pipeline with its steps and triggers; `alive`: by continuous source, the trigger that it brings, unless one is declared."""
    brought = [] if source_jobs.CONTINUOUS in part.triggers else [alive[each] for each in sources_of(part.steps or ()) if each in alive]
    return plain.Pipeline(
        name=name,
        steps=tuple(step(each, sources) for each in part.steps or ()),
        asl=plain.OwnAsl(part.asl.file, part.asl.targets) if part.asl else None,
        triggers=(*(trigger(own, each, form) for each, form in part.triggers.items()), *brought[:1]),
        window=part.window or "",
        params={each: plain.Param(form.type, form.default) for each, form in part.params.items()},
        concurrency=part.concurrency,
        when_busy=part.when_busy,
        notify=part.on_failure.notify if part.on_failure else "",
        description=part.description,
    )


def step(part: StepPart, sources: Mapping[str, Source]) -> plain.Step:
    """A step in its long form; each branch of parallel is a sequence."""
    if part.parallel is not None:
        return plain.Parallel(tuple(_branch(each, sources) for each in part.parallel))
    if part.sequence is not None:
        return plain.Sequence(tuple(step(each, sources) for each in part.sequence))
    if part.ingest is not None:
        if part.ingest not in sources:
            return plain.JobStep(source_jobs.job_name(part.ingest), part.retry, part.retry_after)
        return plain.IngestStep(sources[part.ingest], part.retry, part.retry_after)
    return plain.JobStep(part.job or "", part.retry, part.retry_after, part.arguments)


def _branch(part: StepPart, sources: Mapping[str, Source]) -> tuple[plain.Step, ...]:
    return tuple(step(each, sources) for each in part.sequence) if part.sequence is not None else (step(part, sources),)


def trigger(own: str, name: str, part: TriggerPart) -> plain.Trigger:
    """A trigger of the one kind that it declares."""
    if part.schedule is not None:
        return plain.ScheduleTrigger(name, part.schedule, part.timezone, part.enabled)
    if part.files is not None:
        return plain.FilesTrigger(name, part.files, part.settle, part.enabled)
    owner, dot, other = (part.pipeline or part.table or "").partition(".")
    made = plain.TableTrigger if part.table is not None else plain.PipelineTrigger
    return made(name, owner if dot else own, other if dot else owner, part.enabled)
