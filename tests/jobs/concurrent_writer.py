"""One of several processes that write the same table: `concurrent_writer.py MODE FIRST COUNT …job arguments`. Prints each row's id once its
commit is acknowledged."""

from __future__ import annotations

import sys

from dp_foundation.io.writers import write_iceberg
from dp_foundation.spark.session import get_spark


def main() -> None:
    """COUNT commits of one row each, ids from FIRST on; MODE `mixed` merges every fourth."""
    mode, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    spark = get_spark(app_name=f"writer {first}")
    spark.sparkContext.setLogLevel("ERROR")
    for number in range(first, first + count):
        how = "merge" if mode == "mixed" and number % 4 == 0 else "append"
        write_iceberg(df=spark.sql(f"select {number}L id, 'w{first}' v"), table="out", mode=how)
        print("acknowledged", number, flush=True)


if __name__ == "__main__":
    main()
