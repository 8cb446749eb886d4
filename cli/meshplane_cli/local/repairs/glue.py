"""Glue's catalog and job definitions as the service behaves: optimizers, conditional UpdateTable, paging, UpdateJob.

moto has no table optimizer, no UpdateJob and no connection update, ignores UpdateTable's VersionId (Iceberg commits are then lost in
silence), answers all tables in one page and overwrites a job of the same name. Job runs are mended in `glue_job_runs`.
State that moto lacks goes into the backend's own `__dict__`, so that reset and snapshot cover it.
"""

from __future__ import annotations

import threading
from typing import Any

import moto.glue.models as models
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.glue.exceptions import EntityNotFoundException, JobNotFoundException
from moto.glue.responses import GlueResponse

from meshplane_cli.local.repairs.operations import install, page, refuse

OPTIMIZERS = ("compaction", "retention", "orphan_file_deletion")
PAGE = 100  # the most that GetTables, GetDatabases and GetPartitions answer at once
_tables = threading.RLock()  # one writer of the catalog at a time: VersionId is compared and replaced as one step

_JOB_FIELDS = {
    "Description": "description",
    "LogUri": "log_uri",
    "Role": "role",
    "ExecutionProperty": "execution_property",
    "Command": "command",
    "DefaultArguments": "default_arguments",
    "NonOverridableArguments": "non_overridable_arguments",
    "Connections": "connections",
    "MaxRetries": "max_retries",
    "AllocatedCapacity": "allocated_capacity",
    "Timeout": "timeout",
    "MaxCapacity": "max_capacity",
    "WorkerType": "worker_type",
    "NumberOfWorkers": "number_of_workers",
    "SecurityConfiguration": "security_configuration",
    "NotificationProperty": "notification_property",
    "GlueVersion": "glue_version",
    "CodeGenConfigurationNodes": "code_gen_configuration_nodes",
    "ExecutionClass": "execution_class",
    "SourceControlDetails": "source_control_details",
}
_JOB_EXTRAS = ("JobMode", "JobRunQueuingEnabled", "MaintenanceWindow")  # moto drops these at creation


def _lower(parameters: dict[str, Any]) -> dict[str, Any]:
    """The catalog folds names of databases and tables to lower case (Glue API, DatabaseInput and TableInput)."""
    for key in ("DatabaseName", "TableName"):
        if isinstance(parameters.get(key), str):
            parameters[key] = parameters[key].lower()
    for key in ("TableInput", "DatabaseInput"):
        body = parameters.get(key)
        if isinstance(body, dict) and isinstance(body.get("Name"), str):
            body["Name"] = body["Name"].lower()
    return parameters


class CatalogOperations(GlueResponse):  # type: ignore[misc]
    """Databases, tables and partitions."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's body, catalog names folded."""
        return _lower(_original_parameters(self))

    def get_databases(self) -> ActionResult:
        """Pages of at most 100."""
        asked = self.parameters
        rows, token = page(self.glue_backend.get_databases(), asked.get("NextToken"), asked.get("MaxResults"), PAGE)
        return ActionResult({"DatabaseList": [row.as_dict() for row in rows], "NextToken": token})

    def create_table(self) -> ActionResult:
        """Two writers of one name: one of them learns that it lost."""
        with _tables:
            return _original["create_table"](self)

    def get_table(self) -> ActionResult:
        """Found whatever the case of its name."""
        asked = self.parameters
        return ActionResult({"Table": self.glue_backend.get_table(asked["DatabaseName"], asked["Name"].lower()).as_dict()})

    def get_tables(self) -> ActionResult:
        """Pages of at most 100."""
        asked = self.parameters
        rows = self.glue_backend.get_tables(asked["DatabaseName"], asked.get("Expression"))
        rows, token = page(rows, asked.get("NextToken"), asked.get("MaxResults"), PAGE)
        return ActionResult({"TableList": [row.as_dict() for row in rows], "NextToken": token})

    def update_table(self) -> ActionResult:
        """Conditional on VersionId where one is sent; SkipArchive keeps no old version."""
        asked = self.parameters
        with _tables:
            table = self.glue_backend.get_table(asked["DatabaseName"], asked["TableInput"]["Name"])
            before = str(table._current_version)
            if asked.get("VersionId") and str(asked["VersionId"]) != before:
                raise refuse("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
            table.update(asked["TableInput"])
            if asked.get("SkipArchive"):
                table.versions.pop(before, None)
        return EmptyResult()

    def delete_table(self) -> ActionResult:
        """The table's optimizers go with it."""
        asked = self.parameters
        name = asked["Name"].lower()
        with _tables:
            self.glue_backend.delete_table(asked["DatabaseName"], name)
            _forget_optimizers(self.glue_backend, asked["DatabaseName"], name)
        return EmptyResult()

    def batch_delete_table(self) -> ActionResult:
        """Each table's optimizers go with it."""
        answer = _original["batch_delete_table"](self)
        for name in self.parameters["TablesToDelete"]:
            _forget_optimizers(self.glue_backend, self.parameters["DatabaseName"], name)
        return answer

    def get_partitions(self) -> ActionResult:
        """Pages of at most 1,000 (Glue API, GetPartitions)."""
        asked = self.parameters
        rows = self.glue_backend.get_partitions(asked["DatabaseName"], asked["TableName"], asked.get("Expression"))
        rows, token = page(rows, asked.get("NextToken"), asked.get("MaxResults"), 1000)
        return ActionResult({"Partitions": [row.as_dict() for row in rows], "NextToken": token})


class OptimizerOperations(GlueResponse):  # type: ignore[misc]
    """Table optimizers; their runs are written by `optimizers`."""

    def _named_optimizer(self, asked: dict[str, Any]) -> tuple[str, str, str]:
        if asked["Type"] not in OPTIMIZERS:
            raise refuse("ValidationException", f"'{asked['Type']}' is not one of {', '.join(OPTIMIZERS)}")
        return asked["DatabaseName"], asked["TableName"], asked["Type"]

    def _present_optimizer(self) -> tuple[tuple[str, str, str], dict[str, Any]]:
        key = self._named_optimizer(self.parameters)
        found = optimizers(self.glue_backend).get(key)
        if found is None:
            raise EntityNotFoundException(f"Optimizer {key[2]} of table {key[0]}.{key[1]} not found.")
        return key, found

    def create_table_optimizer(self) -> ActionResult:
        """Only of an Iceberg table, only once."""
        asked = self.parameters
        key = self._named_optimizer(asked)
        table = self.glue_backend.get_table(key[0], key[1])
        parameters = table.as_dict().get("Parameters") or {}
        if str(parameters.get("table_type", "")).upper() != "ICEBERG":
            raise refuse("InvalidInputException", f"Table {key[0]}.{key[1]} is not an Iceberg table.")
        _check_configuration(asked["TableOptimizerConfiguration"])
        store = optimizers(self.glue_backend)
        if key in store:
            raise refuse("AlreadyExistsException", f"Optimizer {key[2]} of table {key[0]}.{key[1]} already exists.")
        store[key] = {"configuration": asked["TableOptimizerConfiguration"], "runs": []}
        return EmptyResult()

    def get_table_optimizer(self) -> ActionResult:
        """The configuration and the last run."""
        key, found = self._present_optimizer()
        return ActionResult(
            {"CatalogId": self.current_account, "DatabaseName": key[0], "TableName": key[1], "TableOptimizer": _shown(key, found)}
        )

    def batch_get_table_optimizer(self) -> ActionResult:
        """What is there, and a failure for each that is not."""
        there: list[dict[str, Any]] = []
        absent: list[dict[str, Any]] = []
        for entry in self.parameters["Entries"]:
            key = (entry["databaseName"].lower(), entry["tableName"].lower(), entry["type"])
            row = {"catalogId": self.current_account, "databaseName": key[0], "tableName": key[1]}
            found = optimizers(self.glue_backend).get(key)
            if found is not None:
                there.append({**row, "tableOptimizer": _shown(key, found)})
            else:
                error = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "Table optimizer not found."}
                absent.append({**row, "type": key[2], "error": error})
        return ActionResult({"TableOptimizers": there, "Failures": absent})

    def update_table_optimizer(self) -> ActionResult:
        """Replaces the configuration: what is not sent again is gone."""
        _, found = self._present_optimizer()
        _check_configuration(self.parameters["TableOptimizerConfiguration"])
        found["configuration"] = self.parameters["TableOptimizerConfiguration"]
        return EmptyResult()

    def delete_table_optimizer(self) -> ActionResult:
        """Removes it with its runs."""
        key, _ = self._present_optimizer()
        del optimizers(self.glue_backend)[key]
        return EmptyResult()

    def list_table_optimizer_runs(self) -> ActionResult:
        """Newest first."""
        key, found = self._present_optimizer()
        asked = self.parameters
        rows, token = page(list(reversed(found.get("runs", []))), asked.get("NextToken"), asked.get("MaxResults"), PAGE)
        return ActionResult(
            {
                "CatalogId": self.current_account,
                "DatabaseName": key[0],
                "TableName": key[1],
                "NextToken": token,
                "TableOptimizerRuns": rows,
            }
        )


class JobOperations(GlueResponse):  # type: ignore[misc]
    """Job definitions and connections."""

    def create_job(self) -> ActionResult:
        """A name is taken once."""
        name = self.parameters["Name"]
        if name in self.glue_backend.jobs:
            raise refuse("AlreadyExistsException", f"Job {name} already exists.")
        answer = _original["create_job"](self)
        _set_extras(self.glue_backend.get_job(name), self.parameters)
        return answer

    def update_job(self) -> ActionResult:
        """JobUpdate replaces the whole definition (Glue API: overwrites the previous one); tags stay."""
        update = self.parameters["JobUpdate"]
        job = self.glue_backend.get_job(self.parameters["JobName"])
        for key, attribute in _JOB_FIELDS.items():
            empty: dict[str, Any] | None = {} if key in ("ExecutionProperty", "DefaultArguments") else None
            setattr(job, attribute, update.get(key, "STANDARD" if key == "ExecutionClass" else empty))
        _set_extras(job, update)
        job.last_modified_on = utcnow()
        return ActionResult({"JobName": job.name})

    def delete_job(self) -> ActionResult:
        """An absent job is deleted with success, as Glue says."""
        name = self.parameters["JobName"]
        try:
            self.glue_backend.get_job(name)
        except JobNotFoundException:
            return ActionResult({"JobName": name})
        return _original["delete_job"](self)

    def update_connection(self) -> ActionResult:
        """Replaces the connection's input."""
        asked = self.parameters
        connection = self.glue_backend.get_connection(
            catalog_id=asked.get("CatalogId"), name=asked["Name"], apply_override_for_compute_environment=None
        )
        connection.connection_input = asked["ConnectionInput"]
        connection.connection_properties = asked["ConnectionInput"].get("ConnectionProperties", {})
        connection.updated_time = utcnow()
        return EmptyResult()

    def delete_connection(self) -> ActionResult:
        """Removes it; an absent one is EntityNotFoundException."""
        name = self.parameters["ConnectionName"]
        if self.glue_backend.connections.pop(name, None) is None:
            raise EntityNotFoundException(f"Connection {name} not found.")
        return EmptyResult()


def optimizers(backend: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(database, table, type) → {"configuration": …, "runs": [newest last]}. The optimizer worker appends to `runs`."""
    store: dict[tuple[str, str, str], dict[str, Any]] = backend.__dict__.setdefault("table_optimizers", {})
    return store


def _shown(key: tuple[str, str, str], found: dict[str, Any]) -> dict[str, Any]:
    shown = {"type": key[2], "configuration": found["configuration"], "configurationSource": "table"}
    return {**shown, "lastRun": found["runs"][-1]} if found.get("runs") else shown


def _check_configuration(configuration: dict[str, Any]) -> None:
    if not configuration.get("roleArn") or "enabled" not in configuration:
        raise refuse("InvalidInputException", "TableOptimizerConfiguration needs roleArn and enabled.")


def _forget_optimizers(backend: Any, database: str, table: str) -> None:
    store = optimizers(backend)
    for key in [key for key in store if key[:2] == (database, table)]:
        del store[key]


def _set_extras(job: Any, source: dict[str, Any]) -> None:
    job.extras = {key: source[key] for key in _JOB_EXTRAS if key in source}


def _connection_as_dict(connection: Any, hide_password: bool = False) -> dict[str, Any]:
    """moto leaves out what kind of connection it is."""
    kept = {key: connection.connection_input[key] for key in ("ConnectionType", "MatchCriteria") if key in connection.connection_input}
    return {**_original["connection_as_dict"](connection, hide_password), **kept}


def _job_as_dict(job: Any) -> dict[str, Any]:
    return {**_original["job_as_dict"](job), **getattr(job, "extras", {})}


_original: dict[str, Any] = {}


def _original_parameters(response: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = _original["parameters"].fget(response)
    return parameters


def apply() -> None:
    """Mend moto's Glue in this process; a second call changes nothing."""
    if _original:
        return
    for name in ("create_table", "batch_delete_table", "create_job", "delete_job", "parameters"):
        _original[name] = GlueResponse.__dict__[name]
    _original["job_as_dict"] = models.FakeJob.as_dict
    models.FakeJob.as_dict = _job_as_dict
    _original["connection_as_dict"] = models.FakeConnection.as_dict
    models.FakeConnection.as_dict = _connection_as_dict
    for operations in (CatalogOperations, OptimizerOperations, JobOperations):
        install(GlueResponse, operations)
