"""Asks Glue about its catalog, optimizers, jobs and connections."""

from __future__ import annotations

from typing import Any

from tests.contract.asking import ACCOUNT, answers, ask, client, run, side_by_side

ICEBERG = {"table_type": "ICEBERG"}


def tables(glue: Any) -> None:
    glue.create_database(DatabaseInput={"Name": "db"})
    for number in range(105):
        glue.create_table(DatabaseName="db", TableInput={"Name": f"t{number}", "Parameters": ICEBERG})
    ask("tables_per_page", lambda: len(glue.get_tables(DatabaseName="db")["TableList"]))
    ask("all_pages", lambda: sum(len(page["TableList"]) for page in glue.get_paginator("get_tables").paginate(DatabaseName="db")))

    def stale() -> str:
        glue.update_table(DatabaseName="db", TableInput={"Name": "t0", "Description": "a"}, VersionId="1")
        glue.update_table(DatabaseName="db", TableInput={"Name": "t0", "Description": "b"}, VersionId="1")
        return "both written"

    ask("stale_update", stale)
    glue.update_table(DatabaseName="db", TableInput={"Name": "t1"}, SkipArchive=True)
    ask("versions_after_skip", lambda: len(glue.get_table_versions(DatabaseName="db", TableName="t1")["TableVersions"]))
    ask(
        "name_folded",
        lambda: (
            glue.create_table(DatabaseName="db", TableInput={"Name": "UPPER"})
            and glue.get_table(DatabaseName="db", Name="upper")["Table"]["Name"]
        ),
    )


def pages(glue: Any) -> None:
    for number in range(100):
        glue.create_database(DatabaseInput={"Name": f"db{number}"})
    ask("databases_per_page", lambda: len(glue.get_databases()["DatabaseList"]))
    ask("all_databases", lambda: sum(len(page["DatabaseList"]) for page in glue.get_paginator("get_databases").paginate()))
    glue.create_table(DatabaseName="db", TableInput={"Name": "parts"})
    for first in range(0, 1100, 100):
        parts = [{"Values": [str(number)]} for number in range(first, first + 100)]
        glue.batch_create_partition(DatabaseName="db", TableName="parts", PartitionInputList=parts)
    wanted = {"DatabaseName": "db", "TableName": "parts"}
    ask("partitions_per_page", lambda: len(glue.get_partitions(**wanted)["Partitions"]))
    ask("all_partitions", lambda: sum(len(page["Partitions"]) for page in glue.get_paginator("get_partitions").paginate(**wanted)))


def lost_updates(glue: Any) -> None:
    """Eight writers that read, add one and write conditionally, until each has succeeded five times."""
    glue.create_table(DatabaseName="db", TableInput={"Name": "count", "Parameters": {"n": "0"}})

    def writer(_: int) -> None:
        mine, done = client("glue"), 0
        while done < 5:
            seen = mine.get_table(DatabaseName="db", Name="count")["Table"]
            wanted = {"Name": "count", "Parameters": {"n": str(int(seen["Parameters"]["n"]) + 1)}}
            try:
                mine.update_table(DatabaseName="db", TableInput=wanted, VersionId=seen["VersionId"])
                done += 1
            except mine.exceptions.ConcurrentModificationException:
                continue

    side_by_side(writer, range(8))
    answers["counted_by_eight"] = int(glue.get_table(DatabaseName="db", Name="count")["Table"]["Parameters"]["n"])


def optimizers(glue: Any) -> None:
    wanted = {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "enabled": True}
    one = {"CatalogId": ACCOUNT, "DatabaseName": "db", "TableName": "t2", "Type": "compaction"}
    ask("optimizer", lambda: glue.create_table_optimizer(**one, TableOptimizerConfiguration=wanted) and "made")
    ask("optimizer_twice", lambda: glue.create_table_optimizer(**one, TableOptimizerConfiguration=wanted) and "made")
    ask(
        "optimizer_of_hive",
        lambda: glue.create_table_optimizer(**{**one, "TableName": "upper"}, TableOptimizerConfiguration=wanted) and "made",
    )
    ask("optimizer_read", lambda: glue.get_table_optimizer(**one)["TableOptimizer"]["configuration"] == wanted)
    ask("optimizer_rests", lambda: glue.update_table_optimizer(**one, TableOptimizerConfiguration={**wanted, "enabled": False}) and "rests")
    entries = [{"databaseName": "db", "tableName": "t2", "type": kind} for kind in ("compaction", "retention")]

    def many() -> list[Any]:
        found = glue.batch_get_table_optimizer(Entries=entries)
        return [[row["tableOptimizer"]["configuration"]["enabled"] for row in found["TableOptimizers"]], len(found["Failures"])]

    ask("optimizers_read", many)
    ask("optimizer_runs", lambda: glue.list_table_optimizer_runs(**one)["TableOptimizerRuns"])
    ask("optimizer_absent", lambda: glue.get_table_optimizer(**{**one, "Type": "retention"}))
    glue.delete_table(DatabaseName="db", Name="t2")
    ask("optimizer_of_deleted", lambda: glue.get_table_optimizer(**one))
    other = {**one, "TableName": "t3"}
    ask("optimizer_of_another", lambda: glue.create_table_optimizer(**other, TableOptimizerConfiguration=wanted) and "made")
    glue.batch_delete_table(DatabaseName="db", TablesToDelete=["t3"])
    ask("optimizer_of_batch_deleted", lambda: glue.get_table_optimizer(**other))


def jobs(glue: Any) -> None:
    command = {"Name": "glueetl", "ScriptLocation": "s3://b/k.py"}
    glue.create_job(Name="j", Role="r", Command=command, DefaultArguments={"--a": "1"}, JobMode="SCRIPT", Tags={"k": "v"})
    ask("job_mode", lambda: glue.get_job(JobName="j")["Job"].get("JobMode"))
    ask("job_twice", lambda: glue.create_job(Name="j", Role="other", Command=command) and "made")
    ask(
        "job_updated",
        lambda: (
            glue.update_job(JobName="j", JobUpdate={"Role": "q", "Command": command})
            and [glue.get_job(JobName="j")["Job"][key] for key in ("Role", "DefaultArguments")]
        ),
    )
    ask("job_tags_stay", lambda: glue.get_tags(ResourceArn=f"arn:aws:glue:eu-central-1:{ACCOUNT}:job/j")["Tags"])
    ask("absent_job_deleted", lambda: glue.delete_job(JobName="nobody")["JobName"])
    place = {"SubnetId": "subnet-1", "SecurityGroupIdList": ["sg-1"], "AvailabilityZone": "eu-central-1a"}
    wanted = {"Name": "net", "ConnectionType": "NETWORK", "ConnectionProperties": {}, "PhysicalConnectionRequirements": place}
    glue.create_connection(ConnectionInput=wanted)
    ask("connection_type", lambda: glue.get_connection(Name="net")["Connection"].get("ConnectionType"))
    ask(
        "connection_subnet", lambda: glue.get_connection(Name="net")["Connection"].get("PhysicalConnectionRequirements", {}).get("SubnetId")
    )
    ask("connection_updated", lambda: glue.update_connection(Name="net", ConnectionInput={**wanted, "Description": "d"}) and "updated")
    ask("connection_deleted", lambda: glue.delete_connection(ConnectionName="net") and "deleted")


def probe() -> None:
    glue = client("glue")
    tables(glue)
    pages(glue)
    lost_updates(glue)
    optimizers(glue)
    jobs(glue)


run(probe)
