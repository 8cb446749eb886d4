"""Glue, Lambda and Step Functions: what each operation asks of its caller (Service Authorization Reference)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshplane_cli.local.access.operations.call import Call, Need, Table, as_action, on, on_all


# ---- Glue: a catalog call asks for the catalog, the database and the table -------------------------------------------------------------
def _catalog(call: Call, database: str = "", table: str = "") -> list[Need]:
    arns = [call.world.arn("glue", "catalog")]
    if database:
        arns.append(call.world.arn("glue", f"database/{database}"))
    if table:
        arns.append(call.world.arn("glue", f"table/{database}/{table}"))
    return [Need(f"glue:{call.operation}", arn) for arn in arns]


def _of_table(call: Call) -> list[Need]:
    return _catalog(call, str(call["DatabaseName"]), str(call["TableName"] or call["Name"]))


def _created_table(call: Call) -> list[Need]:
    named = (call["TableInput"] or {}).get("Name") or call["Name"]
    return _catalog(call, str(call["DatabaseName"]), str(named))


def _of_database(call: Call) -> list[Need]:
    """GetTables too: AWS leaves out of its answer what the caller may not see; here nothing is left out."""
    return _catalog(call, str(call["DatabaseName"] or call["Name"] or (call["DatabaseInput"] or {}).get("Name")))


def _several_tables(call: Call) -> list[Need]:
    return [need for name in call["TablesToDelete"] for need in _catalog(call, str(call["DatabaseName"]), name)]


def _optimizer(call: Call) -> list[Need]:
    settings: dict[str, Any] = call["TableOptimizerConfiguration"] or {}
    return [*_of_table(call), *call.passing(settings.get("roleArn", ""), "glue")]


def _optimizers(call: Call) -> list[Need]:
    return [need for row in call["Entries"] for need in _catalog(call, row["databaseName"], row["tableName"])]


def _connection(call: Call) -> list[Need]:
    name = call["Name"] or call["ConnectionName"] or (call["ConnectionInput"] or {}).get("Name") or "*"
    return [*_catalog(call), Need(f"glue:{call.operation}", call.world.arn("glue", f"connection/{name}"))]


def _job_arn(call: Call, name: object) -> str:
    return call.world.arn("glue", f"job/{name}")


def _job(call: Call) -> str:
    return _job_arn(call, call["JobName"] or call["Name"])


def _put_job(call: Call) -> Iterable[Need]:
    role = str((call["JobUpdate"] or call.parameters).get("Role") or "")
    yield Need(f"glue:{call.operation}", _job(call))
    yield from call.passing(role, "glue")
    yield from call.tagged("glue:TagResource", _job(call))


_PARTITION = (
    "BatchCreatePartition BatchDeletePartition BatchGetPartition CreatePartition DeletePartition GetPartition GetPartitions UpdatePartition"
)
_TABLE = "DeleteTable DeleteTableOptimizer GetTable GetTableOptimizer GetTableVersion GetTableVersions ListTableOptimizerRuns"
GLUE: Table = {
    **dict.fromkeys((*_PARTITION.split(), *_TABLE.split()), _of_table),
    **dict.fromkeys(("CreateTable", "UpdateTable"), _created_table),
    **dict.fromkeys(("CreateTableOptimizer", "UpdateTableOptimizer"), _optimizer),
    **dict.fromkeys(("CreateDatabase", "DeleteDatabase", "GetDatabase", "GetDatabases", "GetTables", "UpdateDatabase"), _of_database),
    **dict.fromkeys(("CreateConnection", "DeleteConnection", "GetConnection", "GetConnections", "UpdateConnection"), _connection),
    **dict.fromkeys(("CreateJob", "UpdateJob"), _put_job),
    **on("glue", _job, "BatchStopJobRun", "DeleteJob", "GetJob", "GetJobRun", "GetJobRuns", "StartJobRun"),
    **on("glue", lambda call: str(call["ResourceArn"]), "GetTags", "TagResource", "UntagResource"),
    **on_all("glue", "GetJobs", "ListJobs"),
    "BatchDeleteTable": _several_tables,
    "BatchGetTableOptimizer": _optimizers,
    "BatchGetJobs": lambda call: [Need("glue:BatchGetJobs", _job_arn(call, name)) for name in call["JobNames"]],
}


# ---- Lambda --------------------------------------------------------------------------------------------------------------------------
def _function(call: Call) -> str:
    name = str(call["FunctionName"])
    return name if name.startswith("arn:") else call.world.arn("lambda", f"function:{name}")


def _create_function(call: Call) -> Iterable[Need]:
    yield Need("lambda:CreateFunction", _function(call))
    yield from call.passing(str(call["Role"]), "lambda")
    yield from call.tagged("lambda:TagResource", _function(call))


def _update_function(call: Call) -> Iterable[Need]:
    return [Need("lambda:UpdateFunctionConfiguration", _function(call)), *call.passing(str(call["Role"]), "lambda")]


_FUNCTION = "AddPermission DeleteFunction GetFunction GetFunctionConfiguration GetPolicy RemovePermission UpdateFunctionCode"
_MAPPING = ("DeleteEventSourceMapping", "GetEventSourceMapping", "UpdateEventSourceMapping")
LAMBDA: Table = {
    **on("lambda", _function, *_FUNCTION.split()),
    **on("lambda", lambda call: call.world.arn("lambda", f"event-source-mapping:{call['UUID']}"), *_MAPPING),
    **on("lambda", lambda call: str(call["Resource"]), "ListTags", "TagResource", "UntagResource"),
    **on_all("lambda", "CreateEventSourceMapping", "ListEventSourceMappings", "ListFunctions"),
    "CreateFunction": _create_function,
    "UpdateFunctionConfiguration": _update_function,
    "Invoke": as_action("lambda:InvokeFunction", _function),
}

# ---- Step Functions ------------------------------------------------------------------------------------------------------------------
_DELIVERY = "CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery ListLogDeliveries DescribeResourcePolicies"


def _machine(call: Call) -> str:
    return str(call["stateMachineArn"]) or call.world.arn("states", f"stateMachine:{call['name']}")


def _put_machine(call: Call) -> Iterable[Need]:
    """A machine that logs asks its maker for log delivery ("Logging using CloudWatch Logs", IAM policies)."""
    yield Need(f"states:{call.operation}", _machine(call))
    yield from call.passing(str(call["roleArn"]), "states")
    yield from call.tagged("states:TagResource", _machine(call), "tags")
    if (call["loggingConfiguration"] or {}).get("destinations"):
        yield from (Need(f"logs:{word}", "*") for word in _DELIVERY.split())


def _execution(call: Call) -> str:
    return str(call["executionArn"])


STATES: Table = {
    **on("states", _machine, "DeleteStateMachine", "DescribeStateMachine", "ListExecutions", "StartExecution"),
    **on("states", _execution, "DescribeExecution", "DescribeStateMachineForExecution", "GetExecutionHistory", "StopExecution"),
    **on("states", lambda call: str(call["resourceArn"]), "ListTagsForResource", "TagResource", "UntagResource"),
    **on_all("states", "ListStateMachines"),
    "CreateStateMachine": _put_machine,
    "UpdateStateMachine": _put_machine,
}
