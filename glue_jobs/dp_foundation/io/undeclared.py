"""Tables that the manifest does not declare: created where the job says, as the earlier templates did. IAM lets a job do so only under its
project's own prefix."""

from __future__ import annotations

from typing import Any

from dp_foundation.errors import TableRefusedError
from dp_foundation.io.tables import Target


def ensure(spark: Any, target: Target, schema: Any, path: str) -> None:
    """Create the table with the frame's columns under `path`, unless it is there. Raises TableRefusedError without a path."""
    if spark.catalog.tableExists(target.identifier):
        return
    if not path:
        raise TableRefusedError(
            f"{target.identifier} is not in the catalog and not declared for this job; mend: declare it in the manifest (tables and the "
            "job's writes), or pass path= under the project's own prefix"
        )
    columns = ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in schema.fields)
    location = path.rstrip("/").replace("'", "")
    create = f"CREATE TABLE IF NOT EXISTS {target.identifier} ({columns}) USING iceberg"
    spark.sql(f"{create} LOCATION '{location}' TBLPROPERTIES ('format-version'='2')")
