"""A job that reads its files and then fails in its own code."""

from dp_foundation.io.readers import read_table
from dp_foundation.logging.logger import get_logger
from dp_foundation.spark.session import get_spark


def main() -> None:
    """Fail."""
    spark = get_spark(app_name="failing")
    get_logger("failing").info("read %d rows", read_table(spark, "raw").count())
    raise ValueError("no rate for XXX")


if __name__ == "__main__":
    main()
