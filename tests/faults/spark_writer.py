"""Real Spark that plays job runs, one a line of its input: `{"argv": [...], "rows": [...], "amount": 1.0}`. Says how each ended."""

from __future__ import annotations

import atexit
import json
import sys

from dp_foundation.config.arguments import invocation
from dp_foundation.io.writers import write_iceberg
from dp_foundation.run.current import at_exit, begin
from dp_foundation.spark.session import get_spark


def main() -> None:
    """Until the input ends, or somebody kills it."""
    spark = get_spark(app_name="writer")
    spark.sparkContext.setLogLevel("OFF")
    print("ready", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        atexit.unregister(at_exit)
        sys.argv = told["argv"]
        invocation.cache_clear()
        begin.cache_clear()
        try:
            rows = ", ".join(f"{row}L" for row in told["rows"])
            write_iceberg(df=spark.sql(f"select explode(array({rows})) order_id, {told['amount']}D amount"), table="orders", mode="append")
            current = begin()
            assert current is not None
            current.finish()
        except Exception as error:  # noqa: BLE001  the job run ends with it; the harness decides what becomes of the run
            print("failed", type(error).__name__, str(error).splitlines()[:1], flush=True)
        else:
            print("done", flush=True)


if __name__ == "__main__":
    main()
