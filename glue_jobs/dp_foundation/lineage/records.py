"""A run's outbox record as OpenLineage run events: `run.current` keeps them beside the record, `record_run` sends them (contracts.md §11).

One START and, once the record says how it ended, one COMPLETE or FAIL. Tables are named as OpenLineage names those of the Glue catalog.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from dp_foundation.config.arguments import Job, Run, Table
from dp_foundation.contracts import quarantine
from dp_foundation.lineage.columns import made_of
from dp_foundation.lineage.events import PRODUCER, SPEC

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
_FACETS = "https://openlineage.io/spec/facets/"
_SCHEMAS: Mapping[str, str] = {
    "schema": "1-2-0/SchemaDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "dataQualityAssertions": "1-1-0/DataQualityAssertionsDatasetFacet",
    "dataQualityMetrics": "1-0-3/DataQualityMetricsInputDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "nominalTime": "1-0-1/NominalTimeRunFacet",
    "parent": "1-2-0/ParentRunFacet",
}
Facets = dict[str, dict[str, Any]]


def facet(name: str, **content: Any) -> Facets:
    """One facet under its name, with what the standard asks of every facet."""
    file = _SCHEMAS[name]
    return {name: {"_producer": PRODUCER, "_schemaURL": f"{_FACETS}{file}.json#/$defs/{file.partition('/')[2]}", **content}}


def events(job: Job, run: Run, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """START, and the end when the record knows it. The run's id is a UUID made of run, step and attempt."""
    namespace = f"meshplane://{job.domain.get('abbr', '')}-{job.env}"
    told: Facets = {}
    if run.pipeline:
        parent = {"runId": str(uuid.uuid5(_NAMESPACE, run.run_id))}
        told |= facet("parent", run=parent, job={"namespace": namespace, "name": f"{job.project}.{run.pipeline}"})
    if run.window_start:
        told |= facet("nominalTime", nominalStartTime=run.window_start, nominalEndTime=run.window_end)
    attempt = f"{run.run_id}/{record['step']}/{record.get('round', 0)}_{record['attempt']}"
    common: dict[str, Any] = {
        "run": {"runId": str(uuid.uuid5(_NAMESPACE, attempt)), "facets": told},
        "job": {"namespace": namespace, "name": f"{job.project}.{job.name}"},
        "producer": PRODUCER,
        "schemaURL": SPEC,
    }
    made = [{"eventType": "START", "eventTime": record["started"], **common, "inputs": [], "outputs": []}]
    if record["state"] != "intent":
        failed = record["state"] == "failed"
        if failed:
            why = facet("errorMessage", message=record["error"] or "failed", programmingLanguage="python")
            common["run"] = {**common["run"], "facets": {**told, **why}}
        inputs = [_input(job, one, record.get("verdicts", ())) for one in record["inputs"]]
        outputs = [_output(job, one, record) for one in record["outputs"]]
        kind = "FAIL" if failed else "COMPLETE"
        made.append({"eventType": kind, "eventTime": record["ended"], **common, "inputs": inputs, "outputs": outputs})
    return made


def dataset(job: Job, name: str) -> dict[str, str]:
    """Namespace and name of an input or output: a table of the catalog, or what a connection serves."""
    table = _table(job, name)
    if table is not None:
        where = f"arn:aws:glue:{job.domain.get('region', '')}:{job.domain.get('account_id', '')}"
        return {"namespace": where, "name": f"table/{table.database}/{table.name}"}
    connection, _, thing = name.partition(":")
    known = job.connections.get(connection)
    if known is None:
        return {"namespace": f"meshplane://{job.domain.get('abbr', '')}-{job.env}", "name": f"{job.project}.{name}"}
    if known.database:
        return {"namespace": f"postgres://{known.host}:{known.port}", "name": f"{known.database}.{thing}"}
    return {"namespace": f"kafka://{known.host}:{known.port}", "name": thing}


def _table(job: Job, name: str) -> Table | None:
    return job.tables.get(name) or quarantine.beside(job.tables, name)


def _input(job: Job, told: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    facets = _facets(_table(job, told["table"]), told.get("snapshot"))
    given: Facets = {}
    if "rows" in told:
        given |= facet("dataQualityMetrics", rowCount=told["rows"], columnMetrics={})
    for verdict in verdicts:
        if verdict["table"] == told["table"] and not verdict["branch"]:
            given |= _assertions(job.tables.get(told["table"]), verdict)
    return {**dataset(job, told["table"]), "facets": facets, "inputFacets": given}


def _output(job: Job, told: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    table = job.tables.get(told["table"])
    facets = _facets(table, told["snapshot"])
    if table is not None and (parts := made_of(job, table, [one["table"] for one in record["inputs"]])):
        fields = {
            column: {
                "inputFields": [
                    {
                        **dataset(job, source),
                        "field": name,
                        "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION" if computed else "IDENTITY"}],
                    }
                    for source, name, computed in inputs
                ]
            }
            for column, inputs in parts.items()
        }
        facets |= facet("columnLineage", fields=fields)
    for verdict in record.get("verdicts", ()):
        if verdict["table"] == told["table"] and verdict["branch"]:
            facets |= _assertions(table, verdict)
    return {**dataset(job, told["table"]), "facets": facets, "outputFacets": facet("outputStatistics", rowCount=told["rows_added"])}


def _facets(table: Table | None, snapshot: int | None) -> Facets:
    found: Facets = {}
    if table is not None and table.columns:
        found |= facet("schema", fields=[{"name": column.name, "type": column.type} for column in table.columns])
    if snapshot is not None:
        found |= facet("version", datasetVersion=str(snapshot))
    return found


def _assertions(table: Table | None, verdict: Mapping[str, Any]) -> Facets:
    """Each rule, for each of its columns where it has some."""
    rules = {rule.name: rule for rule in table.gate.rules} if table is not None and table.gate is not None else {}
    made = []
    for result in verdict["results"]:
        told = {"assertion": f"{result['kind']}:{result['rule']}", "success": result["outcome"] == "passed"}
        columns = rules[result["rule"]].columns if result["rule"] in rules and result["kind"] != "columns" else ()
        made += [{**told, "column": column} for column in columns] or [told]
    return facet("dataQualityAssertions", assertions=made)
