"""`use: check`: judges the tables that it reads by their gates, as they stand for readers, and writes nothing. Its verdicts are in the
record of the run; a blocking rule that does not hold fails the job, so that the pipeline goes no further."""

from __future__ import annotations

from dp_foundation.builtin.declared import job, options, recorded
from dp_foundation.errors import ConfigError, DataError
from dp_foundation.io.tables import Target
from dp_foundation.run import gates
from dp_foundation.run.current import begin
from dp_foundation.spark.session import get_spark


@recorded()
def run() -> None:
    """The whole job. Raises DataError that names every table which does not keep its rules."""
    options()
    declared, current = job(), begin()
    if current is None:
        raise ConfigError("use: check leaves its verdicts in a run's record; mend: start it as a run (meshplane run, meshplane run-local)")
    spark = get_spark(app_name=f"check {declared.name}")
    tables = [declared.tables[read.table] for read in declared.reads]
    current.verdicts = [gates.standing(current, spark, Target(table.database, table.name, table)) for table in tables]
    bad = [f"{told['table']}: {gates.why(told)}" for told in current.verdicts if not told["passed"]]
    if bad:
        raise DataError("tables that do not keep their rules:\n  " + "\n  ".join(bad))
